"""Meta, LinkedIn, HubSpot apps, Calendly, WordPress plug-ins, Unbounce, Wufoo and JSON tools, without a database."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_deliveries import JSON, NOW, URLENCODED, a_delivery
from vendor_support import app_contact, app_event, app_events, compact, graph_lead, lead_action, leadgen, member_lead

from connector.adapters.http import Answer
from connector.errors import (
    AuthenticationError,
    PermissionDenied,
    RateLimited,
    RecordNotFound,
    Unavailable,
    UnexpectedAnswer,
    UnreadableDelivery,
    WebhookRejected,
)
from connector.model.lead import Consent, Ignored, Withdrawal
from connector.publishing import read
from connector.settings import default_folder
from connector.signatures import Encoding, hmac_sha256
from connector.sources import hubspot_app, linkedin, meta
from connector.sources.base import Handshake, Keys, Reading
from connector.sources.php import strings_of
from connector.sources.registry import SOURCES, source_for
from connector.sources.shared_secret import check_shown

VENDORS = (
    *("calendly", "contact_form_7", "elementor", "gravity_forms", "hubspot_app", "json", "linkedin", "meta"),
    *("unbounce", "wpforms", "wufoo"),
)
URN = "urn:li:leadGenFormResponse:501-1"


def parse(kind, body, content_type=JSON, *, fetched=None, **reading):
    body = body if isinstance(body, bytes | str) else json.dumps(body)
    delivery = replace(a_delivery(body, content_type), fetched=fetched or {})
    return list(source_for(kind).parse(delivery, Reading(**reading)))


def missing(kind, body, **fetched):
    delivery = replace(a_delivery(body, JSON), fetched=fetched)
    return [document.name for document in source_for(kind).missing(delivery, Reading())]


def answer(status, body=b"", **headers):
    return Answer(status, headers, body if isinstance(body, bytes) else orjson.dumps(body), "GET /1", write=False)


def graph(code, subcode=0, **headers):
    return answer(400, {"error": {"code": code, "error_subcode": subcode}}, **headers)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (graph(1), Unavailable),
        (graph(2), Unavailable),
        (graph(4), RateLimited),
        (graph(17), RateLimited),
        (graph(32), RateLimited),
        (graph(613), RateLimited),
        (graph(80005), RateLimited),
        (graph(190), AuthenticationError),
        (graph(102), AuthenticationError),
        (graph(3), PermissionDenied),
        (graph(10), PermissionDenied),
        (graph(200), PermissionDenied),
        (graph(299), PermissionDenied),
        (graph(100, 33), RecordNotFound),
        (graph(803), RecordNotFound),
        (graph(100), UnexpectedAnswer),
        (graph(300), UnexpectedAnswer),
        (answer(400, b"<html>"), UnexpectedAnswer),
        (answer(400, {"error": "no"}), UnexpectedAnswer),
        (answer(404, []), UnexpectedAnswer),
    ],
)
def test_each_error_of_the_graph_says_what_to_do_next(given, kind):
    error = meta.refusal(given)

    assert type(error) is kind
    assert meta.refusal(answer(200, {})) is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "30"}, timedelta(seconds=30)),
        ({"X-Business-Use-Case-Usage": "{"}, None),
        ({"X-Business-Use-Case-Usage": "[]"}, None),
        ({"X-Business-Use-Case-Usage": '{"1":[{"estimated_time_to_regain_access":0}]}', "Retry-After": "5"}, 5),
        (
            {
                "X-Business-Use-Case-Usage": '{"1":[{"estimated_time_to_regain_access":3}],'
                '"2":[{"estimated_time_to_regain_access":12}, 7]}'
            },
            timedelta(minutes=12),
        ),
    ],
)
def test_the_longest_wait_the_graph_names_is_kept(headers, wait):
    error = meta.refusal(graph(4, **headers))

    assert error.retry_after == (timedelta(seconds=wait) if isinstance(wait, int) else wait)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, PermissionDenied),
        (404, RecordNotFound),
        (410, RecordNotFound),
        (400, UnexpectedAnswer),
        (426, UnexpectedAnswer),
    ],
)
def test_linkedins_answers_are_told_by_their_status(status, kind):
    assert type(linkedin.refusal(answer(status))) is kind
    assert linkedin.refusal(answer(200, {})) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, PermissionDenied),
        (404, RecordNotFound),
        (410, RecordNotFound),
        (423, Unavailable),
        (477, Unavailable),
        (400, UnexpectedAnswer),
    ],
)
def test_a_hubspot_apps_answers_are_told_by_their_status(status, kind):
    error = hubspot_app.refusal(answer(status, **{"Retry-After": "7"}))

    assert type(error) is kind
    assert getattr(error, "retry_after", None) == (timedelta(seconds=7) if kind is Unavailable else None)
    assert hubspot_app.refusal(answer(200, {})) is None


def test_a_contact_is_asked_for_once_and_by_its_digits():
    """I9, I12: an id as text or number is one contact; two events of it are two keys and one thing to fetch."""
    body = compact([app_event(5), app_event("5", subscriptionId=6002), app_event(6), app_event(7, "contact.deletion")])

    assert missing("hubspot_app", body) == ["5", "6"]
    assert missing("hubspot_app", body, **{"5": "{}"}) == ["6"]
    contact = json.dumps(app_contact(5, mobilephone="+49 170 23125001", hs_language="de"))
    leads = [each for each in parse("hubspot_app", body, fetched={"5": contact}) if not isinstance(each, Ignored)]
    assert [lead.lead_key for lead in leads] == ["6001:5:1789560000101:7", "6002:5:1789560000101:7"]
    assert {lead.notice_key for lead in leads} == {"notice:contact:3003:5"}
    assert leads[0].fields == {
        "first_name": "Nora",
        "last_name": "Feld",
        "email": "nora.5@feld.example",
        "phone": "+49 170 23125001",
        "company": "Feld GmbH",
        "postal_code": "10115",
        "city": "Berlin",
        "country": "Germany",
        "language": "de",
    }
    assert leads[0].extra == {}


@pytest.mark.parametrize(
    ("mapping", "more", "less"),
    [
        ({}, set(), set()),
        ({"budget": "custom.budget", "Ansprechpartner": "full_name", "a,b": "email"}, {"budget"}, set()),
        ({"message": "ignore", "secret": "ignore", "city": "custom.town"}, set(), {"message"}),
    ],
)
def test_no_property_is_asked_for_that_is_not_used(mapping, more, less):
    def asked(mapping):
        [document] = source_for("hubspot_app").missing(a_delivery(app_events(5), JSON), Reading(mapping=mapping))
        return set(document.path.partition("?properties=")[2].split(","))

    assert asked(mapping) == (asked({}) | more) - less


def test_a_lead_is_asked_for_once_and_by_its_digits():
    """I9, I12: ids as text or number are one; 0 is none; nothing but digits reaches the vendor's address."""
    body = leadgen(9001, "9001", 0, "0", "../me", "９００２", 9003)

    assert missing("meta", body) == ["9001", "9003"]
    assert missing("meta", body, **{"9001": "{}"}) == ["9003"]
    [document] = source_for("meta").missing(a_delivery(leadgen(7), JSON), Reading())
    assert document.path == "/7?fields=created_time,form_id,field_data,custom_disclaimer_responses"


