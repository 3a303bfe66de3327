"""Outbound Messages: SOAP that a Flow sends when a record changes. Nothing signs them.

A secret in the path and the organisation's id prove the sender; the body names records and is not believed beyond
that, so each event is a reason to read the record again (W16). Salesforce repeats a message for a day until it reads
an Ack, sends up to 100 in one post, and keeps no order.
"""

import hmac
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connector.adapters.mapping import ObjectMapping
from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef
from connector.model.delivery import Delivery

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
_SOBJECT = "{urn:sobject.enterprise.soap.sforce.com}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_MOST = 100
_ID_LENGTH = 15
_LONGEST = 64

ACK = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)


def verify(delivery: Delivery, secrets: Sequence[str], organization: str) -> None:
    """Raise `WebhookRejected` unless a secret stands in the path and the body is of this organisation.

    The secret is looked at first: a stranger's XML is not even parsed.
    """
    presented = delivery.presented.encode()
    if not any([hmac.compare_digest(presented, secret.encode()) for secret in secrets]):  # noqa: C419 - all are compared
        raise WebhookRejected("secret of the path missing or wrong")
    try:
        told = _messages(delivery.body).findtext(f"{_OUTBOUND}OrganizationId") or ""
    except UnreadableDelivery as err:
        step = str(err)
    else:
        # 15 letters tell case apart, 18 do not need to: the first 15 are the same.
        if organization and told.strip()[:_ID_LENGTH] == organization[:_ID_LENGTH]:
            return
        step = "another organisation"
    raise WebhookRejected(step)


def parse(delivery: Delivery, mappings: Mapping[ObjectType, ObjectMapping]) -> list[CrmEvent]:
    """Return an event for each record a delivery names, without its state.

    Raises:
        UnreadableDelivery: the body is no Outbound Message.
    """
    types = {mapping.name: type_ for type_, mapping in mappings.items() if type_ is not ObjectType.CALL}
    found = _messages(delivery.body).findall(f"{_OUTBOUND}Notification")[:_MOST]
    events = [_event(notification, types, delivery) for notification in found]
    return [event for event in events if event is not None]


def _messages(body: bytes) -> Element:
    try:
        root = fromstring(body, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError) as err:
        reason = f"no Outbound Message: {type(err).__name__}"
    else:
        found: Element | None = root.find(f"{_SOAP}Body/{_OUTBOUND}notifications")
        if found is not None:
            return found
        reason = "no Outbound Message: no notifications in it"
    raise UnreadableDelivery(reason)


def _event(notification: Element, types: Mapping[str, ObjectType], delivery: Delivery) -> CrmEvent | None:
    """Return the event of one notification; one that names nothing spares the others (W8)."""
    id_ = (notification.findtext(f"{_OUTBOUND}Id") or "").strip()
    record = notification.find(f"{_OUTBOUND}sObject")
    found = (record.findtext(f"{_SOBJECT}Id") or "").strip() if record is not None else ""
    if record is None or not id_ or not 0 < len(found) <= _LONGEST:
        return None
    type_ = types.get(record.get(_TYPE, "").rpartition(":")[2])
    if type_ is None:
        # The vocabulary has no word for the object; nobody acts on what is UNKNOWN.
        return CrmEvent(id_, EventType.UNKNOWN, RecordRef(ObjectType.LEAD, found), delivery.received_at)
    return CrmEvent(id_, EventType.RECORD_CHANGED, RecordRef(type_, found), delivery.received_at)
