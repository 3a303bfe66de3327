"""Records to Salesforce in as few calls as they need; what each call came to, item by item.

A call that fails as a whole is raised only where it was the only one: otherwise its items fail, and what was
applied by another call stays known as applied.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.adapters.http import WireError
from connector.adapters.salesforce.client import SalesforceClient, chunks, soql
from connector.adapters.salesforce.errors import Refusal, refusal
from connector.adapters.salesforce.records import KEY
from connector.errors import ConnectorError, OutcomeUnknown, TransientError
from connector.model.crm import ObjectType, Outcome, RecordRef, WriteResult

#: What a try came to: written, refused with a code, or an error of the whole call.
Try = WriteResult | Refusal | ConnectorError

#: Nothing without a unique key is created after this many seconds: the caller's lease must outlive the call.
PATIENCE = 3.0
_MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to write, for one command or several of the same record."""

    object_type: ObjectType
    sobject: str
    id: str
    key: str
    fields: Mapping[str, Any] = field(repr=False)
    #: Answered with this reference where the record written is not the one commanded.
    instead: RecordRef | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Return what makes two commands one record."""
        return ("id", self.id) if self.id else ("key", self.key)

    def body(self, keyed: bool) -> dict[str, Any]:
        """Return the record as sObject Collections take it."""
        name = {"attributes": {"type": self.sobject}}
        if self.id:
            return {**name, **self.fields, "id": self.id}
        return {**name, **self.fields, KEY: self.key} if keyed or self.key else {**name, **self.fields}

    def told(self, body: Any) -> WriteResult:
        """Return what the answer to this record alone says.

        Raises:
            OutcomeUnknown: nothing that can be read.
        """
        id_ = body.get("id") if isinstance(body, dict) else None
        if not isinstance(id_, str):
            raise _unread(self.sobject)
        return self.written(id_, Outcome.CREATED if body.get("created") is True else Outcome.UPDATED)

    def written(self, id_: str, outcome: Outcome) -> WriteResult:
        """Return a good end."""
        type_ = ObjectType.CONTACT if self.sobject == "Contact" else self.object_type
        return WriteResult(self.instead or RecordRef(type_, id_), outcome)


class Sender:
    """Sends the records of one batch; made anew for each."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client
        self._since = time.monotonic()

    def attempt(self, entries: Sequence[Entry], *, alone: bool = True) -> list[Try]:
        """Write records once. Raises a call's error only where that call was the only one and `alone`."""
        groups: dict[tuple[str, str], list[int]] = {}
        for place, entry in enumerate(entries):
            groups.setdefault(self._route(entry), []).append(place)
        tries: dict[int, Try] = {}
        failed: ConnectorError | None = None
        for (method, path), members in groups.items():
            some = [entries[place] for place in members]
            outcome: Sequence[Try] | None = None
            if failed is None:
                try:
                    outcome = self._call(method, path, some)
                except ConnectorError as err:
                    if alone and len(groups) == 1:
                        raise
                    outcome = [err] * len(some)
                    # What was not sent is as it was, whatever became of this call.
                    failed = _unsent(err)
            tries |= dict(
                zip(members, outcome if outcome is not None else [failed or _late()] * len(some), strict=True)
            )
        return [tries[place] for place in range(len(entries))]

    def _route(self, entry: Entry) -> tuple[str, str]:
        if entry.id:
            return "PATCH", "composite/sobjects"
        if entry.object_type is ObjectType.TASK:
            return "POST", "composite/sobjects"
        return "PATCH", f"composite/sobjects/{entry.sobject}/{KEY}"

    def _call(self, method: str, path: str, entries: Sequence[Entry]) -> list[Try]:
        if method == "POST" and time.monotonic() - self._since > PATIENCE:
            raise _late()
        bodies = [entry.body(keyed=path.endswith(KEY)) for entry in entries]
        results = self._client.collection(method, path, bodies)
        return [_tried(entry, result) for entry, result in zip(entries, results, strict=True)]


def keyed_rows(client: SalesforceClient, sobject: str, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the records that carry each of our keys; SOQL compares without regard to case, we do not."""
    found: dict[str, list[str]] = {}
    for some in chunks(list(dict.fromkeys(keys)), _MOST_KEYS):
        text = soql(f"SELECT Id, {KEY} FROM {sobject} WHERE {KEY} IN {{}} ORDER BY Id LIMIT 2000", list(some))  # noqa: S608
        for row in client.query(text):
            found.setdefault(str(row.get(KEY)), []).append(str(row.get("Id")))
    return {key: ids for key, ids in found.items() if key in set(keys)}


def _tried(entry: Entry, result: Mapping[str, Any]) -> Try:
    if result.get("success") is True and isinstance(result.get("id"), str):
        # An update by id says nothing of `created`, a creation by POST neither.
        new = result.get("created", not entry.id) is True
        outcome = Outcome.CREATED if new and entry.instead is None else Outcome.UPDATED
        return entry.written(str(result["id"]), outcome)
    errors = result.get("errors")
    first = next((error for error in errors if isinstance(error, dict)), None) if isinstance(errors, list) else None
    if result.get("success") is not False or first is None:
        return _unread(entry.sobject)
    return refusal(first)


def _unread(sobject: str) -> ConnectorError:
    error = OutcomeUnknown(f"{sobject}: the item's answer cannot be read")
    error.__cause__ = WireError("unreadable item")
    return error


def _unsent(err: ConnectorError) -> ConnectorError:
    if isinstance(err, OutcomeUnknown):
        error = TransientError("not sent: a call before it in the same batch had no answer")
        error.__cause__ = WireError("not sent")
        return error
    return err


def _late() -> ConnectorError:
    error = TransientError("not sent: what it needs took too long to read; the next attempt has it")
    error.__cause__ = WireError("not sent")
    return error
