"""The change feed: what changed since a cursor, deletes included, by polling SystemModstamp.

A row's stamp is set when its transaction writes it, and the row is seen when that transaction commits. So whatever
changed within OVERLAP of the CRM's own clock is read again the next time, and what was told is known by its mark.
Everything older is settled: the walk goes on behind it by (stamp, id), so equal stamps lose nothing.
Five objects are asked in one API call; a quiet organisation costs two calls a look.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.adapters.mapping import instant
from connector.adapters.salesforce.client import SalesforceClient, soql
from connector.adapters.salesforce.errors import caused
from connector.adapters.salesforce.reading import Reader
from connector.adapters.salesforce.records import KEY, Records, Row, held_by
from connector.errors import ConnectorError, InvalidRecord, PermissionDenied, UnexpectedAnswer
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef

#: Longer than a transaction of Salesforce's may last, half over.
OVERLAP = timedelta(minutes=5)
PAGE = 500
#: Pages without news in one look, before it is left to the next one.
MOST_PAGES = 20
#: Marks kept of one object: beyond, the oldest are told twice, which changes nothing.
_MOST_SEEN = 5_000
#: Parents first: within one page a deal is told before its tasks.
_TYPES = (
    ObjectType.USER,
    ObjectType.ACCOUNT,
    ObjectType.CONTACT,
    ObjectType.LEAD,
    ObjectType.DEAL,
    ObjectType.TASK,
)
_AT_ONCE = 5
_START = ("1970-01-01T00:00:00.000Z", "000000000000000AAA")


@dataclass(frozen=True, slots=True)
class Walk:
    """How far one object is read: all up to `settled` for good, up to `at` in this round; `seen` holds marks."""

    settled: tuple[str, str] = _START
    at: tuple[str, str] | None = None
    seen: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What one page of an object says. `again` are records told before under the same stamp, in another state."""

    rows: Sequence[Row]
    walk: Walk
    full: bool
    again: frozenset[str] = frozenset()


class Feed:
    """Reads changes of one organisation; holds no state of its own."""

    def __init__(self, client: SalesforceClient, records: Records) -> None:
        self._client = client
        self._records = records

    def since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        """Return the next page of events and the cursor behind it; the cursor stays when all is told.

        Raises:
            InvalidRecord: the cursor is none of this feed's.
            UnexpectedAnswer: rows that were not asked for.
        """
        walks = read_cursor(cursor)
        for _ in range(MOST_PAGES):
            events, full = self._page(walks)
            if events or not full:
                break
        return events, cursor if walks == read_cursor(cursor) and cursor else write_cursor(walks)

    def _page(self, walks: dict[ObjectType, Walk]) -> tuple[list[CrmEvent], bool]:
        """Read a page of each object, moving their walks on; tell whether there is more."""
        events: list[CrmEvent] = []
        full = False
        for start in range(0, len(_TYPES), _AT_ONCE):
            types = _TYPES[start : start + _AT_ONCE]
            queries = {type_.value: self._query(type_, walks[type_]) for type_ in types}
            answers, at = self._client.ask(queries, deleted=True)
            for type_ in types:
                told = self._told(type_, walks[type_], answers[type_.value], at or datetime.now(UTC))
                walks[type_] = told.walk
                full = full or told.full
                events += self._events(type_, told)
        return self._with_leads(events), full

    def _query(self, type_: ObjectType, walk: Walk) -> str:
        stamp, id_ = walk.at or walk.settled
        return soql(
            "SELECT {:literal} FROM {:literal} WHERE SystemModstamp > {:literal} "
            "OR (SystemModstamp = {:literal} AND Id > {}) ORDER BY SystemModstamp, Id LIMIT {}",
            ", ".join(self._records.columns(type_)),
            self._records.mappings[type_].name,
            stamp,
            stamp,
            id_,
            PAGE,
        )

    def _told(self, type_: ObjectType, walk: Walk, answer: Any, now: datetime) -> Told:
        if isinstance(answer, PermissionDenied):
            # An edition without the object, or a user who may not see it: `check` says so, the others go on.
            return Told((), walk, full=False)
        if isinstance(answer, ConnectorError):
            raise answer
        name = self._records.mappings[type_].name
        places = [_place(name, row) for row in answer]
        stamps = [(walk.at or walk.settled)[0], *(stamp for stamp, _ in places)]
        if (walk.at or walk.settled) in places or len(set(places)) < len(places) or stamps != sorted(stamps):
            raise caused(UnexpectedAnswer(f"query of {name}: rows repeat, or are out of order"), None, "repeated rows")
        return step(walk, answer, places, now)

    def _events(self, type_: ObjectType, told: Told) -> list[CrmEvent]:
        found = [self._event(type_, row) for row in told.rows]
        return [_later(event, told.again) for event in found if event is not None]

    def _event(self, type_: ObjectType, row: Row) -> CrmEvent | None:
        at = instant(str(row["SystemModstamp"]))
        if row.get(KEY) and held_by(RecordRef(type_, str(row["Id"])), row) is not None:
            # Ours was merged or converted: named only, so that it is read where it is now.
            return CrmEvent(_event_id(row), EventType.RECORD_CHANGED, RecordRef(type_, str(row["Id"])), at)
        if row.get("IsDeleted") is True:
            ours = ObjectType.CALL if row.get("TaskSubtype") == "Call" else type_
            return CrmEvent(_event_id(row), EventType.RECORD_DELETED, RecordRef(ours, str(row["Id"])), at)
        found = self._records.type_of(row, type_)
        if found is None:
            return None
        record = self._records.read(found, RecordRef(found, str(row["Id"])), row)
        return CrmEvent(_event_id(row), EventType.RECORD_CHANGED, record.ref, at, record)

    def _with_leads(self, events: list[CrmEvent]) -> list[CrmEvent]:
        """Name the lead each deal came from."""
        deals = [event.ref.id for event in events if event.ref.object_type is ObjectType.DEAL and event.record]
        if not deals:
            return events
        leads = Reader(self._client, self._records).leads_of(deals)
        return [_from_lead(event, leads.get(event.ref.id)) for event in events]


