"""What one organisation calls things: statuses, stages, time zones, and which optional fields it has.

Statuses and stages are told apart by their metadata; their labels are the administrator's and mean nothing to us.
"""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.adapters.salesforce.client import SalesforceClient, chunks, soql
from connector.errors import ConnectorError, InvalidRecord, PermissionDenied, RecordNotFound

#: How long what an administrator seldom changes is taken as read, in seconds.
FRESH = 900.0
_MOST_USERS = 200
#: How closed statuses begin in what Salesforce ships, in the languages it ships in; others are named by an option.
_CLOSED = ("closed", "unqualified", "disqualified", "geschlossen", "nicht qualifiziert", "zamkni", "niezakwalifikowan")
_QUERIES = {
    "lead": "SELECT ApiName, IsDefault, IsConverted FROM LeadStatus ORDER BY SortOrder",
    "task": "SELECT ApiName, IsDefault, IsClosed FROM TaskStatus ORDER BY SortOrder",
    "stage": "SELECT ApiName, IsClosed, IsWon FROM OpportunityStage WHERE IsActive = true ORDER BY SortOrder",
    "org": "SELECT Id, Name, TimeZoneSidKey, OrganizationType, IsSandbox FROM Organization",
}

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Words:
    """Our closed values against an organisation's. `written` is ours to theirs, `read` theirs to ours."""

    written: Mapping[str, str]
    read: Mapping[str, str]

    def outward(self, ours: str, value: object) -> str:
        """Return what the organisation calls a value.

        Raises:
            InvalidRecord: it has no such status.
        """
        found = self.written.get(str(value))
        if found is None:
            known = ", ".join(self.written) or "none"
            raise InvalidRecord(
                f"{ours}: the organisation has no status for {value!s}, but for: {known}", fields=(ours,)
            )
        return found

    def inward(self, value: object) -> str:
        """Return what we call a value; what we have no word for stays as it is."""
        return self.read.get(str(value), str(value))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one organisation; `faults` names what could not be read."""

    lead: Words
    task: Words
    stage: Words
    org: Mapping[str, Any]
    faults: Mapping[str, ConnectorError]

    @property
    def zone(self) -> str:
        """Return the organisation's time zone."""
        return str(self.org.get("TimeZoneSidKey") or "UTC")


@dataclass(frozen=True, slots=True)
class Staff:
    """A user who may own records."""

    active: bool
    zone: str


class Lexicon:
    """Reads an organisation's words when they are needed and keeps them for a while."""

    def __init__(self, client: SalesforceClient, working: Sequence[str] = (), closed: Sequence[str] = ()) -> None:
        self._client = client
        self._named = (tuple(working), tuple(closed))
        self._lock = threading.Lock()
        self._words: tuple[Vocabulary, float] | None = None
        self._fields: dict[str, tuple[frozenset[str], float]] = {}
        self._staff: dict[str, tuple[Staff | None, float]] = {}

    def words(self) -> Vocabulary:
        """Return statuses, stages and the organisation, by one call."""
        with self._lock:
            known = self._words
        if known is None or _old(known[1]):
            known = (self._read(), time.monotonic())
            with self._lock:
                self._words = known
        return known[0]

    def fields(self, sobject: str) -> frozenset[str]:
        """Return the fields of an object the integration user sees."""
        with self._lock:
            known = self._fields.get(sobject)
        if known is None or _old(known[1]):
            known = (self._described(sobject), time.monotonic())
            with self._lock:
                self._fields[sobject] = known
        return known[0]

    def _described(self, sobject: str) -> frozenset[str]:
        try:
            return frozenset(describe(self._client, sobject))
        except (RecordNotFound, PermissionDenied):
            # The edition lacks the object, or the user may not see it; `check` says so.
            return frozenset()

    def staff(self, ids: Collection[str]) -> Mapping[str, Staff | None]:
        """Return the users behind ids; None for an id that is no user's, such as a queue's."""
        with self._lock:
            missing = sorted(id_ for id_ in ids if id_ not in self._staff or _old(self._staff[id_][1]))
        for some in chunks(missing, _MOST_USERS):
            found = self._client.query(soql("SELECT Id, IsActive, TimeZoneSidKey FROM User WHERE Id IN {}", list(some)))
            told = {
                str(row.get("Id")): Staff(row.get("IsActive") is True, str(row.get("TimeZoneSidKey"))) for row in found
            }
            with self._lock:
                self._staff.update({id_: (told.get(id_), time.monotonic()) for id_ in some})
        with self._lock:
            return {id_: self._staff[id_][0] for id_ in ids}

    def _read(self) -> Vocabulary:
        found, _ = self._client.ask(_QUERIES)
        read = {name: rows for name, rows in found.items() if not isinstance(rows, ConnectorError)}
        working, closed = self._named
        return Vocabulary(
            lead=lead_words(read.get("lead", ()), working, closed),
            task=task_words(read.get("task", ())),
            stage=stage_words(read.get("stage", ())),
            org=next(iter(read.get("org", ())), {}),
            faults={name: error for name, error in found.items() if isinstance(error, ConnectorError)},
        )


