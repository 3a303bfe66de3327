"""What changed, by polling. BottleCRM has no list of changes since a time, so it is put together from two things:

* its activity log: the newest 50 entries of each record type, asked for at every poll. Entries not seen at the poll
  before name the records that changed or are gone; whoever hears it reads them. What was seen stands in the cursor.
* a full compare, page by page: at the beginning (the initial load), when more happened between two polls than the log
  shows (at most once in ten minutes a type), and once a day, as public forms of BottleCRM write no activity. It costs
  one request for 100 records. Leads say when they changed, and those that did not are left out; deals, tasks, contacts
  and accounts do not say so and are told as they are now, which is no news where nothing changed.

Deletions are told by the log and by webhooks; one that both missed is noticed at the next write. Converted leads are
in no list, and are told when they are converted. Calls are told by webhooks alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import orjson

from connector.adapters.bottlecrm.client import (
    ACCOUNTS,
    CONTACTS,
    DEALS,
    LEADS,
    PAGE,
    TASKS,
    USERS,
    BottleCrmClient,
    Listing,
    Row,
)
from connector.adapters.bottlecrm.records import record_of
from connector.adapters.mapping import ObjectMapping, instant
from connector.errors import UnexpectedAnswer
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef

#: In the order in which records point to each other.
LISTS: Mapping[ObjectType, Listing] = {
    ObjectType.USER: USERS,
    ObjectType.ACCOUNT: ACCOUNTS,
    ObjectType.CONTACT: CONTACTS,
    ObjectType.LEAD: LEADS,
    ObjectType.DEAL: DEALS,
    ObjectType.TASK: TASKS,
}
_LOGGED = {
    ObjectType.ACCOUNT: "Account",
    ObjectType.CONTACT: "Contact",
    ObjectType.LEAD: "Lead",
    ObjectType.DEAL: "Opportunity",
    ObjectType.TASK: "Task",
}
#: The most entries of its log that BottleCRM gives, whatever is asked for.
_WINDOW = 50
_RARELY, _DAILY = timedelta(minutes=10), timedelta(days=1)
_OVERLAP = timedelta(minutes=5)
_MOST_PAGES = 10_000
_SHORT = 12


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a reader stands: entries of the log seen last, when each type was compared, and a compare in progress.

    `waiting` are the types whose compare is due, `at` the offset within the first of them, `began` when it began.
    """

    seen: Mapping[str, Sequence[str]]
    compared: Mapping[str, int]
    waiting: Sequence[str] = ()
    at: int = 0
    began: int = 0

    def __str__(self) -> str:
        told = {
            "seen": self.seen,
            "compared": self.compared,
            "waiting": self.waiting,
            "at": self.at,
            "began": self.began,
        }
        return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()