def test_only_leadgen_changes_count():
    event = json.loads(leadgen(9001, 9002))
    event["entry"][0]["changes"][0]["field"] = "feed"

    assert missing("meta", compact(event)) == ["9002"]


def test_a_fetched_lead_keeps_several_values_ids_and_boxes():
    document = {
        **graph_lead(9001),
        "custom_disclaimer_responses": [
            {"checkbox_key": "news", "is_checked": "1"},
            {"checkbox_key": "calls", "is_checked": ""},
            {"checkbox_key": "post", "is_checked": False},
        ],
    }
    document["field_data"].append({"name": "which_products", "values": ["A", "B"]})

    [lead] = parse("meta", leadgen(9001), fetched={"9001": json.dumps(document)})

    assert lead.lead_key == "9001"
    assert lead.extra == {"which_products": "A;B"}
    assert lead.attribution == {"page_id": "70001", "form_id": "80001"}
    assert lead.consents == (Consent("news", True), Consent("post", False))
    assert lead.occurred_at == datetime(2026, 9, 16, 12, tzinfo=UTC)
    assert not lead.is_test


def test_a_lead_given_up_is_left_out():
    leads = parse("meta", leadgen(9001, 9002), fetched={"9001": "", "9002": json.dumps(graph_lead(9002))})

    assert [lead.lead_key for lead in leads] == ["9002"]