def describe(client: SalesforceClient, sobject: str) -> dict[str, Mapping[str, Any]]:
    """Return the fields of an object as the integration user sees them, by name."""
    body = client.get(f"sobjects/{sobject}/describe").body
    fields = body.get("fields") if isinstance(body, dict) else None
    return {str(field.get("name")): field for field in fields or () if isinstance(field, dict)}


def lead_words(rows: Rows, working: Sequence[str], closed: Sequence[str]) -> Words:
    """Return the statuses of leads: the default is new, what the owner moved it to is working."""
    names = [str(row.get("ApiName")) for row in rows]
    new = next((str(row.get("ApiName")) for row in rows if row.get("IsDefault") is True), "")
    ended = list(closed) or [name for name in names if name.casefold().startswith(_CLOSED)]
    converted = [str(row.get("ApiName")) for row in rows if row.get("IsConverted") is True]
    busy = list(working) or [name for name in names if name not in (new, *ended, *converted)]
    # A status that leads to conversion is no conversion yet: IsConverted of the lead tells.
    read = dict.fromkeys([*converted, *busy], "working") | dict.fromkeys(ended, "closed") | {new: "new"}
    written = {
        "new": new,
        "working": next(iter(busy), ""),
        "closed": next((n for n in ended if n not in converted), ""),
    }
    return Words({ours: theirs for ours, theirs in written.items() if theirs}, {k: v for k, v in read.items() if k})


def task_words(rows: Rows) -> Words:
    """Return the statuses of tasks, by whether they close one."""
    closed = [str(row.get("ApiName")) for row in rows if row.get("IsClosed") is True]
    opened = sorted(
        (row for row in rows if row.get("IsClosed") is not True), key=lambda row: row.get("IsDefault") is not True
    )
    names = [str(row.get("ApiName")) for row in opened]
    written = {"open": next(iter(names), ""), "done": next(iter(closed), "")}
    read = dict.fromkeys(names, "open") | dict.fromkeys(closed, "done")
    return Words({ours: theirs for ours, theirs in written.items() if theirs}, read)


def stage_words(rows: Rows) -> Words:
    """Return the stages of deals, by whether they are won or lost."""
    read = {str(row.get("ApiName")): _stage(row) for row in rows}
    written: dict[str, str] = {}
    for theirs, ours in read.items():
        written.setdefault(ours, theirs)
    return Words(written, read)


def _staff(row: Mapping[str, Any]) -> Staff:
    return Staff(row.get("IsActive") is True, str(row.get("TimeZoneSidKey") or "UTC"))


def _stage(row: Mapping[str, Any]) -> str:
    if row.get("IsWon") is True:
        return "won"
    return "lost" if row.get("IsClosed") is True else "open"


def _old(since: float) -> bool:
    return time.monotonic() - since > FRESH
