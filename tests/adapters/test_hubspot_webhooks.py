"""HubSpot: webhooks (W1-W10, W15, W17).

Elsewhere: W5 and W9 (store, then answer) are the edge's, tests/flow/test_http_crm.py; W7, W13 and W18 (re-read, poll,
echo) are the flows', tests/flow/test_rereading.py and test_overtaken.py, and test_hubspot_feed.py for the poll. W11,
W12 and W16 are of other CRMs. W14 needs a workflow action, which this adapter does not offer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hubspot_rig import WEBHOOK_URL, HubSpotRig, LeadObjectsRig, a_delivery, an_event

from connector.adapters.hubspot.adapter import from_settings
from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.model.delivery import Delivery

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def delivered(*events: Mapping[str, Any], **how: Any) -> Delivery:
    return a_delivery(orjson.dumps(list(events)), **{"sent_at": NOON, "received_at": NOON, **how})


def parsed(rig: HubSpotRig, *events: Mapping[str, Any]) -> list[CrmEvent]:
    delivery = delivered(*events)
    rig.adapter.verify_webhook(delivery)
    return rig.adapter.parse_webhook(delivery)


def hooks(**secrets: str):
    options = {"public_url": WEBHOOK_URL, "portal": "62515"}
    return from_settings("test", options, {"token": "t", **secrets})


def test_the_vendors_own_vectors_pass() -> None:
    """W1: from HubSpot's SDKs for Python and Ruby."""
    secret, body = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", b"{'example_field':'example_value'}"
    adapter = from_settings(
        "t", {"public_url": "https://www.example.com/webhook_uri"}, {"token": "t", "client_secret": secret}
    )
    for stamp, signature in (
        (1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
        (1700000300000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
    ):
        at = datetime.fromtimestamp(stamp / 1000, tz=UTC)
        headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": str(stamp)}
        adapter.verify_webhook(replace(delivered(), body=body, headers=headers, received_at=at, url="https://proxy/x"))


def test_the_configured_address_counts_and_not_the_one_a_proxy_shows(hubspot: HubSpotRig) -> None:
    """W1."""
    hubspot.adapter.verify_webhook(replace(delivered(), url="http://10.0.0.7:8080/crm/test"))

    with pytest.raises(WebhookRejected):
        hubspot.adapter.verify_webhook(delivered(url="https://elsewhere.example/crm/test"))


def test_only_some_escapes_of_the_address_are_undone() -> None:
    """W4."""
    for address, signed in (
        ("https://h.example/crm/a%3Ab%2Fc?x=%40", "https://h.example/crm/a:b/c?x=@"),
        ("https://h.example/crm/a%20b%C3%BC", "https://h.example/crm/a%20b%C3%BC"),
    ):
        adapter = from_settings("t", {"public_url": address}, {"token": "t", "client_secret": "client-secret-5678"})

        adapter.verify_webhook(delivered(url=signed))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({"x-hubspot-request-timestamp": "1"}, b"[]", id="no signature"),
        pytest.param({"x-hubspot-signature-v3": "abc"}, b"[]", id="no time"),
        pytest.param({"x-hubspot-signature-v3": "ü" * 40, "x-hubspot-request-timestamp": "٣"}, b"[]", id="not ascii"),
        pytest.param({"x-hubspot-signature-v3": "a,b", "x-hubspot-request-timestamp": "1,1"}, b"[]", id="repeated"),
        pytest.param({"x-hubspot-signature-v3": "a", "x-hubspot-request-timestamp": "9" * 40}, b"[]", id="absurd time"),
    ],
)
def test_a_header_that_is_missing_repeated_or_odd_is_rejected(
    hubspot: HubSpotRig, headers: Mapping[str, str], body: bytes
) -> None:
    """W2: never another exception."""
    with pytest.raises(WebhookRejected):
        hubspot.adapter.verify_webhook(replace(delivered(), headers=headers, body=body))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_older_signatures_are_refused(hubspot: HubSpotRig, version: str) -> None:
    """W3: they are valid, and whoever has seen one can send it for ever."""
    delivery = delivered(an_event("object.creation", "123", at=NOON))
    signed = b"client-secret-5678" + (b"POST" + WEBHOOK_URL.encode() if version == "v2" else b"") + delivery.body
    headers = {
        "x-hubspot-signature": hashlib.sha256(signed).hexdigest(),
        "x-hubspot-signature-version": version,
        "x-hubspot-request-timestamp": str(int(NOON.timestamp() * 1000)),
    }

    with pytest.raises(WebhookRejected):
        hubspot.adapter.verify_webhook(replace(delivery, headers=headers))


