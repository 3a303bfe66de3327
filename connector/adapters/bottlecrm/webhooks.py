"""BottleCRM's webhooks: is it from there, and what does it say.

Its bodies lack custom fields, so they tell which record changed and not how: whoever hears it reads the record again.
A call cannot be read by itself, and is told whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.adapters import stamped
from connector.adapters.bottlecrm.records import record_of
from connector.adapters.mapping import ObjectMapping, instant
from connector.errors import UnreadableDelivery
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef
from connector.model.delivery import Delivery

_HEADER = "x-bottlecrm-signature"
#: What an endpoint should subscribe to. Not new leads and tasks: most are our own, and each would be read again. What
#: people create is told by the next poll.
EVENTS = (
    "lead.updated",
    "lead.deleted",
    "contact.created",
    "contact.updated",
    "contact.deleted",
    "account.created",
    "account.updated",
    "account.deleted",
    "deal.created",
    "deal.updated",
    "deal.deleted",
    "task.updated",
    "task.deleted",
    "interaction.created",
)
_OBJECTS = {
    "lead": ObjectType.LEAD,
    "contact": ObjectType.CONTACT,
    "account": ObjectType.ACCOUNT,
    "deal": ObjectType.DEAL,
    "task": ObjectType.TASK,
    "interaction": ObjectType.CALL,
}
_CHANGED = ("created", "updated", "won", "lost")


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Raise `WebhookRejected` unless one of the secrets signed the raw body within five minutes of its arrival."""
    stamped.verify(delivery, _HEADER, secrets)


def parse(delivery: Delivery, calls: ObjectMapping) -> list[CrmEvent]:
    """Return the event of a verified delivery; none of what we have no word for, such as tickets.

    Raises:
        UnreadableDelivery: the body is not what BottleCRM sends.
    """
    try:
        body = orjson.loads(delivery.body)
        kind, _, action = str(body["event"]).partition(".")
        return [_event(body, _OBJECTS[kind], action, calls)] if _concerns_us(kind, body) else []
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        reason = f"not a webhook of BottleCRM: {type(err).__name__}"
    raise UnreadableDelivery(reason)


def _concerns_us(kind: str, body: Mapping[str, Any]) -> bool:
    """Tell calls from messages and meetings, which are interactions too."""
    return kind in _OBJECTS and (kind != "interaction" or body["data"]["kind"] == "call")


def _event(body: Mapping[str, Any], object_type: ObjectType, action: str, calls: ObjectMapping) -> CrmEvent:
    data = body["data"]
    type_ = EventType.RECORD_CHANGED if action in _CHANGED else EventType.UNKNOWN
    if action == "deleted":
        type_ = EventType.RECORD_DELETED
    ref = RecordRef(object_type, str(data["id"]))
    record = None
    if object_type is ObjectType.CALL and type_ is EventType.RECORD_CHANGED:
        links = {"opportunity": data["opportunity_id"], "lead": data["lead_id"]}
        record = record_of(ref, {**data, **links}, calls, ZoneInfo("UTC"))
    # Said again, also by hand, an event keeps its id.
    return CrmEvent(str(body["id"]), type_, ref, instant(str(body["created_at"])), record)
