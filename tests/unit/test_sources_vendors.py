"""What each vendor's bodies and signatures mean; their way through the service is in tests/flow/test_vendors.py."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_deliveries import JSON, NOW, a_delivery

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.delivery import Delivery, Proof
from connector.model.lead import Consent, Submission
from connector.sources import hubspot_app, hubspot_signing
from connector.sources.base import Reading
from connector.sources.hubspot_signing import signed_address
from connector.sources.registry import SOURCES, source_for
from connector.sources.signing import minified

PAYLOADS = Path(__file__).parents[1] / "payloads"
SECRET = "a-secret-of-the-vendor-0123456789abcdef"
OTHER = "another-secret-of-the-vendor-0123456789"
ADDRESS = "https://leads.example.com/in/TOKEN"
BOUNDARY = "----HearbackBoundary7"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def payload(kind: str, file: str = "lead.json") -> bytes:
    return (PAYLOADS / kind / file).read_bytes()


def document(kind: str, file: str = "lead.json") -> Any:
    return json.loads(payload(kind, file))


def parse(kind: str, body: Any, media: str = JSON, **reading: Any) -> Submission:
    sent = body if isinstance(body, bytes) else json.dumps(body)
    [lead] = source_for(kind).parse(a_delivery(sent, media), Reading(**reading))
    return lead


def delivered(body: bytes, headers: dict[str, str], url: str = ADDRESS) -> Delivery:
    made = a_delivery(body, JSON, headers=headers)
    return Delivery(made.id, made.source, made.received_at, JSON, body, made.headers, {}, url=url)


def step_of(kind: str, delivery: Delivery, *secrets: str, old: bool = False, later: float = 0) -> str:
    """Return the step verification fails at, "" when it passes."""
    reader = source_for(kind).with_old_signatures() if old else source_for(kind)
    try:
        reader.verify(delivery, secrets, NOW + timedelta(seconds=later))
    except WebhookRejected as err:
        return err.step
    return ""


def mac(message: bytes, secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


MS = str(int(NOW.timestamp() * 1000))
S = str(int(NOW.timestamp()))


# Bodies.


def test_a_hubspot_form_gives_person_company_context_and_consents() -> None:
    """I16, I31: the text shown is kept, a refused subscription is a refusal."""
    lead = parse("hubspot_form", payload("hubspot_form"))

    assert lead.fields["company"] == "Wrona & Synowie Sp. z o.o."
    assert lead.lead_key == "fedcba9876543210fedcba9876543210:1789560000000"
    assert lead.attribution["page_url"] == "https://www.example.com/pl/kontakt"
    assert lead.occurred_at == NOW
    assert lead.consents == (
        Consent(purpose="processing", given=True, text="Zgadzam się na kontakt w sprawie zapytania."),
        Consent(purpose="subscription_4711", given=False, text="Proszę o newsletter."),
    )


def test_a_hubspot_subscription_gets_its_purpose_by_mapping() -> None:
    lead = parse("hubspot_form", payload("hubspot_form"), mapping={"subscription_4711": "consent.newsletter"})

    assert [consent.purpose for consent in lead.consents] == ["processing", "newsletter"]


def test_a_legitimate_interest_is_kept_and_is_no_consent() -> None:
    form = document("hubspot_form")
    interest = {"value": True, "subscriptionTypeId": 1, "legalBasis": "CUSTOMER", "text": "We write to customers."}
    form["legalConsentOptions"] = {"legitimateInterest": interest}

    lead = parse("hubspot_form", form)

    assert lead.consents == ()
    assert lead.extra["legitimateInterest.legalBasis"] == "CUSTOMER"


def test_a_person_s_own_city_comes_before_the_company_s() -> None:
    fields = [
        {"objectTypeId": "0-2", "name": "city", "value": "Łódź"},
        {"objectTypeId": "0-1", "name": "city", "value": "Kraków"},
        {"objectTypeId": "0-2", "name": "numberofemployees", "value": "40"},
    ]

    lead = parse("hubspot_form", {"fields": fields})

    assert lead.fields == {"city": "Kraków", "employees": "40"}
    assert lead.extra == {"company.city": "Łódź"}
    assert lead.lead_key is None


def test_a_workflow_s_lead_is_named_by_the_newest_submission_not_the_first_or_last() -> None:
    contact = document("hubspot_workflow")
    newest, oldest = contact["form-submissions"]

    for order in ([newest, oldest], [oldest, newest]):
        contact["form-submissions"] = order
        lead = parse("hubspot_workflow", contact)
        assert lead.lead_key == "51001:00000000-0000-4000-8000-00000000000b"
        assert lead.attribution["page_url"] == "https://www.example.com/de/angebot"
        assert lead.occurred_at == NOW


def test_a_workflow_s_reckoned_properties_do_not_crowd_out_the_person() -> None:
    """I16, I24: hundreds of them come with every contact."""
    contact = document("hubspot_workflow")
    contact["properties"] |= {f"hs_reckoned_{n}": {"value": "1"} for n in range(400)}

    lead = parse("hubspot_workflow", contact, mapping={"hs_reckoned_7": "custom.seven"})

    assert lead.extra == {"seven": "1"}
    assert lead.fields["email"] == "ilse@brandt.example"


def test_an_address_only_among_the_identities_is_found() -> None:
    contact = document("hubspot_workflow")
    del contact["properties"]["email"]

    assert parse("hubspot_workflow", contact).fields["email"] == "ilse@brandt.example"


def test_tally_choices_are_resolved_and_a_question_s_type_helps() -> None:
    lead = parse("tally", payload("tally"))

    assert lead.fields["email"] == "soren@bjork.example"
    assert lead.fields["phone"] == "+4532123456"
    assert (lead.fields["employees"], lead.fields["product"]) == ("51-200", "Drills;Sägen")
    assert lead.attribution["utm_source"] == "fair"
    assert lead.consents == (Consent(purpose="newsletter", given=True, text="Yes, you may e-mail me."),)
    assert lead.lead_key == "rspB07"


def test_an_unticked_box_is_a_refusal() -> None:
    """I31."""
    event = document("tally")
    event["data"]["fields"][5]["value"] = []

    assert parse("tally", event).consents == (Consent(purpose="newsletter", given=False, text="Newsletter"),)


def test_a_tally_question_can_be_mapped_by_label_or_key() -> None:
    for name in ("Where may we write to?", "question_b02"):
        assert parse("tally", payload("tally"), mapping={name: "custom.address"}).extra["address"]


def test_two_questions_worded_alike_keep_their_own_places() -> None:
    event = document("tally")
    types = ("INPUT_EMAIL", "INPUT_PHONE_NUMBER", "INPUT_TEXT", "INPUT_TEXT")
    given = ("a@example.com", "+4532123456", "at noon", "or later")
    event["data"]["fields"] = [
        {"key": f"k{n}", "label": "How?", "type": kind, "value": value}
        for n, (kind, value) in enumerate(zip(types, given, strict=True))
    ]
    by_key = parse("tally", event)
    for field in event["data"]["fields"]:
        field["key"] = "How?"
    by_number = parse("tally", event)

    assert by_key.fields == by_number.fields == {"email": "a@example.com", "phone": "+4532123456"}
    assert by_key.extra == {"k2": "at noon", "k3": "or later"}
    assert by_number.extra == {"How? 2": "at noon", "How? 3": "or later"}


def test_a_question_as_long_as_a_contract_does_not_cost_the_lead() -> None:
    """I16."""
    event = document("tally")
    event["data"]["fields"].append({"key": "q", "label": "I agree that " * 100, "type": "INPUT_TEXT", "value": "ok"})

    lead = parse("tally", event)

    assert "ok" in lead.extra.values()
    assert lead.fields["email"] == "soren@bjork.example"


def test_fillout_addresses_lists_and_parameters_find_their_place() -> None:
    lead = parse("fillout", payload("fillout"))

    assert lead.fields["street"] == "Hauptstr. 1"
    assert lead.fields["product"] == "Saws;Lathes"
    assert lead.attribution == {"utm_campaign": "autumn", "form_id": "flQuote1"}
    assert lead.consents == (Consent(purpose="newsletter", given=True, text="Newsletter"),)
    assert lead.extra == {"Score": "42"}


def test_a_fillout_edit_is_a_newer_version_of_the_same_submission() -> None:
    """I8."""
    first, edited = (parse("fillout", payload("fillout", file)) for file in ("lead.json", "edited.json"))

    assert first.lead_key == edited.lead_key
    assert first.version < edited.version


def test_jotform_parts_are_joined_and_noise_is_left_out() -> None:
    """I12: 19 digits stay 19 digits."""
    lead = parse("jotform", payload("jotform", "lead.multipart"), MULTIPART)

    assert lead.lead_key == "6100000000000000007"
    assert lead.fields["phone"] == "415 5550142"
    assert (lead.fields["street"], lead.fields["region"]) == ("1 Ash St", "CA")
    assert lead.fields["product"] == "Saws;Drills"
    assert lead.extra == {"budget": "25000"}


def test_a_jotform_question_can_be_mapped_by_the_label_before_its_answer() -> None:
    """`pretty` is ambiguous: the label counts up to its last comma, and an answer found twice has none."""
    body = payload("jotform", "lead.multipart")
    twice = body.replace(b"Full Name:Tom Ash", b"Old:25000, Full Name:Tom Ash")

    assert parse("jotform", body, MULTIPART, mapping={"at most?": "custom.money"}).extra == {"money": "25000"}
    assert parse("jotform", twice, MULTIPART, mapping={"at most?": "custom.money"}).extra == {"budget": "25000"}


def test_a_jotform_question_of_several_parts_can_be_mapped_as_one() -> None:
    lead = parse("jotform", payload("jotform", "lead.multipart"), MULTIPART, mapping={"q3_fullName": "full_name"})

    assert lead.fields["full_name"] == "Tom Ash"


def test_a_google_column_is_read_by_id_or_else_by_name() -> None:
    lead = parse("google_ads", payload("google_ads"), mapping={"Which machine?": "product"})

    assert lead.fields["email"] == "ana@reis.example"
    assert lead.fields["product"] == "Lathe"
    assert lead.attribution == {
        "gclid": "exampleGclid0042",
        "form_id": "310000000001",
        "campaign_id": "310000000002",
        "adgroup_id": "310000000003",
        "creative_id": "310000000004",
        "lead_stage": "LEAD",
    }
    assert lead.occurred_at == NOW


def test_google_s_campaign_id_chooses_our_campaign() -> None:
    assert (
        parse("google_ads", payload("google_ads"), campaigns={"310000000002": "autumn"}).fields["campaign"] == "autumn"
    )


@pytest.mark.parametrize("change", [{"is_test": True}, {"lead_id": "TeSter-1"}])
def test_either_sign_makes_a_google_lead_a_test(change: dict[str, Any]) -> None:
    """I17."""
    assert parse("google_ads", document("google_ads") | change).is_test


def test_test_leads_of_two_deliveries_have_two_keys_and_a_replay_keeps_its_own() -> None:
    source, body = source_for("google_ads"), payload("google_ads", "test.json")
    keys = [source.parse(a_delivery(body, JSON), Reading())[0].lead_key for _ in range(2)]
    other = Delivery(**{**{n: getattr(a_delivery(body, JSON), n) for n in Delivery.__slots__}, "id": "another"})

    assert keys[0] == keys[1] != source.parse(other, Reading())[0].lead_key


@pytest.mark.parametrize(
    "body",
    [
        b'{"google_key":"hidden-one","lead_id":"1"}',
        b'{"lead_id":"1", "Google_Key" : "hidden-one"}',
        b'{"google_key":"hid\\"den-one","lead_id":"1"}',
        b'{"lead_id":"1","google_key":"hidden-one',
        b'{"google_key":"hidden-\n\xff-one","lead_id":"1"}',
        b'{"google_key":hidden-one,"lead_id":"1"}',
    ],
)
def test_the_shared_key_is_masked_wherever_a_body_is_shown(body: bytes) -> None:
    shown = source_for("google_ads").masked(body)

    assert b"one" not in shown
    assert b"hid" not in shown
    assert b'"lead_id":"1"' in shown.replace(b" ", b"")


def test_other_kinds_show_their_bodies_as_they_are() -> None:
    assert source_for("tally").masked(payload("tally")) == payload("tally")


def test_both_shapes_of_webflow_are_read() -> None:
    new, old = parse("webflow", payload("webflow")), parse("webflow", payload("webflow", "flat_v1.json"))

    assert (new.lead_key, old.lead_key) == ("aaaaaaaaaaaaaaaaaaaaaa02", "aaaaaaaaaaaaaaaaaaaaaa09")
    assert new.fields["email"] == old.fields["email"] == "eva@lind.example"
    assert new.attribution == {"form_id": "aaaaaaaaaaaaaaaaaaaaaa03", "page_url": "https://www.example.com/kontakt"}
    assert new.occurred_at == old.occurred_at == NOW


def test_netlify_is_read_from_data_and_not_from_what_is_derived_of_it() -> None:
    event = document("netlify") | {"email": "derived@example.com"}

    lead = parse("netlify", event)

    assert lead.fields["email"] == "noa@katz.example"
    assert lead.attribution["referrer"] == "https://www.example.com/contact"
    assert lead.extra == {}


def test_a_netlify_field_can_be_mapped_by_its_title() -> None:
    assert parse("netlify", payload("netlify"), mapping={"Email": "custom.address"}).extra == {
        "address": "noa@katz.example"
    }


def test_a_standard_webhook_is_keyed_by_its_message_id() -> None:
    """The id is stable over retries."""
    delivery = a_delivery(payload("standard_webhooks"), JSON, headers={"webhook-id": "msg_1"})

    [lead] = source_for("standard_webhooks").parse(delivery, Reading())

    assert (lead.lead_key, lead.fields["postal_code"]) == ("msg_1", "50090")
    assert lead.attribution == {"event_type": "lead.created"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("fillout", {}),
        ("fillout", {"submission": {"questions": []}}),
        ("google_ads", {"lead_id": "1"}),
        ("google_ads", [1]),
        ("hubspot_form", {"fields": [{"name": "email"}]}),
        ("hubspot_workflow", {"properties": {}}),
        ("hubspot_workflow", {"vid": None}),
        ("netlify", {"id": "1"}),
        ("standard_webhooks", {"data": {}}),
        ("tally", {"eventType": "FORM_RESPONSE", "data": {"fields": [3, None]}}),
        ("tally", {"eventType": "FORM_CLOSED", "data": {"fields": []}}),
        ("webflow", {"triggerType": "site_publish", "payload": {"data": {"Email": "a@example.com"}}}),
        ("webflow", {"triggerType": "form_submission"}),
    ],
)
def test_an_event_without_a_lead_is_unreadable(kind: str, body: Any) -> None:
    """I7."""
    with pytest.raises(UnreadableDelivery):
        parse(kind, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x--",
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="formID"\r\n\r\n1\r\n--{BOUNDARY}--'.encode(),
    ],
)
def test_a_jotform_post_without_its_answers_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableDelivery):
        parse("jotform", body, MULTIPART)


# Signatures.

TALLY = payload("tally")
WEBFLOW = payload("webflow")
NETLIFY = payload("netlify")
CONTACT = payload("hubspot_workflow")
GOOGLE = payload("google_ads")
EVENT = payload("standard_webhooks")
STANDARD_KEY = b"0123456789abcdef0123456789abcdef"
STANDARD = "whsec_" + b64(STANDARD_KEY)


def webflow(signed: bytes, stamp: str = MS) -> dict[str, str]:
    return {"x-webflow-timestamp": stamp, "x-webflow-signature": mac(stamp.encode() + b":" + signed).hex()}


def hubspot(body: bytes = CONTACT, url: str = ADDRESS, stamp: str = MS, secret: str = SECRET) -> dict[str, str]:
    signed = b64(mac(b"POST" + url.encode() + body + stamp.encode(), secret))
    return {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": signed}


def hubspot_old(version: str, message: bytes) -> dict[str, str]:
    signed = hashlib.sha256(SECRET.encode() + message).hexdigest()
    return {"x-hubspot-signature-version": version, "x-hubspot-signature": signed}


def netlify(body: bytes = NETLIFY, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> dict[str, str]:
    said = {"iss": "netlify", "sha256": hashlib.sha256(body).hexdigest(), **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return {"x-webhook-signature": jwt.encode(said, secret, algorithm=algorithm)}


def standard(body: bytes = EVENT, key: bytes = STANDARD_KEY, stamp: str = S, more: str = "") -> dict[str, str]:
    signed = hmac.new(key, b"msg_1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": more + "v1," + b64(signed)}


REWRITTEN = json.dumps(json.loads(TALLY), indent=1).encode()
WRONG_ADDRESS = "wrong secret, or public_url is not the address the sender uses"

CASES: dict[str, tuple[str, bytes, dict[str, str], str]] = {
    "tally": ("tally", TALLY, {"tally-signature": b64(mac(TALLY))}, ""),
    "tally signs the minified form": ("tally", REWRITTEN, {"tally-signature": b64(mac(TALLY))}, ""),
    "tally in hex": ("tally", TALLY, {"tally-signature": mac(TALLY).hex()}, "wrong encoding"),
    "tally tampered": ("tally", TALLY + b" ", {"tally-signature": b64(mac(TALLY + b"x"))}, "wrong secret"),
    "tally unsigned": ("tally", TALLY, {}, "header missing"),
    "webflow": ("webflow", WEBFLOW, webflow(WEBFLOW), ""),
    "webflow without the time": (
        "webflow",
        WEBFLOW,
        {**webflow(WEBFLOW), "x-webflow-signature": mac(WEBFLOW).hex()},
        "wrong secret",
    ),
    "webflow with a time of letters": ("webflow", WEBFLOW, webflow(WEBFLOW, "now"), "time unreadable"),
    "webflow rewritten": ("webflow", json.dumps(json.loads(WEBFLOW)).encode(), webflow(WEBFLOW), "body re-serialised"),
    "webflow unsigned": ("webflow", WEBFLOW, {}, "header missing"),
    "netlify": ("netlify", NETLIFY, netlify(), ""),
    "netlify of another body": ("netlify", NETLIFY, netlify(b"{}"), "another body was signed"),
    "netlify rewritten": ("netlify", json.dumps(json.loads(NETLIFY)).encode(), netlify(), "body re-serialised"),
    "netlify with another secret": ("netlify", NETLIFY, netlify(secret=OTHER + "x"), "wrong secret"),
    "netlify by somebody else": (
        "netlify",
        NETLIFY,
        netlify(iss="elsewhere"),
        "issuer or digest missing in the token",
    ),
    "netlify without a digest": ("netlify", NETLIFY, netlify(sha256=None), "issuer or digest missing in the token"),
    "netlify without an algorithm": (
        "netlify",
        NETLIFY,
        netlify(secret="", algorithm="none"),
        "signed with another algorithm than HS256",
    ),
    "netlify with a longer digest": (
        "netlify",
        NETLIFY,
        netlify(secret=SECRET * 2, algorithm="HS512"),
        "signed with another algorithm than HS256",
    ),
    "netlify without a token": ("netlify", NETLIFY, {"x-webhook-signature": "nonsense"}, "wrong encoding"),
    "netlify nested": (
        "netlify",
        NETLIFY,
        {"x-webhook-signature": base64.urlsafe_b64encode(b"[" * 1400).decode() + ".e30.e30"},
        "wrong encoding",
    ),
    "netlify unsigned": ("netlify", NETLIFY, {}, "header missing"),
    "hubspot": ("hubspot_workflow", CONTACT, hubspot(), ""),
    "hubspot tampered": ("hubspot_workflow", CONTACT + b" ", hubspot(), WRONG_ADDRESS),
    "hubspot by http": ("hubspot_workflow", CONTACT, hubspot(url=ADDRESS.replace("s:", ":")), WRONG_ADDRESS),
    "hubspot without a time": (
        "hubspot_workflow",
        CONTACT,
        {"x-hubspot-signature-v3": hubspot()["x-hubspot-signature-v3"]},
        "header missing",
    ),
    "hubspot with an old signature": (
        "hubspot_workflow",
        CONTACT,
        hubspot_old("v2", b"POST" + ADDRESS.encode() + CONTACT),
        "header missing",
    ),
    "google": ("google_ads", GOOGLE.replace(b"a-key-shared-with-the-ad", SECRET.encode()), {}, ""),
    "google with another key": ("google_ads", GOOGLE, {}, "wrong secret"),
    "google without a key": ("google_ads", b'{"lead_id":"1"}', {}, "google_key missing"),
    "google with an object as key": ("google_ads", b'{"google_key":{}}', {}, "google_key missing"),
    "google cut off": ("google_ads", GOOGLE[:-9], {}, "body unreadable"),
    "standard": ("standard_webhooks", EVENT, standard(), ""),
    "standard, one of several": ("standard_webhooks", EVENT, standard(more="v1a,xyz v1,AAAA "), ""),
    "standard tampered": ("standard_webhooks", EVENT + b" ", standard(), "wrong secret"),
    "standard, the text of the secret as key": (
        "standard_webhooks",
        EVENT,
        standard(key=STANDARD.encode()),
        "wrong secret",
    ),
    "standard, public key only": (
        "standard_webhooks",
        EVENT,
        {**standard(), "webhook-signature": "v1a,AAAA"},
        "wrong encoding",
    ),
    "standard, not text": ("standard_webhooks", b"\xff", standard(b"\xff"), "body is not UTF-8"),
    "standard unsigned": ("standard_webhooks", EVENT, {}, "header missing"),
}


def secrets_of(kind: str) -> tuple[str, str]:
    return ("whsec_" + b64(b"x" * 24), STANDARD) if kind == "standard_webhooks" else (OTHER, SECRET)


@pytest.mark.parametrize(("kind", "body", "headers", "step"), CASES.values(), ids=CASES.keys())
def test_the_operator_sees_which_step_failed(kind: str, body: bytes, headers: dict[str, str], step: str) -> None:
    """I13, I14: the second of two secrets fits too."""
    assert step_of(kind, delivered(body, headers), *secrets_of(kind)) == step


@pytest.mark.parametrize("kind", [kind for kind, source in SOURCES.items() if source.proof is Proof.NEEDED])
@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_passes(kind: str, secrets: tuple[str, ...]) -> None:
    """I13: fail closed."""
    assert step_of(kind, delivered(b"{}", {}), *secrets) == "no secret configured"


@pytest.mark.parametrize(
    ("kind", "delivery"),
    [
        ("hubspot_workflow", delivered(CONTACT, hubspot())),
        ("standard_webhooks", delivered(EVENT, standard())),
        ("webflow", delivered(WEBFLOW, webflow(WEBFLOW))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_signed_time_is_refused_beyond_five_minutes_both_ways(kind: str, delivery: Delivery) -> None:
    """I13."""
    steps = [step_of(kind, delivery, *secrets_of(kind), later=later) for later in (-301, -299, 299, 301)]

    assert steps == ["time stale", "", "", "time stale"]


def test_hubspot_undoes_only_its_own_list_of_escapes() -> None:
    sent = ADDRESS + "?a=%40%2f%3A%3F%21%24%27%28%29%2A%2C%3B&b=%20%25%2B%23%26%3D%C3%A9"

    assert signed_address(sent) == ADDRESS + "?a=@/:?!$'()*,;&b=%20%25%2B%23%26%3D%C3%A9"


def test_hubspot_s_older_signatures_count_only_by_choice_and_never_beside_a_wrong_new_one() -> None:
    v1 = delivered(CONTACT, hubspot_old("v1", CONTACT))
    v2 = delivered(CONTACT, hubspot_old("v2", b"POST" + ADDRESS.encode() + CONTACT))
    unknown = delivered(CONTACT, hubspot_old("v9", CONTACT))
    both = delivered(CONTACT, {**v1.headers, **hubspot(secret="wrong")})

    assert [step_of("hubspot_workflow", each, SECRET) for each in (v1, v2)] == ["header missing"] * 2
    assert [step_of("hubspot_workflow", each, OTHER, SECRET, old=True) for each in (v1, v2)] == ["", ""]
    assert step_of("hubspot_workflow", unknown, SECRET, old=True) == "signature version unknown"
    assert step_of("hubspot_workflow", both, SECRET, old=True) == WRONG_ADDRESS
    assert step_of("hubspot_workflow", delivered(CONTACT + b" ", dict(v1.headers)), SECRET, old=True) == "wrong secret"


def test_webflow_without_a_secret_accepts_what_the_dashboard_s_hooks_send() -> None:
    assert source_for("webflow").proof is Proof.OPTIONAL
    assert step_of("webflow", delivered(WEBFLOW, {})) == ""


@pytest.mark.parametrize("secret", ["plain", "whsec_", "whsec_***", "whsec_" + b64(b"short"), STANDARD[6:]])
def test_a_standard_secret_of_another_form_verifies_nothing(secret: str) -> None:
    assert step_of("standard_webhooks", delivered(EVENT, standard()), secret).startswith("the secret is not whsec_")


def test_minified_json_keeps_order_and_letters() -> None:
    assert minified('{ "b": [1, 2.5], "ä": "\\u00fc<\\/a>" }'.encode()) == '{"b":[1,2.5],"ä":"ü</a>"}'.encode()
    assert minified(b"[" * 100_000) is None
    assert minified(b"\xff") is None


# Whatever comes.

NAMES = st.sampled_from(
    [
        *("fields", "context", "legalConsentOptions", "consent", "communications", "name", "value", "submittedAt"),
        *("vid", "properties", "form-submissions", "timestamp", "conversion-id", "identity-profiles", "identities"),
        *("eventType", "data", "label", "key", "type", "options", "id", "text", "submission", "questions", "email"),
        *("lastUpdatedAt", "urlParameters", "user_column_data", "column_id", "string_value", "lead_id", "is_test"),
        *("google_key", "triggerType", "payload", "ordered_human_fields", "title", "objectTypeId", "hutk", "_test"),
    ]
)
SCALARS = (
    st.sampled_from(["\x00", "a\ud800b", "\u202e"])
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(
        ["FORM_RESPONSE", "form_submission", "0-2", "EMAIL", "a@example.com", "1789560000000", "1", "\x00"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=25,
)
KINDS = sorted(set(SOURCES) - {"api", "cards", "form", "web_to_lead"})
MAPPINGS = st.dictionaries(
    NAMES,
    st.sampled_from(["email", "consent.newsletter", "custom.x", "attribution.y", "lead_key", "ignore"]),
    max_size=4,
)


def read(kind: str, body: bytes, media: str, mapping: dict[str, str]) -> None:
    """Parse: submissions that can be stored, or `UnreadableDelivery`."""
    try:
        leads = source_for(kind).parse(a_delivery(body, media), Reading(mapping=mapping, honeypot="hp"))
    except UnreadableDelivery:
        return
    for lead in leads:
        texts = [lead.lead_key or "", *lead.fields.values(), *(consent.text for consent in lead.consents)]
        texts += [text for held in (lead.extra, lead.attribution) for pair in held.items() for text in pair]
        assert "\x00" not in "".join(texts)
        "".join(texts).encode()
        assert 0 < lead.version < 2**63


def shaped(kind: str, inner: Any) -> Any:
    """Put values where this vendor's parser looks for ids and answers, beside an answer that is in order."""
    good = {"name": "x", "value": "good"}
    column = {"column_id": "x", "string_value": "good"}
    field = {"label": "x", "value": inner, "options": [{"id": "x", "text": "good"}, inner]}
    shapes: dict[str, Callable[[], Any]] = {
        "fillout": lambda: {
            "submission": {"submissionId": inner, "questions": [good, inner], "urlParameters": [inner]}
        },
        "google_ads": lambda: {"lead_id": inner, "user_column_data": [column, inner], "campaign_id": inner},
        "hubspot_form": lambda: {"fields": [good, inner], "legalConsentOptions": inner, "context": inner},
        "hubspot_workflow": lambda: {"vid": inner, "properties": {"x": good, "y": inner}, "form-submissions": [inner]},
        "netlify": lambda: {"id": inner, "data": {"x": inner, "y": "good"}, "ordered_human_fields": inner},
        "standard_webhooks": lambda: {"type": inner, "data": {"x": inner, "y": "good"}},
        "tally": lambda: {"eventType": "FORM_RESPONSE", "data": {"submissionId": inner, "fields": [field, inner]}},
        "typeform": lambda: {
            "event_type": "form_response",
            "form_response": {"token": inner, "hidden": {"x": inner, "y": "1"}},
        },
        "webflow": lambda: {
            "triggerType": "form_submission",
            "payload": {"id": inner, "data": {"x": inner, "y": "good"}},
        },
    }
    return shapes.get(kind, lambda: inner)()


