"""The sandbox CRM's webhooks: is it from there, and what does it say."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from connector.adapters import stamped
from connector.adapters.mapping import ObjectMapping, instant
from connector.errors import UnreadableDelivery
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef
from connector.model.delivery import Delivery

_HEADER = "x-sandbox-signature"
_TYPES = {
    "created": EventType.RECORD_CHANGED,
    "updated": EventType.RECORD_CHANGED,
    "deleted": EventType.RECORD_DELETED,
}

Mappings = Mapping[ObjectType, ObjectMapping]


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Raise `WebhookRejected` unless one of the secrets signed the raw body within five minutes of its arrival."""
    stamped.verify(delivery, _HEADER, secrets)


def parse(delivery: Delivery, mappings: Mappings) -> list[CrmEvent]:
    """Return the events of a verified delivery in the order they happened.

    Raises:
        UnreadableDelivery: the body is not what the sandbox CRM sends.
    """
    try:
        events = orjson.loads(delivery.body)["events"]
        return events_of(events, mappings)
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        reason = f"not a webhook of the sandbox CRM: {type(err).__name__}"
    raise UnreadableDelivery(reason)


def events_of(entries: Sequence[Mapping[str, Any]], mappings: Mappings) -> list[CrmEvent]:
    """Return events from a webhook or the change feed, which tell them in the same words.

    Objects we have no word for are left out: the vocabulary cannot point at them.
    """
    types = {mapping.name: type_ for type_, mapping in mappings.items()}
    return [_event(entry, types[entry["object"]], mappings) for entry in entries if entry["object"] in types]


def _event(entry: Mapping[str, Any], object_type: ObjectType, mappings: Mappings) -> CrmEvent:
    told = entry["record"]
    ref = RecordRef(object_type, told["id"])
    type_ = _TYPES.get(entry["type"], EventType.UNKNOWN)
    record = None
    if type_ is EventType.RECORD_CHANGED:
        record = mappings[object_type].record(ref, told["fields"], told.get("updated_at"))
    return CrmEvent(entry["id"], type_, ref, instant(entry["occurred_at"]), record)
