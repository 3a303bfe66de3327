"""What a body says is masked, and its secrets are gone, whatever its form (P10)."""

import json
import re
import string
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.sources.masking import HIDDEN, as_it_is, secretive, shape, show_body, show_value

WORDS = st.text(string.ascii_letters + string.digits + "äöüßłąęж @.+-", min_size=1, max_size=30)
NAMES = st.sampled_from(["email", "name", "your-message", "q3_phone", "fields[0]"])
TREES = st.recursive(
    WORDS | st.integers(1000, 10**20) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
SHOWN = re.compile(r"[^x X9\W_]")


def leaves(node: object) -> list[str]:
    if isinstance(node, dict):
        return [leaf for value in node.values() for leaf in leaves(value)]
    if isinstance(node, list):
        return [leaf for value in node for leaf in leaves(value)]
    return [] if node is None or isinstance(node, bool) else [str(node)]


@given(WORDS)
def test_a_shape_keeps_the_length_and_no_letter_or_digit(text: str) -> None:
    assert len(shape(text)) == len(text)
    assert not SHOWN.search(shape(text))
    assert [c for c in shape(text) if not c.isalnum()] == [c for c in text if not c.isalnum()]


@given(st.dictionaries(NAMES, TREES, min_size=1, max_size=4))
def test_no_value_of_json_is_shown(document: dict[str, object]) -> None:
    shown = json.loads(show_body(json.dumps(document).encode(), "application/json", shape, ()))

    assert not [leaf for leaf in leaves(shown) if SHOWN.search(leaf)]
    assert set(shown) == set(document)


@given(st.dictionaries(NAMES, WORDS, min_size=1, max_size=4))
def test_no_value_of_a_form_is_shown(fields: dict[str, str]) -> None:
    shown = show_body(urlencode(fields).encode(), "application/x-www-form-urlencoded", shape, ())

    assert not [line for line in shown.splitlines() if SHOWN.search(line.partition(": ")[2])]


@given(st.binary(max_size=200), st.sampled_from(["application/json", "multipart/form-data; boundary=x", "", "a/b"]))
def test_any_body_can_be_shown(body: bytes, content_type: str) -> None:
    for mask in (shape, as_it_is):
        assert "\0" not in show_body(body, content_type, mask, ("secret",))


SECRET = st.text(string.ascii_letters + string.digits + "-_", min_size=12, max_size=40)
AROUND = st.sampled_from(["{}", "before {} after", "https://h.example/in/{}?x=1", '{{"inner": "{}"}}', "[[{}"])


@given(SECRET, AROUND, st.sampled_from([shape, as_it_is]))
def test_a_known_secret_is_shown_nowhere(secret: str, around: str, mask: object) -> None:
    text = around.format(secret)
    bodies = [
        (json.dumps({"note": text, "list": [text], "deep": {"a": text}}).encode(), "application/json"),
        (urlencode({"note": text}).encode(), "application/x-www-form-urlencoded"),
        (text.encode(), "text/plain"),
        (
            f'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n{text}\r\n--b--\r\n'.encode(),
            "multipart/form-data; boundary=b",
        ),
    ]

    for body, content_type in bodies:
        assert secret not in show_body(body, content_type, mask, (secret,))  # type: ignore[arg-type] # one of two


@pytest.mark.parametrize(
    "name",
    [
        "google_key",
        "Google_key",
        "HandshakeKey",
        "handshake-key",
        "api_key",
        "apiKey",
        "g-recaptcha-response",
        "token",
        "client_secret",
        "Password",
        "X-Webhook-Signature",
        "accessKey",
        "captcha_settings",
    ],
)
def test_a_secret_goes_by_its_name_also_where_nobody_knows_it(name: str) -> None:
    assert secretive(name)
    assert show_value(name, "abc", as_it_is, ()) == HIDDEN
    assert "zq81" not in show_body(json.dumps({name: "zq81"}).encode(), "application/json", as_it_is, ())
    assert "zq81" not in show_body(json.dumps({name: {"a": ["zq81"]}}).encode(), "application/json", as_it_is, ())
    assert "zq81" not in show_body(f"{{ broken '{name}': 'zq81'".encode(), "application/json", as_it_is, ())


@pytest.mark.parametrize("name", ["email", "key_code", "lead_key", "idempotency-key", "message", "company", "keyboard"])
def test_other_names_hide_nothing_from_an_admin(name: str) -> None:
    assert not secretive(name)
    assert show_value(name, "abc", as_it_is, ()) == "abc"
