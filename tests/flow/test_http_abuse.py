"""The door against abuse: caps, buckets, the snippet; bots hear what people hear (requirements I24-I26, I30)."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from web_support import BROWSER, FORM, TYPEFORM, WEB_TO_LEAD, Web, fresh_database, services_on, web_of

from connector.flows import intake
from connector.flows.signals import TOKEN_KEY
from connector.services import Services
from connector.sources.bodies import MAX_FIELDS, MAX_VALUE_BYTES
from webhooks.limits import Rate

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
TOO_MUCH = "That was too much"


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


def urlencoded(fields: int, size: int = 1, letter: str = "x") -> bytes:
    return urlencode([("email", "a@b.example"), *((f"f{n}", letter * size) for n in range(fields - 1))]).encode()


def multipart(fields: int, size: int = 1, head: str = "") -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"%b\r\n\r\n%b\r\n'
    return b"".join(part % (n, head.encode(), b"x" * size) for n in range(fields)) + b"--b--\r\n"


# Caps (the size of whole bodies: test_http_intake).


@pytest.mark.parametrize(
    ("media", "fits", "too_much"),
    [
        (URLENCODED, urlencoded(MAX_FIELDS), urlencoded(MAX_FIELDS + 1)),
        (URLENCODED, urlencoded(2, MAX_VALUE_BYTES), urlencoded(2, MAX_VALUE_BYTES + 1)),
        (URLENCODED, urlencoded(2, MAX_VALUE_BYTES // 2, "ü"), urlencoded(2, MAX_VALUE_BYTES // 2 + 1, "ü")),
        (MULTIPART, multipart(MAX_FIELDS), multipart(MAX_FIELDS + 1)),
        (MULTIPART, multipart(1, MAX_VALUE_BYTES), multipart(1, MAX_VALUE_BYTES + 1)),
        (MULTIPART, multipart(1, 200_000, '; filename="a.pdf"'), multipart(MAX_FIELDS + 1, 1, '; filename="a"')),
    ],
    ids=["fields", "a field", "a field in two-byte letters", "parts", "a part", "files"],
)
def test_a_form_has_so_many_fields_of_such_a_size(web: Web, media: str, fits: bytes, too_much: bytes) -> None:
    """I24: 200 fields, 10 KB a field; more is 413 in words for people."""
    accepted = web.client.post(FORM, data=fits, content_type=media, headers=BROWSER)
    refused = web.client.post(FORM, data=too_much, content_type=media, headers=BROWSER)

    assert (accepted.status_code, refused.status_code) == (303, 413)
    assert TOO_MUCH in refused.text
    assert web.count() == 1


def test_the_caps_of_a_form_are_those_of_the_parser(web: Web) -> None:
    """I24: what the door lets in at its caps the worker can read."""
    for body, media in (
        (urlencoded(MAX_FIELDS), URLENCODED),
        (urlencoded(2, MAX_VALUE_BYTES), URLENCODED),
        (urlencoded(2, MAX_VALUE_BYTES // 2, "ü"), URLENCODED),
    ):
        web.client.post(FORM, data=body, content_type=media)
    while intake.work(web.services):
        pass

    assert not [row["reason"] for row in web.rows() if "unreadable" in row["reason"]]


def test_an_oid_nobody_knows_has_the_same_caps(web: Web) -> None:
    refused = web.client.post(WEB_TO_LEAD, data=urlencoded(MAX_FIELDS + 1), content_type=URLENCODED)

    assert refused.status_code == 413
    assert web.count() == 0


@pytest.mark.parametrize("fields", [{f"f{n}": 1 for n in range(MAX_FIELDS + 1)}, {"f": "x" * (MAX_VALUE_BYTES + 1)}])
def test_too_much_json_is_kept_and_set_aside_by_the_worker(web: Web, fields: dict[str, object]) -> None:
    """I1, I24: a program hears 200, and nothing is lost; its fields are seen when they are parsed."""
    answer = web.client.post(FORM, json={"email": "a@b.example", **fields})
    intake.work(web.services)

    assert answer.status_code == 200
    assert web.rows()[0]["state"] == "quarantined"


# Buckets.


def test_a_refusal_says_how_much_is_allowed_and_when_to_come_back(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I25, I30: Retry-After and the RateLimit fields."""
    monkeypatch.setattr("webhooks.intake.endpoints.FORMS", Rate(30, 1))
    form = {"email": "a@b.example"}

    accepted, refused = (web.client.post(FORM, data=form, environ_base=ELSEWHERE, headers=BROWSER) for _ in "12")

    assert accepted.status_code == 303
    assert "RateLimit" not in accepted.headers
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "2"
    assert refused.headers["RateLimit-Policy"] == '"network";q=1;w=2'
    assert refused.headers["RateLimit"] == '"network";r=0;t=2'


