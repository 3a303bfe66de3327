"""Bodies nobody should send (style reference: parsers raise UnreadableDelivery and nothing else)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_deliveries import JSON, URLENCODED, a_delivery, payload

from connector.errors import UnreadableDelivery
from connector.sources.base import Reading
from connector.sources.registry import SOURCES, source_for

MULTIPART = "multipart/form-data; boundary=b"
CONTENT_TYPES = [
    URLENCODED,
    MULTIPART,
    "multipart/form-data",
    JSON,
    "text/plain",
    "image/png",
    "",
    "text/plain; charset=idna",
]


def part(value, headers='Content-Disposition: form-data; name="x"'):
    return f"--b\r\n{headers}\r\n\r\n{value}\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        ("&".join(f"f{n}=1" for n in range(10_000)), URLENCODED, "more than 200 fields"),
        ("f=" + "x" * 10_241, URLENCODED, "longer than 10240 bytes"),
        ("n" * 201 + "=1", URLENCODED, "longer than 200 characters"),
        ("a=%FF", URLENCODED, "not utf-8"),
        (b"a=\xff", URLENCODED, "not utf-8"),
        ("", URLENCODED, "no field has a value"),
        ("a=&b=", URLENCODED, "no field has a value"),
        ("a=1", URLENCODED + "; charset=unicode_escape", "character set is not supported"),
        ("a=1", "image/png", "content type"),
        ("", MULTIPART, "damaged or cut off"),
        (part("1")[:-12], MULTIPART, "damaged or cut off"),
        (part("1"), "multipart/form-data", "no boundary"),
        (part("1", "Content-Disposition: form-data"), MULTIPART, "no name"),
        (part("1", "X: y"), MULTIPART, "damaged"),
        (part("x" * 10_241), MULTIPART, "longer than 10240 bytes"),
        ("".join(part("1")[:-8] + "\r\n" for _ in range(300)) + "--b--\r\n", MULTIPART, "more than 200 fields"),
        (part("1").encode().replace(b"1", b"\xff"), MULTIPART, "not UTF-8"),
        ("[" * 100_000, JSON, "nested too deeply"),
        ('{"a":' * 100_000, JSON, "nested too deeply"),
        ('{"a":' * 30 + "1" + "}" * 30, JSON, "nested deeper than 20"),
        ('{"a": 1' + "0" * 5000 + "}", JSON, "not JSON"),
        ('{"a": 1e99999999999999999999}', JSON, "not JSON"),
        ('{"a": NaN}', JSON, "NaN"),
        ('{"a": 1, "a": 2}', JSON, "same key twice"),
        ('{"a": 1', JSON, "not JSON"),
        ("3", JSON, "neither an object nor a list"),
        ("[]", JSON, "neither an object nor a list"),
        ("[1]", JSON, "neither an object nor a list"),
        (json.dumps([{"a": 1}] * 201), JSON, "more than 200 leads"),
        (json.dumps({"a": list(range(10_000))}), JSON, "more than 200"),
        ('{"a": "b"}'.encode("utf-16"), JSON, "not utf-8"),
        ("hello", "text/plain", "not JSON"),
    ],
)
def test_a_hostile_form_is_unreadable_with_a_plain_reason(body, content_type, reason):
    """I7, I24: over-cap content is kept by the caller, never cut."""
    with pytest.raises(UnreadableDelivery, match=reason):
        source_for("form").parse(a_delivery(body, content_type), Reading())


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("Ro\x00bert'); DROP TABLE lead;--", "Robert'); DROP TABLE lead;--"),
        ('=HYPERLINK("http://x")', '=HYPERLINK("http://x")'),
        ("+493023125001", "+493023125001"),
        ("gpj\u202eexe.\u2066x\u2069", "gpjexe.x"),
        ("line\r\nbreak\tand tab\x1b[31m", "line\r\nbreak\tand tab[31m"),
        ("\ud800lone", "\ufffdlone"),
        ("נועה 👩‍👩‍👧", "נועה 👩‍👩‍👧"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
    ids=["nul and sql", "formula", "plus", "direction marks", "controls", "surrogate", "hebrew and emoji", "html"],
)
def test_harmful_characters_go_and_everything_else_stays(value, kept):
    """I22: formulas are defused on export only."""
    [lead] = source_for("form").parse(a_delivery(json.dumps({"tel": "1", "x\x00y": value}), JSON), Reading())

    assert lead.extra == {"xy": kept}
    str(lead).encode()


def test_parsing_the_same_bytes_again_gives_the_same_leads():
    """I4: a replay equals the first run."""
    delivery = a_delivery(payload("typeform_form_response.json"), JSON)

    assert source_for("typeform").parse(delivery, Reading()) == source_for("typeform").parse(delivery, Reading())


def leads_or_unreadable(kind, body, content_type, **reading):
    delivery = a_delivery(body, content_type, query={"encoding": "x" if not body else "UTF-8"})
    try:
        leads = source_for(kind).parse(delivery, Reading(**reading))
    except UnreadableDelivery:
        return
    for lead in leads:
        texts = [lead.lead_key or "", *lead.fields.values()]
        for more in (lead.extra, lead.attribution):
            texts += [*more, *more.values()]
        assert "\x00" not in "".join(texts)
        "".join(texts).encode()


@settings(deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.binary(max_size=300), st.sampled_from(CONTENT_TYPES))
def test_no_bytes_make_a_parser_fail(kind, body, content_type):
    leads_or_unreadable(kind, body, content_type)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
TELLING = st.sampled_from(
    [
        *("email", "phone", "employees", "custom", "attribution", "consents", "external_id", "occurred_at", "test"),
        *("event_type", "form_response", "answers", "definition", "hidden", "token", "house", "batch", "record"),
        *("values", "key_code", "answered_on", "field", "fields", "type", "id", "ref", "_ts", "_nonce", "_test", "hp"),
    ]
)
NAMED = st.dictionaries(TELLING | st.text(max_size=8), JSON_VALUES, max_size=8)


@settings(deadline=None)
@given(st.sampled_from(["api", "cards", "form", "typeform"]), NAMED)
def test_no_json_makes_a_parser_fail(kind, document):
    leads_or_unreadable(kind, json.dumps(document), JSON, honeypot="hp", mapping={"token": "lead_key"})


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["answers", "definition", "hidden", "calculated", "token", "form_id"]), JSON_VALUES)
)
def test_no_form_response_makes_the_parser_fail(response):
    event = {"event_type": "form_response", "form_response": response}
    leads_or_unreadable("typeform", json.dumps(event), JSON)


ANSWER_TYPES = st.sampled_from(["text", "choice", "choices", "boolean", "number", "new"])


@settings(deadline=None)
@given(st.lists(st.tuples(ANSWER_TYPES, JSON_VALUES, JSON_VALUES), max_size=5))
def test_no_answer_makes_the_parser_fail(answers):
    listed = [{"type": kind, kind: value, "field": {"id": "q", "ref": ref}} for kind, value, ref in answers]
    event = {"event_type": "form_response", "form_response": {"token": "t", "answers": listed}}
    leads_or_unreadable("typeform", json.dumps(event), JSON)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"--b",
                b"\r\n",
                b"\n",
                b"\r",
                b"--",
                b"Content-Disposition: form-data",
                b'; name="a"',
                b'; filename="f"',
                b"; filename*=utf-8''%ff",
                b"x",
                b"\xff",
                b":",
                b"--b--",
            ]
        ),
        max_size=25,
    )
)
def test_no_multipart_fragment_makes_the_parser_fail(fragments):
    leads_or_unreadable("form", b"".join(fragments), MULTIPART)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "=", "&", "%", "%00", "%F", "%FF", "+", "[", "]", "email", "é", "\x00", ";"])))
def test_no_urlencoded_fragment_makes_a_parser_fail(fragments):
    for kind in ("form", "web_to_lead"):
        leads_or_unreadable(kind, "".join(fragments), URLENCODED)