@pytest.mark.parametrize(
    ("query", "token", "result"),
    [
        ({"hub.mode": "subscribe", "hub.verify_token": "v", "hub.challenge": "7"}, "v", "7"),
        ({"hub.mode": "unsubscribe", "hub.verify_token": "v"}, "v", None),
        ({}, "v", None),
        ({"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "7"}, "", WebhookRejected),
        ({"hub.mode": "subscribe", "hub.verify_token": "w", "hub.challenge": "7"}, "v", WebhookRejected),
        ({"hub.mode": "subscribe", "hub.challenge": "7"}, "v", WebhookRejected),
    ],
)
def test_metas_challenge_needs_the_verify_token(query, token, result):
    """I15."""
    keys = Keys(secrets=("v", "w"), verify_token=token)
    if result is WebhookRejected:
        with pytest.raises(WebhookRejected):
            source_for("meta").challenge(query, keys)
        return

    found = source_for("meta").challenge(query, keys)

    assert found == (Handshake(result, "text/plain; charset=utf-8") if result else None)


def test_linkedins_challenge_fits_the_published_example():
    """The code signed with the secret, in hex, without a prefix."""
    code = "3f2b8c1e-7a54-4d0b-9c66-1f0e2d3c4b5a"

    found = source_for("linkedin").challenge({"challengeCode": code}, Keys(secrets=("test-secret",)))

    expected = "e1180c4d933a4018af211279bef630448237f44bdec87486cb4a9aa5004ffb34"
    assert json.loads(found.body) == {"challengeCode": code, "challengeResponse": expected}
    with pytest.raises(WebhookRejected):
        source_for("linkedin").challenge({"challengeCode": code}, Keys())


def test_the_prefix_is_signed_and_not_sent():
    body = lead_action()
    with_prefix = hmac_sha256("s", b"hmacsha256=" + body, Encoding.HEX)

    def verify(given):
        delivery = a_delivery(body, JSON, headers={"x-li-signature": given})
        source_for("linkedin").verify(delivery, ["old", "s"], NOW)

    verify(with_prefix)
    for wrong in (hmac_sha256("s", body, Encoding.HEX), f"hmacsha256={with_prefix}", with_prefix.upper()):
        with pytest.raises(WebhookRejected):
            verify(wrong)


def test_a_deleted_answer_is_a_withdrawal_under_the_key_of_the_lead():
    """I18."""
    [lead] = parse("linkedin", lead_action(), fetched={URN: json.dumps(member_lead())})

    assert parse("linkedin", lead_action(action="DELETED")) == [Withdrawal(lead.lead_key)]
    assert missing("linkedin", lead_action(action="DELETED")) == []


@pytest.mark.parametrize("number", ["", "..", "1/2", "1?fields=x", "é", "1" * 101])
def test_nothing_but_an_id_becomes_a_part_of_linkedins_address(number):
    with pytest.raises(UnreadableDelivery, match="names no answer"):
        missing("linkedin", lead_action(number))


def test_an_answer_without_its_form_is_read_by_number():
    document = {name: value for name, value in member_lead().items() if name != "form"}

    [lead] = parse("linkedin", lead_action(), fetched={URN: json.dumps(document)}, mapping={"2": "email"})

    assert lead.fields == {"email": "jane.501-1@acme.example"}
    assert lead.extra == {"1": "Jane", "3": "2"}
    assert lead.consents == (Consent("linkedin_42", True),)


def test_a_question_goes_where_the_settings_say():
    [lead] = parse("linkedin", lead_action(), fetched={URN: json.dumps(member_lead())}, mapping={"When?": "message"})

    assert lead.fields["message"] == "Now"


@pytest.mark.parametrize(
    ("serialised", "found"),
    [
        ('a:2:{i:0;s:5:"Alpha";i:1;s:4:"Beta";}', ["Alpha", "Beta"]),
        ('a:1:{i:0;s:5:"Bêta";}', ["Bêta"]),
        ('a:1:{i:0;a:2:{s:4:"Name";s:2:"A;";s:1:"B";s:2:""}";}}', ["A;", '"}']),
        ("a:0:{}", []),
        ("plain", None),
        ('a:1:{i:0;s:9:"Alpha";}', None),
        ('a:1:{i:0;s:4:"Bêta";}', None),
        ('a:1:{i:0;O:8:"stdClass":0:{}}', None),
        ('a:1:{i:0;s:1:"A";}}', None),
        ('a:2:{i:0;s:1:"A";}', None),
        ("a:1:{i:0;i:7;}", None),
        ('a:999999999:{i:0;s:1:"A";}', None),
        ("a:1:{i:0;" * 9 + 'a:1:{i:0;s:1:"A";}' + "}" * 9, None),
    ],
)
def test_serialised_lists_hold_arrays_and_strings_only(serialised, found):
    """No object of anybody's program is ever made."""
    assert strings_of(serialised) == found


@given(st.text())
def test_no_text_makes_the_list_reader_fail(text):
    strings_of(text)
    strings_of("a:1:{" + text + "}")


def test_six_boxes_are_no_name_and_an_address_is_none_either():
    """Gravity Forms: without labels nothing is guessed."""
    boxes = {f"4.{number}": "x" for number in range(1, 7)}

    [lead] = parse("gravity_forms", {"2": "a@b.example", **boxes}, mapping={"2": "email", "4.5": "postal_code"})

    assert lead.fields == {"email": "a@b.example", "postal_code": "x"}
    assert lead.extra == {"4": "x;x;x;x;x"}
    assert lead.lead_key is None


def test_an_entry_with_names_chosen_at_the_site_needs_no_mapping():
    [lead] = parse("gravity_forms", "Vorname=Nora&E-Mail=n%40feld.example&form_id=3", URLENCODED)

    assert lead.fields == {"first_name": "Nora", "email": "n@feld.example"}
    assert lead.lead_key.startswith("content:")


def test_an_answer_without_a_time_may_be_meant_again_later():
    """I10: Unbounce; any of its own fields may be missing."""
    timed = {"email": ["a@b.example"], "date_submitted": ["2026-09-16"], "time_submitted": ["12:05 AM UTC"]}

    def key(answers):
        [lead] = parse("unbounce", f"page_id=1&data.json={json.dumps(answers)}".replace(" ", "%20"), URLENCODED)
        return lead.lead_key, lead.occurred_at

    assert key(timed)[0].startswith("sha256:")
    assert key(timed)[1] == datetime(2026, 9, 16, 0, 5, tzinfo=UTC)
    assert key({"email": ["a@b.example"]})[0].startswith("content:")
    assert key(timed) == key(timed)
    assert key(timed)[0] != key({**timed, "time_submitted": ["12:06 AM UTC"]})[0]


def test_wufoos_structures_give_the_fields_their_names():
    structure = {
        "Fields": [
            {
                "ID": "Field1",
                "Title": "Name",
                "SubFields": [{"ID": "Field1", "Label": "First"}, {"ID": "Field2", "Label": "Last"}],
            },
            {"ID": "Field3", "Title": "Email"},
            {"ID": "Field4", "Title": "Budget"},
        ]
    }
    body = "&".join(
        [
            "Field1=Jane&Field2=Doe&Field3=jane%40doe.example&Field4=10k&EntryId=5",
            f"FieldStructure={json.dumps(structure)}".replace(" ", "%20"),
            'FormStructure={"Hash":"z1","Name":"Contact"}',
        ]
    )

    [lead] = parse("wufoo", body, URLENCODED)

    assert lead.fields == {"first_name": "Jane", "last_name": "Doe", "email": "jane@doe.example"}
    assert lead.extra == {"Budget": "10k"}
    assert lead.lead_key == "z1:5"


def test_a_shown_secret_is_compared_whole():
    check_shown([], "", where="header")
    check_shown(["a", "b"], "b", where="header")
    for shown in ("", "c", "bb", "\ud800"):
        with pytest.raises(WebhookRejected):
            check_shown(["a", "b"], shown, where="header")
    with pytest.raises(WebhookRejected):
        check_shown([""], "", where="header")


def test_a_routing_form_is_a_lead_under_its_own_key():
    payload = {
        "uri": "https://api.calendly.com/routing_form_submissions/1",
        "questions_and_answers": [{"question": "Email", "answer": "a@b.example"}],
        "tracking": {"utm_source": "x"},
    }

    [lead] = parse("calendly", {"event": "routing_form_submission.created", "payload": payload})

    assert lead.fields == {"email": "a@b.example"}
    assert lead.attribution == {"utm_source": "x"}
    assert lead.extra == {}


@pytest.mark.parametrize("given", ["t=,v1=x", "v1=x", "t=1789560000", "x", "t=9e9,v1=x"])
def test_a_malformed_calendly_header_is_rejected(given):
    with pytest.raises(WebhookRejected) as caught:
        source_for("calendly").verify(a_delivery("{}", JSON, headers={"calendly-webhook-signature": given}), ["s"], NOW)

    assert caught.value.step == "wrong encoding"


def test_check_names_everything_a_sender_lacks(tmp_path):
    folder = tmp_path / "config"
    shutil.copytree(default_folder(), folder)
    file = folder / "hearback.yaml"
    lacking = "sources:\n  ads:\n    kind: meta\n    token: ${A}\n  runs:\n    kind: json\n    token: ${B}\n"
    file.write_text(file.read_text("utf-8").replace("sources:\n", lacking, 1), "utf-8")

    said = {complaint.what for complaint in read(folder).complaints}

    assert said == {
        "sources.ads: has no secret",
        "sources.ads: has no access_token",
        "sources.ads: has no verify_token",
        "sources.runs: has no secrets",
    }


def test_every_kind_says_what_it_needs():
    assert {kind: source.needs for kind, source in SOURCES.items() if source.needs} == {
        "hubspot_app": ("access_token",),
        "json": ("secrets",),
        "linkedin": ("access_token",),
        "meta": ("access_token", "verify_token"),
    }
    assert {kind for kind in VENDORS if SOURCES[kind].signed} == {"calendly", "hubspot_app", "linkedin", "meta"}


def test_what_no_store_takes_is_stripped_from_keys_ids_and_consents_too():
    """I22."""
    harmful = "a\x00b\ud800"
    person = {"email": "a@b.example", "uri": harmful, "tracking": {"utm\x00source": harmful}}
    [booked] = parse("calendly", {"event": "invitee.created", "payload": person})
    fetched = {**graph_lead(9001), "custom_disclaimer_responses": [{"checkbox_key": harmful, "is_checked": True}]}
    [asked] = parse("meta", leadgen(9001), fetched={"9001": json.dumps({**fetched, "form_id": harmful})})

    assert booked.lead_key == "ab\ufffd"
    assert booked.attribution == {"utmsource": "ab\ufffd"}
    assert asked.consents == (Consent("ab\ufffd", True),)
    assert "\x00" not in str(asked.attribution)


# Fuzz: nothing but leads or UnreadableDelivery, and no text the store would refuse.

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        *(
            "email",
            "phone",
            "name",
            "values",
            "field_data",
            "custom_disclaimer_responses",
            "checkbox_key",
            "is_checked",
        ),
        *("event", "payload", "uri", "old_invitee", "tracking", "questions_and_answers", "question", "answer"),
        *("formResponse", "answers", "questionId", "answerDetails", "multipleChoiceAnswer", "options", "form"),
        *("content", "questions", "hiddenFields", "legalInfo", "consents", "consentResponses", "created_at", "id"),
        *("1.3", "1.6", "5.1", "form_id", "source_url", "date_created", "submittedAt", "rescheduled", "localized"),
    ]
)
DOCUMENTS = st.dictionaries(NAMES | st.text(max_size=8), VALUES, max_size=8)