def test_an_older_signature_in_the_place_of_the_third_is_refused(hubspot: HubSpotRig) -> None:
    """W3."""
    delivery = delivered(an_event("object.creation", "123", at=NOON))
    old = hashlib.sha256(b"client-secret-5678" + delivery.body).hexdigest()

    with pytest.raises(WebhookRejected):
        hubspot.adapter.verify_webhook(replace(delivery, headers={**delivery.headers, "x-hubspot-signature-v3": old}))


def test_both_secrets_are_valid_during_a_rotation() -> None:
    """W15: and a third one, or an empty one, is not."""
    adapter = hooks(client_secret="new", client_secret_previous="old")

    for secret in ("new", "old"):
        adapter.verify_webhook(delivered(secret=secret))
    for secret in ("older", ""):
        with pytest.raises(WebhookRejected):
            adapter.verify_webhook(delivered(secret=secret))


def test_without_a_secret_nothing_is_authentic() -> None:
    with pytest.raises(WebhookRejected):
        hooks().verify_webhook(delivered(secret=""))


@pytest.mark.parametrize(
    ("kind", "object_type", "told"),
    [
        ("object.creation", "0-1", (EventType.RECORD_CHANGED, ObjectType.LEAD, "123")),
        ("object.propertyChange", "0-3", (EventType.RECORD_CHANGED, ObjectType.DEAL, "123")),
        ("object.restore", "0-2", (EventType.RECORD_CHANGED, ObjectType.ACCOUNT, "123")),
        ("object.propertyChange", "0-136", (EventType.RECORD_CHANGED, ObjectType.LEAD, "0-136:123")),
        ("contact.creation", "", (EventType.RECORD_CHANGED, ObjectType.LEAD, "123")),
        ("deal.propertyChange", "", (EventType.RECORD_CHANGED, ObjectType.DEAL, "123")),
        ("deal.deletion", "", (EventType.RECORD_DELETED, ObjectType.DEAL, "123")),
        ("object.creation", "2-4711", (EventType.UNKNOWN, ObjectType.LEAD, "123")),
        ("conversation.newMessage", "", (EventType.UNKNOWN, ObjectType.LEAD, "123")),
        ("contact.dreaming", "", (EventType.UNKNOWN, ObjectType.LEAD, "123")),
    ],
)
def test_each_kind_of_event(hubspot: HubSpotRig, kind: str, object_type: str, told: tuple[object, ...]) -> None:
    """W6: what nobody has heard of is kept and counted."""
    (event,) = parsed(hubspot, an_event(kind, "123", at=NOON, object_type=object_type))

    assert (event.type, event.ref.object_type, event.ref.id) == told
    assert (event.record, event.occurred_at) == (None, NOON)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("contact.deletion", EventType.RECORD_DELETED),
        ("contact.privacyDeletion", EventType.RECORD_ERASED),
        ("object.deletion", EventType.RECORD_DELETED),
    ],
)
def test_a_deleted_contact_is_gone_as_a_lead_and_as_a_contact(hubspot: HubSpotRig, kind: str, told: EventType) -> None:
    """W10: nobody can be asked any more what it was."""
    events = parsed(hubspot, an_event(kind, "123", at=NOON))

    assert {(event.type, event.ref) for event in events} == {
        (told, RecordRef(ObjectType.LEAD, "123")),
        (told, RecordRef(ObjectType.CONTACT, "123")),
    }


def test_a_merge_leads_from_the_old_records_to_the_new_one(hubspot: HubSpotRig) -> None:
    """W10: each old reference is read again, and answers with the record that is left."""
    account = hubspot.server.account
    ours = account.put("contacts", email="a@example.com", hearback_key="lead:1")
    other = account.put("contacts", email="b@example.com")
    new = account.merge("contacts", other, ours)
    event = an_event("contact.merge", new, at=NOON, object_type="") | {
        "primaryObjectId": int(other),
        "mergedObjectIds": [int(ours)],
        "newObjectId": int(new),
        "numberOfPropertiesMoved": 3,
    }

    events = parsed(hubspot, event)
    records = hubspot.adapter.fetch_many([event.ref for event in events])

    assert {event.ref for event in events} == {
        RecordRef(kind, id_) for kind in (ObjectType.LEAD, ObjectType.CONTACT) for id_ in (ours, other)
    } | {RecordRef(ObjectType.LEAD, new)}
    assert {record.ref for record in records if isinstance(record, Record)} == {RecordRef(ObjectType.LEAD, new)}