@settings(max_examples=300)
@given(st.sampled_from(KINDS), VALUES, MAPPINGS, st.booleans())
def test_no_json_makes_a_vendor_s_parser_fail(kind: str, inner: Any, mapping: dict[str, str], bare: bool) -> None:
    body = json.dumps(inner if bare else shaped(kind, inner)).encode()
    read(kind, body, JSON, mapping)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [15, 150, 900, 5000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_no_depth_makes_a_vendor_s_parser_fail(kind: str, depth: int, start: str, end: str) -> None:
    """I7."""
    body = json.dumps(shaped(kind, "HERE")).replace('"HERE"', start * depth + "1" + end * depth)
    read(kind, body.encode(), JSON, {})


@settings(max_examples=150)
@given(VALUES, st.sampled_from(["q3_name", "q4_", "q5_phone", "x", "q6_\x00"]), MAPPINGS)
def test_no_raw_request_makes_the_jotform_parser_fail(inner: Any, name: str, mapping: dict[str, str]) -> None:
    raw = json.dumps({name: inner, "q9_parts": {"first": inner, "phone": inner, "area": inner}})
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="rawRequest"\r\n\r\n{raw}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="submissionID"\r\n\r\n{urlencode({"a": name})}\r\n'
        f"--{BOUNDARY}--\r\n"
    )
    read("jotform", body.encode(), MULTIPART, mapping)