def leads_or_unreadable(kind, body, content_type, fetched=None):
    try:
        delivery = replace(a_delivery(body, content_type), fetched=fetched or {})
        reading = Reading(mapping={"id": "lead_key", "2": "email"}, honeypot="hp")
        list(source_for(kind).missing(delivery, reading))
        found = source_for(kind).parse(delivery, reading)
    except UnreadableDelivery:
        return
    for lead in found:
        if isinstance(lead, Withdrawal | Ignored):
            continue
        texts = [lead.lead_key or "", *lead.fields.values(), *lead.also_keys]
        for more in (lead.extra, lead.attribution):
            texts += [*more, *more.values()]
        texts += [text for consent in lead.consents for text in (consent.purpose, consent.text)]
        assert "\x00" not in "".join(texts)
        "".join(texts).encode()
        assert abs(lead.version) < 2**63


@settings(deadline=None)
@given(st.sampled_from(VENDORS), st.binary(max_size=300), st.sampled_from([JSON, URLENCODED, "text/plain", ""]))
def test_no_bytes_make_a_parser_fail(kind, body, content_type):
    leads_or_unreadable(kind, body, content_type)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(VENDORS), DOCUMENTS)
def test_no_json_makes_a_parser_fail(kind, document):
    leads_or_unreadable(kind, json.dumps(document), JSON)


