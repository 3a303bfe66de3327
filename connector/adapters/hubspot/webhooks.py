"""HubSpot's webhooks: is it from there, and what does it say. They name records and hold none of their data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

from connector.adapters.hubspot.feed import TYPES, refs
from connector.adapters.hubspot.places import CONTACTS, LEADS, ref_to
from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef
from connector.model.delivery import Delivery
from connector.sources import hubspot_signing

#: HubSpot sends at most this many events at once.
MOST_EVENTS = 100
_OBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "0-1": CONTACTS,
        "0-2": "companies",
        "0-3": "deals",
        "0-27": "tasks",
        "0-48": "calls",
        "0-136": LEADS,
        "contact": CONTACTS,
        "company": "companies",
        "deal": "deals",
    }
)
_CHANGES = frozenset({"creation", "propertyChange", "restore", "associationChange"})
_GONE: Mapping[str, EventType] = MappingProxyType(
    {"deletion": EventType.RECORD_DELETED, "privacyDeletion": EventType.RECORD_ERASED}
)
#: What tells one event from another; HubSpot's eventId alone is not unique, and a retry differs in attemptNumber.
_KEY = ("portalId", "subscriptionType", "objectId", "eventId", "occurredAt")


@dataclass(frozen=True, slots=True)
class Hooks:
    """Whose webhooks are ours: the app's secrets (two during a rotation), the address it sends to, the account."""

    secrets: Sequence[str] = field(default=(), repr=False)
    public_url: str = ""
    portal: str = ""

    def verify(self, delivery: Delivery) -> None:
        """Raise `WebhookRejected` unless the app signed it, by the third version and within five minutes.

        The older versions hold no time and no HMAC, and both arrive beside the third.
        """
        url = self.public_url or delivery.url
        if not url:
            raise WebhookRejected("no public address is configured")
        addressed = replace(delivery, url=url)
        hubspot_signing.check(addressed, self.secrets, delivery.received_at, old_signatures=False)

    def parse(self, delivery: Delivery) -> list[CrmEvent]:
        """Return the events of a verified delivery; those of another account are none of ours.

        Raises:
            UnreadableDelivery: the body is not a list of events, or is too long a one.
        """
        try:
            listed = orjson.loads(delivery.body)
        except orjson.JSONDecodeError:
            listed = None
        if not isinstance(listed, list):
            raise UnreadableDelivery("not a webhook of HubSpot: the body is not a list")
        if len(listed) > MOST_EVENTS:
            raise UnreadableDelivery(f"not a webhook of HubSpot: more than {MOST_EVENTS} events")
        events: list[CrmEvent] = []
        for item in listed:
            if isinstance(item, dict) and (not self.portal or str(item.get("portalId")) == self.portal):
                events += _events(item, delivery.received_at)
        return events


def _events(item: Mapping[str, Any], received_at: datetime) -> list[CrmEvent]:
    what = str(item.get("subscriptionType") or "")
    prefix, _, kind = what.partition(".")
    object_ = _OBJECTS.get(str(item.get("objectTypeId") or prefix), _OBJECTS.get(prefix, ""))
    id_ = ":".join(str(item.get(name, "")) for name in _KEY)
    at = _time(item.get("occurredAt")) or received_at
    subject = str(item.get("objectId") or item.get("fromObjectId") or "")
    if object_ and kind == "merge":
        return _merge(item, object_, id_, at)
    if object_ and kind in _CHANGES and subject.isdigit():
        return [CrmEvent(id_, EventType.RECORD_CHANGED, one(object_, subject), at)]
    if object_ and kind in _GONE and subject.isdigit():
        return [CrmEvent(f"{id_}:{ref.object_type}", _GONE[kind], ref, at) for ref in refs(object_, subject)]
    # Kept and counted: HubSpot adds kinds of events, and an error would make it send them again.
    return [CrmEvent(id_, EventType.UNKNOWN, RecordRef(ObjectType.LEAD, subject), at)]


def _merge(item: Mapping[str, Any], object_: str, id_: str, at: datetime) -> list[CrmEvent]:
    """Name those merged first: their ids still answer, with the record that is left (U)."""
    listed = item.get("mergedObjectIds")
    gone = [str(each) for each in listed] if isinstance(listed, list) else []
    primary = str(item.get("primaryObjectId") or "")
    left = str(item.get("newObjectId") or primary)
    if not left.isdigit():
        return [CrmEvent(id_, EventType.UNKNOWN, RecordRef(ObjectType.LEAD, left), at)]
    ended = [each for each in dict.fromkeys([primary, *gone]) if each.isdigit() and each != left]
    old = [ref for each in ended for ref in refs(object_, each)]
    named = [*old, one(object_, left)]
    return [CrmEvent(f"{id_}:{ref.object_type}:{ref.id}", EventType.RECORD_CHANGED, ref, at) for ref in named]


def one(object_: str, id_: str) -> RecordRef:
    """Return the reference to a record that is still to be read: a contact counts as a lead until then."""
    return RecordRef(ObjectType.LEAD, id_) if object_ == CONTACTS else ref_to(TYPES[object_], object_, id_)


def _time(value: object) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value / 1000, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None
