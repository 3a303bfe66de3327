"""Outbound Messages: W5 to W9, W11, W15 to W17. W1 to W4 and W10, W12, W14 are other senders'."""

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from salesforce_rig import HOOK, SECRET, outbound
from salesforce_server.org import ORG_ID
from salesforce_server.server import ORIGIN

from connector.adapters.salesforce.adapter import SalesforceAdapter, from_settings
from connector.adapters.salesforce.webhooks import ACK
from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.crm import EventType, ObjectType, RecordRef

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LEAD = "00Q000000000001AAA"


@pytest.fixture
def adapter() -> SalesforceAdapter:
    return from_settings(
        "main",
        {"base_url": ORIGIN, "client_id": "c", "organization_id": ORG_ID},
        {"client_secret": SECRET, "webhook": HOOK, "webhook_previous": "the-one-before"},
    )


@pytest.mark.parametrize("secret", [HOOK, "the-one-before"])
def test_both_secrets_hold_during_a_rotation(adapter: SalesforceAdapter, secret: str) -> None:
    """W15."""
    adapter.verify_webhook(outbound([LEAD], received_at=NOON, secret=secret))


@pytest.mark.parametrize("secret", ["", "wrong", HOOK[:-1], HOOK + "x", "ü"])
def test_a_wrong_secret_is_rejected(adapter: SalesforceAdapter, secret: str) -> None:
    """W11."""
    with pytest.raises(WebhookRejected):
        adapter.verify_webhook(outbound([LEAD], received_at=NOON, secret=secret))


def test_without_a_secret_nothing_is_let_in() -> None:
    """W11: fail closed."""
    adapter = from_settings("main", {"base_url": ORIGIN, "client_id": "c"}, {"client_secret": SECRET})
    for secret in ("", HOOK):
        with pytest.raises(WebhookRejected):
            adapter.verify_webhook(outbound([LEAD], received_at=NOON, secret=secret))


@pytest.mark.parametrize("organization", ["00D000000000002AAA", "", "00D00000000000"])
def test_another_organisation_is_rejected(adapter: SalesforceAdapter, organization: str) -> None:
    """W11, W17: also with the right secret."""
    with pytest.raises(WebhookRejected):
        adapter.verify_webhook(outbound([LEAD], received_at=NOON, organization=organization))


def test_the_short_form_of_the_organisations_id_is_the_same(adapter: SalesforceAdapter) -> None:
    """W17."""
    adapter.verify_webhook(outbound([LEAD], received_at=NOON, organization=ORG_ID[:15]))


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY e "e">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    ],
    ids=["entity", "external dtd", "file", "bomb"],
)
def test_document_types_and_entities_are_refused(adapter: SalesforceAdapter, head: str) -> None:
    """W11."""
    with pytest.raises(WebhookRejected):
        adapter.verify_webhook(outbound([LEAD], received_at=NOON, head=head))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<a/>", b"<a", b"\xff\xfe", b'<?xml version="1.0" encoding="nonsense"?><a/>']
)
def test_what_is_no_outbound_message_is_rejected(adapter: SalesforceAdapter, body: bytes) -> None:
    """W2: never another exception, at the door and in the job."""
    delivery = replace(outbound([LEAD], received_at=NOON), body=body)

    with pytest.raises(WebhookRejected):
        adapter.verify_webhook(delivery)
    with pytest.raises(UnreadableDelivery):
        adapter.parse_webhook(delivery)


def test_the_body_names_records_and_is_not_believed_beyond_that(adapter: SalesforceAdapter) -> None:
    """W7, W16: the sample says another owner; only the record's id is taken."""
    deals = adapter.parse_webhook(outbound(["006000000000001AAA"], received_at=NOON, type_="Opportunity"))

    (event,) = deals
    assert (event.ref, event.record, event.type) == (
        RecordRef(ObjectType.DEAL, "006000000000001AAA"),
        None,
        EventType.RECORD_CHANGED,
    )


def test_one_bad_notification_spares_the_others(adapter: SalesforceAdapter) -> None:
    """W8."""
    good = outbound([LEAD, "00Q000000000002AAA"], received_at=NOON)
    bad = good.body.replace(b"<sf:Id>00Q000000000001AAA</sf:Id>", b"", 1)

    events = adapter.parse_webhook(replace(good, body=bad))

    assert [event.ref.id for event in events] == ["00Q000000000002AAA"]


def test_the_count_is_capped(adapter: SalesforceAdapter) -> None:
    """W8: Salesforce sends 100 at most."""
    many = [f"00Q{number:012d}AAA" for number in range(150)]

    assert len(adapter.parse_webhook(outbound(many, received_at=NOON))) == 100


def test_the_answer_is_an_acknowledgement() -> None:
    """W11: anything else is sent again for a day."""
    root = ET.fromstring(ACK)

    assert root.findtext(".//{http://soap.sforce.com/2005/09/outbound}Ack") == "true"
    assert SalesforceAdapter.webhook_answer == ("text/xml", ACK)