@settings(deadline=None)
@given(DOCUMENTS)
def test_no_fetched_lead_makes_metas_parser_fail(document):
    leads_or_unreadable("meta", leadgen(9001), JSON, {"9001": json.dumps({**graph_lead(9001), **document})})


@settings(deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_no_fetched_answer_makes_linkedins_parser_fail(document, inner):
    fetched = {**member_lead(), **document}
    for name in ("formResponse", "form"):
        if isinstance(fetched.get(name), dict):
            fetched[name] = {**fetched[name], **inner}
    leads_or_unreadable("linkedin", lead_action(), JSON, {URN: json.dumps(fetched)})


@settings(deadline=None)
@given(DOCUMENTS, st.dictionaries(st.sampled_from(["firstname", "email", "message", "hs_language", "zip"]), VALUES))
def test_no_fetched_contact_makes_a_hubspot_apps_parser_fail(document, properties):
    fetched = {**document, "properties": {**app_contact(51001)["properties"], **properties}}
    for answer in (fetched, document, {"properties": document}):
        leads_or_unreadable("hubspot_app", app_events(51001), JSON, {"51001": json.dumps(answer)})


APP_EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "subscriptionType": st.sampled_from(
            ["contact.creation", "object.creation", "contact.privacyDeletion", "contact.merge", "x\x00\ud800"]
        )
        | VALUES,
        "objectId": st.integers() | VALUES,
        **dict.fromkeys(("objectTypeId", "portalId", "eventId", "occurredAt", "changeSource"), VALUES),
    },
)