@settings(max_examples=200)
@given(st.sampled_from(KINDS), st.binary(max_size=200), st.sampled_from([JSON, MULTIPART, "text/plain", ""]))
def test_no_bytes_make_a_vendor_s_parser_fail(kind: str, body: bytes, media: str) -> None:
    read(kind, body, media, {})


HEADERS = st.sampled_from(
    [
        *("tally-signature", "x-webflow-timestamp", "x-webflow-signature", "x-webhook-signature", "webhook-id"),
        *("webhook-timestamp", "webhook-signature", "x-hubspot-signature-v3", "x-hubspot-request-timestamp"),
        *("x-hubspot-signature", "x-hubspot-signature-version", "typeform-signature"),
    ]
)
GIVEN = st.text(st.characters(max_codepoint=255), max_size=30) | st.sampled_from(
    [MS, S, "v1,", "v1,AAAA", "v1", "a.b.c"]
)
ANY_BODY = st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode())


@settings(max_examples=300)
@given(st.sampled_from(sorted(SOURCES)), st.dictionaries(HEADERS, GIVEN, max_size=8), ANY_BODY, st.booleans())
def test_no_header_makes_verification_fail_otherwise_than_by_refusing(
    kind: str, headers: dict[str, str], body: bytes, old: bool
) -> None:
    """K-rule of webhooks: malformed headers are `WebhookRejected`; and nobody gets in by chance."""
    step = step_of(kind, delivered(body, headers), *secrets_of(kind), old=old)

    assert bool(step) == (source_for(kind).signed or source_for(kind).presents)


