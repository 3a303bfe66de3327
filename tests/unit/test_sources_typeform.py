import json
from datetime import UTC, datetime

import pytest
from intake_deliveries import JSON, NOW, a_delivery, payload

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.lead import Consent
from connector.signatures import Encoding, hmac_sha256
from connector.sources.base import Reading
from connector.sources.typeform import TypeformSource

BODY = payload("typeform_form_response.json")
SECRET = "test-secret"
SIGNED = "sha256=pPp8QlkmKx1BMr5xfR7SiHIxQMFWrLOzpBWnA8Zgw9Y="


def verify(signature, *, body=BODY, secrets=(SECRET,)):
    headers = {} if signature is None else {"typeform-signature": signature}
    TypeformSource().verify(a_delivery(body, JSON, headers=headers), list(secrets), NOW)


def parse(event, **reading):
    body = event if isinstance(event, bytes) else json.dumps(event)
    return TypeformSource().parse(a_delivery(body, JSON), Reading(**reading))


def an_event(*answers, event_type="form_response", **response):
    return {"event_type": event_type, "form_response": {"token": "tok-1", "answers": list(answers), **response}}


def an_answer(kind, value, ref="q", field_type="short_text"):
    return {"type": kind, kind: value, "field": {"id": "f", "ref": ref, "type": field_type}}


def test_a_signed_delivery_is_accepted_with_the_old_and_the_new_secret():
    """I13."""
    verify(SIGNED)
    verify(SIGNED, secrets=("new-secret", SECRET))


@pytest.mark.parametrize(
    ("signature", "body", "secrets", "step"),
    [
        (None, BODY, (SECRET,), "header missing"),
        (SIGNED.removeprefix("sha256="), BODY, (SECRET,), "wrong encoding"),
        ("sha256=" + hmac_sha256(SECRET, BODY, Encoding.HEX), BODY, (SECRET,), "wrong encoding"),
        (SIGNED, BODY + b" ", (SECRET,), "wrong secret"),
        (SIGNED, BODY, ("other",), "wrong secret"),
        (SIGNED, BODY, (), "no secret configured"),
        (SIGNED, BODY, ("",), "no secret configured"),
        ("sha256=é", BODY, (SECRET,), "wrong secret"),
        ("sha256=", b"\xff", (SECRET,), "wrong secret"),
    ],
    ids=["missing", "no prefix", "hex", "tampered", "other", "no secret", "empty secret", "not ascii", "not json"],
)
def test_anything_else_is_rejected_and_the_operator_sees_the_step(signature, body, secrets, step):
    """I13, I14: the caller's message never tells."""
    with pytest.raises(WebhookRejected, match=r"^webhook rejected$") as caught:
        verify(signature, body=body, secrets=secrets)

    assert caught.value.step == step


def test_a_body_rewritten_by_a_proxy_is_told_apart():
    """I14."""
    minified = json.dumps(json.loads(BODY), separators=(",", ":"), ensure_ascii=False).encode()
    signature = "sha256=" + hmac_sha256(SECRET, minified, Encoding.BASE64)

    with pytest.raises(WebhookRejected) as caught:
        verify(signature)

    assert caught.value.step == "body re-serialised"


def test_answers_are_joined_to_their_questions():
    [lead] = parse(BODY)

    assert lead.fields == {
        "full_name": "Jürgen Lind",
        "email": "juergen.lind@example.com",
        "phone": "+493023125002",
        "employees": "11-50",
        "product": "Product A;Product C",
    }
    assert lead.extra == {"seats": "25", "score": "3"}
    assert lead.attribution == {"utm_source": "newsletter", "utm_campaign": "autumn", "form_id": "frmDemo1"}
    assert lead.consents == (Consent("contact", True, "May we write to you?"),)
    assert lead.occurred_at == datetime(2026, 9, 16, 12, 0, tzinfo=UTC)
    assert lead.lead_key == "tok00000000000000000000000000001"


def test_a_partial_response_gives_way_to_the_final_one_of_the_same_token():
    """I8, I18."""
    answer = an_answer("email", "a@example.com", "email")

    [partial] = parse(an_event(answer, event_type="form_response_partial"))
    [final] = parse(an_event(answer))

    assert partial.lead_key == final.lead_key == "tok-1"
    assert partial.version < final.version


def test_a_question_can_be_mapped_by_reference_title_or_id():
    definition = {"fields": [{"id": "f", "ref": "uuid-1", "type": "short_text", "title": "Which city?"}]}
    answer = an_answer("text", "Ulm", "uuid-1")

    for name in ("f", "uuid-1", "Which city?"):
        [lead] = parse(an_event(answer, definition=definition), mapping={name: "city"})
        assert lead.fields == {"city": "Ulm"}


def test_an_e_mail_answer_is_one_whatever_the_question_is_called():
    [lead] = parse(an_event(an_answer("email", "a@example.com", "01H-random")))

    assert lead.fields == {"email": "a@example.com"}


def test_hidden_fields_are_read_like_answers():
    [lead] = parse(an_event(hidden={"email": "a@example.com", "shop": "north", "utm_id": "7"}))

    assert (lead.fields, lead.extra) == ({"email": "a@example.com"}, {"shop": "north"})
    assert lead.attribution == {"utm_id": "7"}


def test_a_refused_consent_is_recorded_as_refused():
    [lead] = parse(an_event(an_answer("boolean", False, "newsletter", "legal")))

    assert lead.consents == (Consent("newsletter", False),)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (an_answer("boolean", True), "yes"),
        (an_answer("number", 25), "25"),
        (an_answer("choice", {"other": "blue"}), "blue"),
        (an_answer("choices", {"labels": ["a", "b"], "other": "c"}), "a;b;c"),
        (an_answer("payment", {"amount": "9.50"}), '{"amount": "9.50"}'),
        (an_answer("multi_format", ["x", "y"]), "x;y"),
    ],
)
def test_every_answer_type_is_kept_as_text(answer, text):
    [lead] = parse(an_event(answer))

    assert lead.extra == {"q": text}


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        {"event_type": "form_response"},
        {"event_type": "form_response", "form_response": []},
        {"event_type": "something_new", "form_response": {}},
        {"event_type": ["form_response"], "form_response": {}},
        an_event(),
        an_event({"type": {}, "field": 3}, 5, None),
    ],
)
def test_an_event_without_a_lead_is_unreadable(event):
    """I7."""
    with pytest.raises(UnreadableDelivery):
        parse(event)
