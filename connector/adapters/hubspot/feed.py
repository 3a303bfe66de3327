"""What changed, by search windows over the time of the last change, and by lists of what was archived.

A search shows 10,000 results at most, sorts by one property and lags behind. So each page begins where the last one
ended (never deep paging), changes of one instant are told by id, and each pass begins a little before the newest
change and leaves out what was told. Archived records are in no search: their lists are read every quarter of an hour,
webhooks tell of them sooner.
"""

import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connector.adapters.hubspot.client import SEARCH_PAGE, Entry, HubSpotClient, Json
from connector.adapters.hubspot.cursor import Cursor, Track, read
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.places import CONTACTS, LEAD_STATUS, LEADS, Places, ref_to
from connector.adapters.hubspot.records import MERGED, Records, changed_property
from connector.adapters.hubspot.values import moment
from connector.errors import RateLimited, UnexpectedAnswer
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef, Value

#: Parents before those that link to them.
_ORDER = ("companies", CONTACTS, LEADS, "deals", "tasks", "calls")
#: Pages one call reads without finding news.
_PAGES = 50
_ARCHIVED = "archived:"
#: How often archived records and owners are looked through.
EVERY = timedelta(minutes=15)


class Feed:
    """Reads the changes of one account, page by page."""

    def __init__(
        self, client: HubSpotClient, places: Places, records: Records, links: Links, *, every: timedelta = EVERY
    ) -> None:
        self._client = client
        self._places = places
        self._records = records
        self._links = links
        self._every = every.total_seconds()
        self._lock = threading.Lock()
        self._swept: float | None = None

    def page(self, text: str) -> tuple[list[CrmEvent], str]:
        """Return what changed since a cursor and the next cursor; the same one when all is told.

        Raises:
            RateLimited: HubSpot's limits allow no look now, and this call brought nothing yet.
        """
        reached = read(text)
        try:
            for step, news in self._steps(reached):
                reached = step
                if news:
                    return news, reached.text()
        except RateLimited as err:
            limited = err
        else:
            return [], reached.text()
        if reached.text() == text:
            raise limited
        return [], reached.text()

    def _steps(self, cursor: Cursor) -> Iterator[tuple[Cursor, list[CrmEvent]]]:
        """Yield the cursor and the news after each request, until everything was looked at once."""
        due = self._is_due()
        if not cursor.users or due:
            cursor, news = self._users(cursor)
            yield cursor, news
        for turn in range(cursor.turn, len(self._objects())):
            cursor = replace(cursor, turn=turn)
            for _ in range(_PAGES):
                cursor, news = self._changed(self._objects()[turn], cursor)
                yield cursor, news
                if cursor.track(self._objects()[turn]).at is None:
                    break
        cursor = replace(cursor, turn=0)
        yield cursor, []
        if due or cursor.sweep:
            yield from self._sweep(cursor)

    def _objects(self) -> Sequence[str]:
        return [object_ for object_ in _ORDER if object_ != LEADS or self._places.has_leads()]

    # Changes.

    def _changed(self, object_: str, cursor: Cursor) -> tuple[Cursor, list[CrmEvent]]:
        track = cursor.track(object_)
        entries = self._searched(object_, track)
        stamped = sorted(((_changed_at(object_, entry), entry) for entry in entries), key=_by_time)
        new = [(ms, entry) for ms, entry in stamped if track.seen.get(entry.id) != ms]
        after = _following(track.told({entry.id: ms for ms, entry in new}), track, stamped)
        return cursor.put(object_, after), self._events(object_, new)

    def _searched(self, object_: str, track: Track) -> list[Entry]:
        name = changed_property(object_)
        filters = [{"propertyName": name, "operator": "GTE", "value": str(track.start)}]
        sort = name
        if track.tie:
            filters = [
                {"propertyName": name, "operator": "EQ", "value": str(track.start)},
                {"propertyName": "hs_object_id", "operator": "GT", "value": track.tie},
            ]
            sort = "hs_object_id"
        request = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
            "properties": list(self._records.properties(object_)),
            "limit": SEARCH_PAGE,
        }
        entries, _ = self._client.search(object_, request)
        if any(_changed_at(object_, entry) < track.start for entry in entries):
            raise UnexpectedAnswer(f"{object_}: the search shows what was not asked for")
        if track.tie and any(int(entry.id) <= int(track.tie) for entry in entries):
            raise UnexpectedAnswer(f"{object_}: the search repeats itself")
        return entries

    def _events(self, object_: str, new: Sequence[tuple[int, Entry]]) -> list[CrmEvent]:
        linked = self._links.read(self._places.types()[object_], object_, [entry.id for _, entry in new])
        events: list[CrmEvent] = []
        for ms, entry in new:
            at = datetime.fromtimestamp(ms / 1000, tz=UTC)
            record = self._records.record(object_, entry, linked.get(entry.id, {}))
            id_ = f"{object_}:{entry.id}@{ms}"
            events += told(id_, record, entry, at)
            if object_ == CONTACTS:
                events += self._as_lead_and_contact(id_, record, entry, at)
        return events

    def _as_lead_and_contact(self, id_: str, record: Record, entry: Entry, at: datetime) -> list[CrmEvent]:
        """Tell of a contact what it is besides: a lead born here is a contact too, and what was one is none any more.

        (U) A lead status that was cleared is an empty text, one that never was is null.
        """
        if self._records.is_born_lead(entry):
            contact = self._records.contact(entry)
            return [CrmEvent(f"{id_}:contact", EventType.RECORD_CHANGED, contact.ref, at, contact)]
        had_status = entry.properties.get(LEAD_STATUS) is not None
        if not had_status or record.ref.object_type is ObjectType.LEAD or self._places.has_leads():
            return []
        was = RecordRef(ObjectType.LEAD, record.ref.id)
        return [CrmEvent(f"{id_}:lead", EventType.RECORD_CHANGED, was, at, record)]

    # Users.

    def _users(self, cursor: Cursor) -> tuple[Cursor, list[CrmEvent]]:
        """Tell owners that are new or different; their list says nothing of when."""
        known, events = dict(cursor.users), []
        now = datetime.now(UTC)
        for owner, archived in self._client.owners():
            record = user(owner, archived=archived)
            print_ = f"{zlib.crc32(repr(sorted(record.fields.items())).encode()):08x}"
            if known.get(record.ref.id) != print_:
                known[record.ref.id] = print_
                events.append(
                    CrmEvent(f"owners:{record.ref.id}@{print_}", EventType.RECORD_CHANGED, record.ref, now, record)
                )
        return replace(cursor, users=known), events

    # Archived records.

    def _is_due(self) -> bool:
        with self._lock:
            return self._swept is None or time.monotonic() - self._swept >= self._every

    def _sweep(self, cursor: Cursor) -> Iterator[tuple[Cursor, list[CrmEvent]]]:
        turn, after = cursor.sweep or (0, "")
        seen = set[str]()
        for _ in range(_PAGES * len(_ORDER)):
            if turn >= len(self._objects()):
                with self._lock:
                    self._swept = time.monotonic()
                yield replace(cursor, sweep=None), []
                return
            object_ = self._objects()[turn]
            entries, after = self._client.page(object_, ["hs_object_id"], after, archived=True)
            if after in seen:
                raise UnexpectedAnswer(f"{object_}: HubSpot repeats a page")
            seen |= {after} - {""}
            cursor, news = self._archived(object_, cursor, entries)
            if not after:
                turn, seen = turn + 1, set()
            cursor = replace(cursor, sweep=(turn, after))
            yield cursor, news

    def _archived(self, object_: str, cursor: Cursor, entries: Sequence[Entry]) -> tuple[Cursor, list[CrmEvent]]:
        name = _ARCHIVED + object_
        track = cursor.track(name)
        gone = {entry.id: _milliseconds(entry.archived_at) for entry in entries}
        new = {id_: ms for id_, ms in gone.items() if ms >= track.start and track.seen.get(id_) != ms}
        events = [
            CrmEvent(f"{object_}:{id_}@{ms}:archived", EventType.RECORD_DELETED, ref, at)
            for id_, ms in sorted(new.items(), key=lambda each: each[1])
            for at in (datetime.fromtimestamp(ms / 1000, tz=UTC),)
            for ref in refs(object_, id_)
        ]
        return cursor.put(name, track.told(new)), events