class Feed:
    """Reads the changes of one organisation."""

    def __init__(self, client: BottleCrmClient, mappings: Mapping[ObjectType, ObjectMapping], zone: ZoneInfo) -> None:
        self._client, self._mappings, self._zone = client, mappings, zone

    def changes(self, cursor: str) -> tuple[list[CrmEvent], str]:
        """Return the next page of changes and the cursor behind it."""
        if not cursor:
            return self._begin()
        at = _read(cursor)
        if at.waiting:
            return self._compare(at)
        return self._poll(at, cursor)

    def _begin(self) -> tuple[list[CrmEvent], str]:
        """Remember what the log shows, so that what changes while records are loaded is told after them."""
        logs, now = self._logs()
        seen = {type_: [_short(row) for row in rows] for type_, rows in logs.items()}
        started = _Cursor(seen, dict.fromkeys(map(str, LISTS), 0), [str(type_) for type_ in LISTS], 0, now)
        return self._compare(started)

    def _compare(self, cursor: _Cursor) -> tuple[list[CrmEvent], str]:
        type_ = ObjectType(cursor.waiting[0])
        if cursor.at >= PAGE * _MOST_PAGES:
            raise UnexpectedAnswer(f"{LISTS[type_].path}: the pages do not end")
        page = self._client.page(LISTS[type_], cursor.at)
        since = datetime.fromtimestamp(cursor.compared[type_], UTC) - _OVERLAP if cursor.compared[type_] else None
        events = [event for row in page.rows if (event := self._event(type_, row, page.at, since))]
        if page.more:
            return events, str(replace(cursor, at=cursor.at + PAGE))
        compared = {**cursor.compared, str(type_): cursor.began}
        return events, str(replace(cursor, compared=compared, waiting=cursor.waiting[1:], at=0))

    def _poll(self, cursor: _Cursor, text: str) -> tuple[list[CrmEvent], str]:
        logs, now = self._logs()
        fresh = {type_: [row for row in rows if _short(row) not in cursor.seen[type_]] for type_, rows in logs.items()}
        overflown = [type_ for type_, rows in fresh.items() if len(rows) >= _WINDOW]
        waiting = [type_ for type_ in map(str, LISTS) if _due(cursor.compared[type_], now, type_ in overflown)]
        if not any(fresh.values()) and not waiting:
            return [], text
        seen = {type_: [_short(row) for row in rows] for type_, rows in logs.items()}
        events = _told([(ObjectType(type_), row) for type_, rows in fresh.items() for row in rows])
        return events, str(replace(cursor, seen=seen, waiting=waiting, began=now))

    def _event(self, type_: ObjectType, row: Row, date: str, since: datetime | None) -> CrmEvent | None:
        try:
            ref = RecordRef(type_, str(row["id"]))
            record = record_of(ref, row, self._mappings[type_], self._zone)
            if since is not None and record.updated_at is not None and record.updated_at < since:
                return None
            at = record.updated_at or (_server_time(date) if since else _oldest(row, date))
            return CrmEvent(f"{type_}:{ref.id}@{at.isoformat()}", EventType.RECORD_CHANGED, ref, at, record)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            reason = type(err).__name__
        raise UnexpectedAnswer(f"{LISTS[type_].path}: a record cannot be read: {reason}")

    def _logs(self) -> tuple[dict[str, Sequence[Row]], int]:
        """Return the newest entries of each type, and the server's time before they were read, in seconds."""
        logs: dict[str, Sequence[Row]] = {}
        now: int | None = None
        for type_, name in _LOGGED.items():
            rows, date = self._client.activities(name, _WINDOW)
            now = int(_server_time(date).timestamp()) if now is None else now
            logs[str(type_)] = rows
        assert now is not None
        return logs, now


def _told(entries: Sequence[tuple[ObjectType, Row]]) -> list[CrmEvent]:
    """Return each record once, by its newest entry, in the order of these."""
    newest: dict[RecordRef, CrmEvent] = {}
    try:
        for type_, row in sorted(entries, key=lambda each: instant(str(each[1]["timestamp"]))):
            ref = RecordRef(type_, str(row["entity_id"]))
            newest.pop(ref, None)
            kind = EventType.RECORD_DELETED if row["action"] == "DELETE" else EventType.RECORD_CHANGED
            newest[ref] = CrmEvent(str(row["id"]), kind, ref, instant(str(row["timestamp"])))
        return list(newest.values())
    except (KeyError, ValueError) as err:
        reason = type(err).__name__
    raise UnexpectedAnswer(f"activities: an entry cannot be read: {reason}")


def _due(compared: int, now: int, overflown: bool) -> bool:
    return now - compared >= (_RARELY if overflown else _DAILY).total_seconds()


def _oldest(row: Row, date: str) -> datetime:
    """Return since when a record may have been as it is: at the first look its own times are all there is."""
    said = row.get("stage_changed_at") or row.get("created_at")
    return instant(str(said)) if said else _server_time(date)


def _server_time(date: str) -> datetime:
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except (TypeError, ValueError):
        pass
    raise UnexpectedAnswer("the answer has no date")


def _short(row: Row) -> str:
    return str(row.get("id", "")).replace("-", "")[:_SHORT]


def _read(cursor: str) -> _Cursor:
    try:
        told = orjson.loads(cursor)
        return _Cursor(told["seen"], told["compared"], told["waiting"], told["at"], told["began"])
    except (KeyError, TypeError, ValueError):
        pass
    raise UnexpectedAnswer("the cursor is not one of this adapter's: begin anew")
