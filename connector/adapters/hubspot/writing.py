"""Batches of writes, answered item by item.

HubSpot answers 207 with an error per failed item, told apart by the trace we gave it. It may also refuse a whole
batch for one bad item: nothing was written then, so the batch is halved until the bad one stands alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.adapters.hubspot.client import BATCH, Batch, Entry, HubSpotClient, Json
from connector.adapters.hubspot.errors import OWNER, item_error
from connector.errors import (
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    RecordNotFound,
    Unavailable,
)

Answer = Entry | ConnectorError
Send = Callable[[Sequence[Json]], Batch]

#: Calls one batch may be halved into: enough to set two bad items of a hundred apart.
_MOST_CALLS = 24
#: These tell of the account, not of an item: halving would only ask again.
_SAME_FOR_ALL = frozenset({"PROPERTY_DOESNT_EXIST"})


@dataclass(frozen=True, slots=True)
class Item:
    """One write. `id` is the record's, or the value of our unique property; `links` are created with the record."""

    place: int
    properties: dict[str, str]
    id: str = ""
    trace: str = ""
    associations: Sequence[Json] = field(default=())

    @property
    def mark(self) -> str:
        """Return what tells this item from the others of its batch."""
        return self.trace or f"item-{self.place}"


class Writer:
    """Writes items of one object; never raises for a part once another part went through."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client

    def upsert(self, object_: str, key_field: str, items: Sequence[Item]) -> dict[int, Answer]:
        """Create or update by our unique property."""

        def send(inputs: Sequence[Json]) -> Batch:
            return self._client.upsert(object_, key_field, inputs)

        return self._checked(object_, items, _Sender(f"upsert {object_}", send, key_field).all(items))

    def update(self, object_: str, items: Sequence[Item]) -> dict[int, Answer]:
        """Update by id."""

        def send(inputs: Sequence[Json]) -> Batch:
            return self._client.update(object_, inputs)

        return self._checked(object_, items, _Sender(f"update {object_}", send).all(items))

    def create(self, object_: str, items: Sequence[Item], key_field: str) -> dict[int, Answer]:
        """Create, together with the associations of each item."""

        def send(inputs: Sequence[Json]) -> Batch:
            return self._client.create(object_, inputs)

        return self._checked(object_, items, _Sender(f"create {object_}", send, key_field, creates=True).all(items))

    def _checked(self, object_: str, items: Sequence[Item], answers: dict[int, Answer]) -> dict[int, Answer]:
        """Read owners back: one that HubSpot dropped in silence is refused (A16)."""
        asked = {item.place: item.properties[OWNER] for item in items if item.properties.get(OWNER)}
        doubtful = {
            place: answer
            for place, answer in answers.items()
            if isinstance(answer, Entry) and place in asked and answer.properties.get(OWNER) != asked[place]
        }
        if not doubtful:
            return answers
        ids = list(dict.fromkeys(entry.id for entry in doubtful.values()))
        held = {
            entry.id: entry.properties.get(OWNER) for entry in self._client.read_many(object_, ids, [OWNER]).entries
        }
        refused = OwnerRefused(f"{object_}: HubSpot did not take this owner: choose an active one")
        return answers | {place: refused for place, entry in doubtful.items() if held.get(entry.id) != asked[place]}


class _Sender:
    """Sends one batch, halved where it is refused as a whole."""

    def __init__(self, call: str, send: Send, key_field: str = "", *, creates: bool = False) -> None:
        self._call = call
        self._send = send
        self._key_field = key_field
        self._creates = creates
        self._calls = 0
        self._answered = False

    def all(self, items: Sequence[Item]) -> dict[int, Answer]:
        """Return the answer to every item."""
        answers: dict[int, Answer] = {}
        for start in range(0, len(items), BATCH):
            answers |= self._part(items[start : start + BATCH])
        return answers

    def _part(self, items: Sequence[Item]) -> dict[int, Answer]:
        if not items:
            return {}
        if self._calls >= _MOST_CALLS:
            later = Unavailable(f"{self._call}: too many refused items in one batch; this one was not sent")
            return {item.place: later for item in items}
        self._calls += 1
        try:
            batch = self._send([self._input(item) for item in items])
        except (InvalidRecord, OwnerRefused, RecordNotFound) as err:
            if len(items) == 1 or err.code in _SAME_FOR_ALL:
                return {item.place: err for item in items}
        except ConnectorError as err:
            if not self._answered:
                raise
            return {item.place: err for item in items}
        else:
            self._answered = True
            return self._read(items, batch)
        self._answered = True
        half = len(items) // 2
        return self._part(items[:half]) | self._part(items[half:])

    def _input(self, item: Item) -> Json:
        written: dict[str, Any] = {"properties": item.properties, "objectWriteTraceId": item.mark}
        if self._creates:
            written["associations"] = list(item.associations)
        else:
            written["id"] = item.id
        return written

    def _read(self, items: Sequence[Item], batch: Batch) -> dict[int, Answer]:
        by_trace = {entry.trace: entry for entry in batch.entries if entry.trace}
        by_name = {self._name(entry): entry for entry in batch.entries}
        failed = {mark: error for error in batch.errors for mark in _marks(error)}
        answers: dict[int, Answer] = {}
        for item in items:
            entry = by_trace.get(item.mark) or by_name.get(self._name_of(item))
            if entry is not None:
                answers[item.place] = entry
            elif item.mark in failed or item.id in failed:
                answers[item.place] = item_error(self._call, failed.get(item.mark) or failed[item.id])
            elif len(items) == 1 and len(batch.errors) == 1:
                answers[item.place] = item_error(self._call, batch.errors[0])
            else:
                answers[item.place] = OutcomeUnknown(f"{self._call}: no answer to one item of the batch")
        return answers

    def _name(self, entry: Entry) -> str:
        return str(entry.properties.get(self._key_field) or "") if self._key_field else entry.id

    def _name_of(self, item: Item) -> str:
        return item.properties.get(self._key_field, "") or item.id


def _marks(error: Json) -> list[str]:
    """Return what names the item of an error: our trace, or ids."""
    context = error.get("context")
    places = context if isinstance(context, dict) else {}
    return [str(mark) for name in ("objectWriteTraceId", "ids", "id") for mark in places.get(name) or ()]