def told(id_: str, record: Record, entry: Entry, at: datetime) -> list[CrmEvent]:
    """Return the events of a changed record: of those that were merged into it, then its own."""
    merged = [
        other for other in (entry.properties.get(MERGED) or "").split(";") if other.isdigit() and other != entry.id
    ]
    old = [ref for other in merged for ref in refs(CONTACTS, other)]
    # An event whose record is another one: what was bound to the one is bound to the other.
    moved = [CrmEvent(f"{id_}:{r.object_type}:{r.id}", EventType.RECORD_CHANGED, r, at, record) for r in old]
    return [*moved, CrmEvent(id_, EventType.RECORD_CHANGED, record.ref, at, record)]


def refs(object_: str, id_: str) -> list[RecordRef]:
    """Return what a record that can no longer be read may have been to us: a contact may have been a lead."""
    if object_ == CONTACTS:
        return [RecordRef(ObjectType.LEAD, id_), RecordRef(ObjectType.CONTACT, id_)]
    return [ref_to(TYPES[object_], object_, id_)]


TYPES = {
    "companies": ObjectType.ACCOUNT,
    LEADS: ObjectType.LEAD,
    "deals": ObjectType.DEAL,
    "tasks": ObjectType.TASK,
    "calls": ObjectType.CALL,
}


def user(owner: Json, *, archived: bool) -> Record:
    """Return an owner as a record."""
    name = " ".join(str(owner.get(part) or "") for part in ("firstName", "lastName")).strip()
    fields: dict[str, Value] = {"name": name, "email": str(owner.get("email") or ""), "active": not archived}
    return Record(RecordRef(ObjectType.USER, str(owner.get("id"))), fields)


def _following(track: Track, before: Track, stamped: Sequence[tuple[int, Entry]]) -> Track:
    """Return where the pass goes on after a page."""
    if len(stamped) < SEARCH_PAGE:
        if before.tie:
            # All changes of this instant are told; on with the next.
            return track.moved(before.start + 1)
        return track.moved(None)
    if before.tie:
        return track.moved(before.start, max((entry.id for _, entry in stamped), key=int))
    last = stamped[-1][0]
    # A page of changes of one instant: the search cannot sort them, so they are asked for by id.
    return track.moved(last) if last > before.start else track.moved(last, "0")


def _changed_at(object_: str, entry: Entry) -> int:
    return _milliseconds(entry.properties.get(changed_property(object_)) or "")


def _milliseconds(text: str) -> int:
    at = moment(text)
    if at is None:
        raise UnexpectedAnswer("a record does not say when it was changed")
    return round(at.timestamp() * 1000)


def _by_time(stamped: tuple[int, Entry]) -> tuple[int, int]:
    return stamped[0], int(stamped[1].id)