@settings(deadline=None)
@given(st.lists(APP_EVENTS, max_size=4))
def test_no_list_of_events_makes_a_hubspot_apps_parser_fail(listed):
    fetched = {str(number): json.dumps(app_contact(1)) for number in range(-1, 20)}
    leads_or_unreadable("hubspot_app", json.dumps([app_event(1), *listed]), JSON, fetched)


@settings(deadline=None)
@given(st.sampled_from(["invitee.created", "invitee.canceled", "routing_form_submission.created"]), DOCUMENTS, VALUES)
def test_no_event_makes_calendlys_parser_fail(event, payload, at):
    leads_or_unreadable("calendly", json.dumps({"event": event, "payload": payload, "created_at": at}), JSON)


FRAGMENTS = st.sampled_from(
    [
        *(
            "fields[",
            "name",
            "][value]",
            "][id]",
            "][type]",
            "form[id]",
            "meta[page_url][value]",
            "=",
            "&",
            "%00",
            "%FF",
        ),
        *(
            "data.json",
            '{"email":["a"]}',
            "page_id",
            "Field1",
            "EntryId",
            "FieldStructure",
            '{"Fields":[{}]}',
            "é",
            "]",
        ),
        *("1.3", "1.6", "a:1:{i:0;s:1:", "%D8%00", "_test", "1"),
    ]
)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["elementor", "gravity_forms", "json", "unbounce", "wpforms", "wufoo"]), st.lists(FRAGMENTS))
def test_no_form_fragment_makes_a_parser_fail(kind, fragments):
    leads_or_unreadable(kind, "".join(fragments), URLENCODED)


@settings(deadline=None)
@given(st.sampled_from(VENDORS), st.binary(max_size=60), st.text(st.characters(), max_size=40))
def test_no_header_makes_verification_fail_otherwise(kind, body, said):
    names = ("x-hub-signature-256", "x-li-signature", "calendly-webhook-signature")
    delivery = replace(a_delivery(body, URLENCODED, headers=dict.fromkeys(names, said)), presented=said)
    if kind in ("elementor", "unbounce"):
        return
    with pytest.raises(WebhookRejected):
        source_for(kind).verify(delivery, ["a-secret-nobody-guesses"], NOW)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["hub.mode", "hub.verify_token", "challengeCode", "applicationId"]), st.text()))
def test_no_query_makes_a_handshake_fail_otherwise(query):
    for kind in VENDORS:
        try:
            source_for(kind).challenge(query, Keys(secrets=("s",), verify_token="v"))
        except WebhookRejected:
            continue