# Events that only name a record.


def app_delivery(body: Any) -> Delivery:
    return a_delivery(body if isinstance(body, bytes) else json.dumps(body), JSON)


def test_app_events_are_split_and_told_apart_by_four_values_not_by_their_id() -> None:
    """I9, I12: three events of one id, of which one is a retry."""
    found = hubspot_app.events(app_delivery(payload("hubspot_app", "events.json")))

    assert [(event.record, event.kind) for event in found] == [
        ("51001", "contact.creation"),
        ("51002", "contact.creation"),
    ]
    assert [event.key for event in found] == ["6001:51001:1789560000101:11", "6002:51002:1789560000102:11"]
    assert found[0].occurred_at == NOW + timedelta(milliseconds=101)


def test_app_events_grouped_differently_have_the_same_keys() -> None:
    """I9."""
    whole = document("hubspot_app", "events.json")

    apart = [event for item in reversed(whole) for event in hubspot_app.events(app_delivery([item]))]

    assert {event.key for event in apart} == {event.key for event in hubspot_app.events(app_delivery(whole))}


def test_app_events_are_verified_like_workflows() -> None:
    body = payload("hubspot_app", "events.json")
    v1 = delivered(body, hubspot_old("v1", body))

    hubspot_signing.check(delivered(body, hubspot(body)), [SECRET], NOW, old_signatures=False)
    hubspot_signing.check(v1, [SECRET], NOW, old_signatures=True)
    with pytest.raises(WebhookRejected):
        hubspot_signing.check(v1, [SECRET], NOW, old_signatures=False)


CREATION = {"subscriptionType": "contact.creation", "objectId": "1"}


@pytest.mark.parametrize(
    "body",
    [
        *({}, [1], [{}], [{"objectId": "1"}], [CREATION] * 201, b"["),
        *([{**CREATION, "objectId": each}] for each in (0, True, None, "", "1/..", "١", [1])),
        [CREATION, {**CREATION, "subscriptionType": "contact.privacyDeletion", "objectId": None}],
        [{**CREATION, "subscriptionType": "object.creation", "objectTypeId": "0-1", "objectId": None}],
    ],
)
def test_app_events_without_a_record_are_unreadable(body: Any) -> None:
    with pytest.raises(UnreadableDelivery):
        hubspot_app.events(app_delivery(body))


@settings(max_examples=100)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["objectId", "eventId", "occurredAt", "subscriptionId", "subscriptionType", "portalId"]),
            VALUES,
        )
    )
)
def test_no_list_makes_the_reader_of_app_events_fail(listed: list[dict[str, Any]]) -> None:
    try:
        found = hubspot_app.events(app_delivery(listed))
    except UnreadableDelivery:
        return
    assert all(event.kind and "\x00" not in event.key + event.subject for event in found)