def test_what_is_named_is_read_a_hundred_at_once(hubspot: HubSpotRig) -> None:
    """W7: the record tells what it is: a contact without our key is no lead."""
    account = hubspot.server.account
    ids = [account.put("contacts", email=f"{n}@example.com") for n in range(99)]
    ours = account.put("contacts", email="ours@example.com", hearback_key="lead:1", hearback_response="accepted")
    before = hubspot.requests()

    records = hubspot.adapter.fetch_many([RecordRef(ObjectType.LEAD, id_) for id_ in [*ids, ours]])

    assert hubspot.requests() - before == 1
    assert [record.ref.object_type for record in records[:99] if isinstance(record, Record)] == [
        ObjectType.CONTACT
    ] * 99
    assert isinstance(records[99], Record)
    assert records[99].ref == RecordRef(ObjectType.LEAD, ours)
    assert records[99].fields["response"] == "accepted"


def test_what_is_gone_is_not_found_among_others(hubspot_leads: LeadObjectsRig) -> None:
    there = hubspot_leads.server.account.put("deals", dealname="Pumps")

    found, gone, junk = hubspot_leads.adapter.fetch_many(
        [RecordRef(ObjectType.DEAL, there), RecordRef(ObjectType.DEAL, "999"), RecordRef(ObjectType.DEAL, "../x")]
    )

    assert isinstance(found, Record)
    assert {type(gone).__name__, type(junk).__name__} == {"RecordNotFound"}


def test_events_of_another_account_are_none_of_ours(hubspot: HubSpotRig) -> None:
    """W17: an app has one secret and one address for all accounts it is installed in."""
    ours, theirs = an_event("deal.creation", "1", at=NOON), an_event("deal.creation", "2", at=NOON, portalId=999)

    assert [event.ref.id for event in parsed(hubspot, ours, theirs)] == ["1"]


def test_one_bad_event_spares_the_others(hubspot: HubSpotRig) -> None:
    """W8."""
    odd: list[Any] = [
        {"portalId": 62515},
        {"portalId": 62515, "subscriptionType": 7, "objectId": {"a": 1}, "occurredAt": "noon"},
        {"portalId": 62515, "subscriptionType": "contact.merge", "mergedObjectIds": "x"},
        "text",
        None,
        {"portalId": 62515, "subscriptionType": "deal.creation", "objectId": "../../x", "occurredAt": 10**17},
    ]

    events = parsed(hubspot, *odd, an_event("deal.creation", "5", at=NOON, object_type="0-3"))

    assert [event.ref.id for event in events if event.type is EventType.RECORD_CHANGED] == ["5"]


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b'"x"'], ids=repr)
def test_a_body_that_is_no_list_is_unreadable(hubspot: HubSpotRig, body: bytes) -> None:
    """W8."""
    delivery = a_delivery(body, sent_at=NOON, received_at=NOON)
    hubspot.adapter.verify_webhook(delivery)

    with pytest.raises(UnreadableDelivery):
        hubspot.adapter.parse_webhook(delivery)


def test_more_events_than_hubspot_sends_are_unreadable(hubspot: HubSpotRig) -> None:
    """W8: count and size are capped, the size by the edge."""
    with pytest.raises(UnreadableDelivery):
        parsed(hubspot, *[an_event("deal.creation", str(n), at=NOON) for n in range(101)])


def test_parsing_calls_nobody(hubspot: HubSpotRig) -> None:
    """W5."""
    before = hubspot.requests()

    parsed(hubspot, an_event("contact.creation", "1", at=NOON))

    assert hubspot.requests() == before


def test_a_retry_is_the_same_event_and_another_time_is_not(hubspot: HubSpotRig) -> None:
    """W7: eventId is not unique, attemptNumber is not part of the key."""
    event = an_event("deal.creation", "1", at=NOON)
    ids = [
        parsed(hubspot, each)[0].id
        for each in (
            event,
            event | {"attemptNumber": 3},
            an_event("deal.creation", "1", at=NOON + timedelta(seconds=1)),
        )
    ]

    assert (ids[0] == ids[1], ids[1] == ids[2]) == (True, False)
