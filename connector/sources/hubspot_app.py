"""HubSpot app webhooks: a list of events that name contacts and say nothing else of them.

`hubspot_signing` verifies them, v1 being their older signature.

Format and signature: HubSpot developer docs, "Webhooks API" and "Validating requests".
"""

from dataclasses import dataclass
from datetime import datetime

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.sources.bodies import MAX_FIELDS, json_document
from connector.sources.objects import Json, id_or_empty, scalar_or_empty, unix_ms

# The vendor sends up to 100 events at once.
_MOST = MAX_FIELDS
_KEY = ("subscriptionId", "objectId", "occurredAt", "eventId")


@dataclass(frozen=True, slots=True)
class AppEvent:
    """Something happened to a record. `key` stays the same over retries; `record` must be fetched."""

    key: str
    kind: str
    record: str
    occurred_at: datetime | None


def events(delivery: Delivery) -> list[AppEvent]:
    """Return the events in the order sent, each once; a retry differs in `attemptNumber` only.

    `eventId` alone does not tell events apart: the key is the four values of `_KEY` (requirement I9).
    """
    listed = json_document(delivery.body)
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise UnreadableDelivery("the body is not a list of events")
    if len(listed) > _MOST:
        raise UnreadableDelivery(f"the list holds more than {_MOST} events")
    found = {event.key: event for event in map(_event, listed)}
    return list(found.values())


def _event(item: Json) -> AppEvent:
    record = id_or_empty(item.get("objectId"))
    if not record:
        raise UnreadableDelivery("an event names no objectId")
    return AppEvent(
        key=":".join(id_or_empty(item.get(name)) for name in _KEY),
        kind=scalar_or_empty(item.get("subscriptionType")),
        record=record,
        occurred_at=unix_ms(item.get("occurredAt")),
    )