def step(walk: Walk, rows: Sequence[Row], places: Sequence[tuple[str, str]], now: datetime) -> Told:
    """Return the news of a page and where the walk stands after it. Pure."""
    border = _stamp(now - OVERLAP)
    marks = {str(row["Id"]): _mark(row) for row in rows}
    news = [row for row in rows if walk.seen.get(str(row["Id"])) != marks[str(row["Id"])]]
    settled = [walk.settled, *(place for place in places if place[0] < border)][-1]
    fresh = {place[1]: marks[place[1]] for place in places if place[0] >= border}
    seen = {**{id_: mark for id_, mark in walk.seen.items() if mark[: len(border)] >= border}, **fresh}
    full = len(rows) >= PAGE
    kept = dict(sorted(seen.items(), key=lambda entry: entry[1])[-_MOST_SEEN:])
    again = {
        id_ for id_, mark in walk.seen.items() if id_ in marks and marks[id_] != mark and _same_stamp(mark, marks[id_])
    }
    return Told(news, Walk(settled, places[-1] if full else None, kept), full, frozenset(again))


def read_cursor(cursor: str) -> dict[ObjectType, Walk]:
    """Return the walks a cursor holds; "" is the beginning.

    Raises:
        InvalidRecord: it is none of ours.
    """
    try:
        held = json.loads(cursor) if cursor else {}
        return {type_: _walk(held.get(type_.value, {})) for type_ in _TYPES}
    except (ValueError, TypeError, AttributeError, KeyError):
        pass
    raise InvalidRecord("the cursor of the change feed cannot be read: begin anew with an empty one")


def write_cursor(walks: Mapping[ObjectType, Walk]) -> str:
    """Return walks as a cursor, a beginning left out."""
    held = {
        type_.value: {"settled": walk.settled, "at": walk.at, "seen": walk.seen}
        for type_, walk in walks.items()
        if walk != Walk()
    }
    return json.dumps(held, separators=(",", ":"), sort_keys=True)


def _walk(held: Mapping[str, Any]) -> Walk:
    settled = held.get("settled") or _START
    at = held.get("at")
    return Walk(
        (str(settled[0]), str(settled[1])), (str(at[0]), str(at[1])) if at else None, dict(held.get("seen") or {})
    )


def _place(name: str, row: Row) -> tuple[str, str]:
    try:
        return _stamp(instant(str(row["SystemModstamp"]))), str(row["Id"])
    except (KeyError, ValueError):
        pass
    raise caused(UnexpectedAnswer(f"query of {name}: a row without id or stamp"), None, "unreadable row")


def _stamp(at: datetime) -> str:
    """Return an instant as SOQL writes it, to the millisecond; texts of this form are in order of time."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mark(row: Row) -> str:
    """Return what makes a state of a record this one: two changes within a second have the same stamp."""
    plain = {name: value for name, value in row.items() if name != "attributes"}
    content = json.dumps(plain, sort_keys=True, default=str).encode()
    return _stamp(instant(str(row["SystemModstamp"]))) + hashlib.blake2b(content, digest_size=8).hexdigest()


def _same_stamp(one: str, other: str) -> bool:
    return one.partition("Z")[0] == other.partition("Z")[0]


def _later(event: CrmEvent, again: frozenset[str]) -> CrmEvent:
    """Put a second change within one second after the first: whoever keeps the newest state goes by the time."""
    if event.ref.id not in again:
        return event
    return replace(event, occurred_at=event.occurred_at + timedelta(milliseconds=500))


def _event_id(row: Row) -> str:
    return f"{row['Id']}@{_mark(row)}"


def _from_lead(event: CrmEvent, lead: str | None) -> CrmEvent:
    if event.record is None or event.ref.object_type is not ObjectType.DEAL:
        return event
    return replace(event, record=replace(event.record, fields={**event.record.fields, "lead": lead}))
