"""Whose shape a body has (I3): a likeness only warns, and nobody's own body looks like somebody else's."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_deliveries import JSON, URLENCODED, a_delivery
from source_samples import kinds, sample

from connector.sources.detect import GENERIC, SIGNS, likeness, looks_like
from connector.sources.registry import SOURCES

#: The fewest names each sender is known by, as it sends them.
BODIES = {
    "calendly": {"event": "invitee.created", "payload": {"uri": "u", "email": "e"}},
    "cards": {"house": "h", "batch": "b", "record": "1", "key_code": "K", "values": {}},
    "contact_form_7": {"your-name": "N", "your-email": "e"},
    "elementor": [("form[id]", "1"), ("form[name]", "Contact"), ("fields[email][value]", "e")],
    "fillout": {"formId": "f", "submission": {"submissionId": "s", "questions": []}},
    "google_ads": {"lead_id": "l", "user_column_data": []},
    "gravity_forms": {"id": "1", "form_id": "2", "source_url": "u", "date_created": "d", "is_starred": 0, "1.3": "N"},
    "hubspot_app": [{"subscriptionId": 1, "portalId": 2, "objectId": 3}],
    "hubspot_form": {"fields": [], "context": {"pageUri": "u"}},
    "hubspot_workflow": {"vid": 1, "portal-id": 2, "properties": {}},
    "jotform": [("formID", "1"), ("submissionID", "2"), ("rawRequest", "{}")],
    "linkedin": {"leadGenFormResponse": "u", "leadAction": "CREATED"},
    "meta": {"object": "page", "entry": []},
    "netlify": {"form_name": "f", "site_url": "u", "human_fields": {}, "data": {}, "email": "e"},
    "tally": {"eventType": "FORM_RESPONSE", "data": {"responseId": "r", "fields": []}},
    "typeform": {"event_type": "form_response", "form_response": {}},
    "unbounce": [("page_id", "p"), ("data.json", "{}")],
    "web_to_lead": [("oid", "00D"), ("retURL", "https://")],
    "webflow": {"triggerType": "form_submission", "payload": {"siteId": "s"}},
    "wufoo": [("Field1", "J"), ("EntryId", "5"), ("HandshakeKey", "k")],
}


def delivery(body):
    if isinstance(body, list) and isinstance(body[0], tuple):
        return a_delivery(urlencode(body), URLENCODED)
    return a_delivery(json.dumps(body), JSON)


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.kind)
def test_each_sender_is_known_by_its_shape_alone(sign):
    """I3."""
    assert looks_like(delivery(BODIES[sign.kind])) == sign


@pytest.mark.parametrize("sign", [sign for sign in SIGNS if sign.header], ids=lambda sign: sign.kind)
def test_a_signature_header_gives_away_a_sender_with_an_unknown_body(sign):
    assert looks_like(a_delivery("{}", JSON, headers={sign.header: "x"})) == sign


@pytest.mark.parametrize("kind", kinds())
def test_the_sample_of_a_kind_does_not_look_like_another(kind):
    """Over the registry: a new kind is held to it too."""
    assert likeness(sample(kind), kind, SOURCES) == ""


def test_a_wrong_source_is_warned_of_with_what_to_set():
    """I3: looks like one, the source is set to another."""
    typeform = delivery(BODIES["typeform"])

    assert "looks like Typeform, and the source is set to web_to_lead: set kind: typeform" in likeness(
        typeform, "web_to_lead", SOURCES
    )
    assert "no kind here reads it" in likeness(delivery(BODIES["wufoo"]), "typeform", {"typeform"})


def test_a_generic_source_is_told_only_of_a_kind_that_is_there():
    for kind in GENERIC:
        assert likeness(delivery(BODIES["tally"]), kind, {"form"}) == ""
        assert "set kind: tally" in likeness(delivery(BODIES["tally"]), kind, {"form", "tally"})


@given(st.binary(max_size=60), st.sampled_from([JSON, URLENCODED, "multipart/form-data; boundary=b", "", "x"]))
def test_no_bytes_make_it_fail(body, content_type):
    looks_like(a_delivery(body, content_type))