def test_a_form_has_a_bucket_of_its_own_whoever_sends(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I25: per form; from many networks at once, and programs too."""
    monkeypatch.setattr("webhooks.intake.endpoints.ONE_FORM", Rate(60, 2))

    codes = [
        web.client.post(FORM, json={"email": "a@b.example"}, environ_base={"REMOTE_ADDR": f"203.0.{n}.9"}).status_code
        for n in range(3)
    ]
    other = web.client.post("/in/form-token-us-9", json={}, environ_base=ELSEWHERE)

    assert codes == [200, 200, 429]
    assert other.status_code == 200


def test_a_script_on_a_page_counts_as_a_browser_and_a_program_does_not(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I25: by fetch or beacon a visitor's network counts as with a plain form."""
    monkeypatch.setattr("webhooks.intake.endpoints.FORMS", Rate(1, 1))
    origin = {"Origin": "https://www.example.com"}

    page = [web.client.post(FORM, json={}, headers=origin, environ_base=ELSEWHERE).status_code for _ in "12"]
    program = [web.client.post(FORM, json={}, environ_base=ELSEWHERE).status_code for _ in "12"]

    assert page == [200, 429]
    assert program == [200, 200]


def test_signed_hooks_that_fit_have_no_bucket(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I25: never per address on vendor hooks."""
    for name in ("FORMS", "ONE_FORM"):
        monkeypatch.setattr(f"webhooks.intake.endpoints.{name}", Rate(1, 1))

    codes = {web.client.post(TYPEFORM, json={}, environ_base=ELSEWHERE).status_code for _ in range(3)}

    assert codes == {401}


# Bots hear what people hear.


@pytest.mark.parametrize("accept", [BROWSER["Accept"], "application/json"])
def test_a_bot_hears_what_a_person_hears(web: Web, accept: str) -> None:
    """I26."""
    person = {"email": "a@b.example", "vorname": "Ada"}
    answers = [
        web.client.post(FORM, data=form, headers={"Accept": accept, **more})
        for form, more in (
            (person, {}),
            ({**person, "website": "http://spam.example"}, {}),
            ({**person, "_token": "forged"}, {}),
            (person, {"Origin": "https://evil.example"}),
        )
    ]

    seen = {
        (answer.status_code, re.sub(r"[0-9a-f-]{36}", "ID", answer.text), answer.headers.get("Location"))
        for answer in answers
    }
    assert len(seen) == 1
    assert len({frozenset(answer.headers.keys()) for answer in answers}) == 1
    intake.work(web.services)
    assert sorted(row["state"] for row in web.rows()) == ["done", "done", "done", "quarantined"]


# The snippet.


def test_the_snippet_brings_a_token_of_the_moment(web: Web) -> None:
    """I25: made for this form, now, and kept by no cache."""
    answer = web.client.get(f"{FORM}/form.js")
    token = re.search(r'\("(\d+\.[0-9a-f]{64})"\);\n$', answer.text)

    assert answer.status_code == 200
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert token
    web.client.post(FORM, data={"email": "a@b.example", "_token": token[1]})
    web.client.post("/in/form-token-us-9", data={"email": "b@b.example", "_token": token[1]})
    intake.work(web.services)
    signals = [row["signals"] for row in web.rows()]
    assert "too_fast" in signals[0]
    assert "token_forged" in signals[1]


def test_the_snippet_shows_no_key(web: Web) -> None:
    text = web.client.get(f"{FORM}/form.js").text

    assert web.services.vault.keys(TOKEN_KEY)[0] not in text
    assert "form-token" not in text


def test_only_forms_on_pages_have_a_snippet(web: Web) -> None:
    assert web.client.get(f"{TYPEFORM}/form.js").status_code == 404
    assert web.client.get("/in/guess/form.js").status_code == 404
