"""The doors for leads: forms, vendor hooks, the Web-to-Lead drop-in."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from web_support import BROWSER, FORM, OID, TYPEFORM, WEB_TO_LEAD, Web, fresh_database, services_on, web_of

from connector.errors import StoreUnavailable
from connector.services import FRESH, Services
from connector.store import Store
from webhooks import limits
from webhooks.app import create_app
from webhooks.limits import Rate

PAYLOADS = Path(__file__).parent.parent / "payloads" / "intake"
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}
A_FORM = {"first_name": "Jürgen", "email": "juergen@example.com"}


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


def signed(body: bytes, secret: str = "test-secret") -> dict[str, str]:
    digest = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
    return {"Typeform-Signature": f"sha256={digest}", "Content-Type": "application/json"}


def test_a_browser_form_is_stored_as_it_came_and_led_to_the_thank_you_page(web: Web) -> None:
    """I2, I4: raw bytes are kept."""
    body = (PAYLOADS / "plain_form.urlencoded").read_bytes()

    answer = web.client.post(
        FORM, data=body, content_type="application/x-www-form-urlencoded", headers={**BROWSER, "Cookie": "session=1"}
    )

    (row,) = web.rows()
    head, stored = web.body(row["id"])
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/thanks?lang=en"
    assert (row["source"], row["kind"], row["state"], row["verified"]) == ("website", "lead", "stored", "none")
    assert row["sha256"] == hashlib.sha256(body).digest()
    assert stored == body
    assert "cookie" not in head["headers"]


def test_credentials_are_never_kept(web: Web) -> None:
    """I4: no authorization, cookies or keys."""
    secretive = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Proxy-Authorization": "p"}

    web.client.post(FORM, data=A_FORM, headers={**secretive, "Origin": "https://a.example", "User-Agent": "Test"})

    head, _ = web.body(web.rows()[0]["id"])
    assert head["headers"] == {
        "content-type": "application/x-www-form-urlencoded",
        "origin": "https://a.example",
        "user-agent": "Test",
    }


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("https://www.example.com/danke?a=1", "https://www.example.com/danke?a=1"),
        ("https://www.example.com:443/x", "https://www.example.com:443/x"),
        ("http://www.example.com/", "/thanks?lang=en"),
        ("https://evil.example/", "/thanks?lang=en"),
        ("https://www.example.com.evil.example/", "/thanks?lang=en"),
        ("https://www.example.com@evil.example/", "/thanks?lang=en"),
        ("//www.example.com/", "/thanks?lang=en"),
        ("https:\\\\www.example.com\\", "/thanks?lang=en"),
        ("https://www.example.com/\r\nSet-Cookie: a=b", "/thanks?lang=en"),
        ("javascript:alert(1)", "/thanks?lang=en"),
    ],
)
def test_only_an_allow_listed_https_host_is_returned_to(web: Web, asked: str, led_to: str) -> None:
    """I28."""
    answer = web.client.post(FORM, data={**A_FORM, "retURL": asked}, headers=BROWSER)

    assert answer.status_code == 303
    assert answer.headers["Location"] == led_to
    assert "Set-Cookie" not in answer.headers
    assert web.count() == 1


def test_a_multipart_form_returns_too(web: Web) -> None:
    data = {**A_FORM, "retURL": "https://www.example.com/ok"}

    answer = web.client.post(FORM, data=data, content_type="multipart/form-data", headers=BROWSER)

    assert answer.headers["Location"] == "https://www.example.com/ok"


def test_a_script_that_asks_for_json_gets_the_receipt_as_json(web: Web) -> None:
    """I28."""
    answer = web.client.post(FORM, data=A_FORM, headers={"Accept": "application/json"})

    assert answer.status_code == 200
    assert UUID(answer.json["receipt"]) == web.rows()[0]["id"]


@pytest.mark.parametrize("media", ["application/json", "text/plain;charset=UTF-8"])
def test_json_from_a_tool_or_beacon_gets_exactly_200(web: Web, media: str) -> None:
    """I1, I29: also JSON sent as text/plain."""
    answer = web.client.post(FORM, data=b'{"email": "a@example.com"}', content_type=media)

    assert answer.status_code == 200
    assert answer.text == f"ok {web.rows()[0]['id']}\n"


def test_a_signed_vendor_hook_gets_200_and_a_duplicate_too(web: Web) -> None:
    """I1, I11."""
    body = (PAYLOADS / "typeform_form_response.json").read_bytes()

    answers = [web.client.post(TYPEFORM, data=body, headers=signed(body)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [row["verified"] for row in web.rows()] == ["yes", "yes"]


def test_a_forged_vendor_hook_is_refused_and_kept_for_the_operator(web: Web) -> None:
    """I14: the caller does not hear the failing step."""
    body = b'{"event_type": "form_response"}'

    answer = web.client.post(TYPEFORM, data=body, headers=signed(body, "another-secret"))

    (row,) = web.rows()
    assert answer.status_code == 401
    assert "secret" not in answer.text
    assert (row["state"], row["verified"]) == ("quarantined", "no:wrong secret")


def test_forged_hooks_are_kept_at_a_bounded_rate(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I14: a rate-limited quarantine."""
    monkeypatch.setattr("webhooks.quarantine.REJECTED", Rate(1, 2))

    codes = [web.client.post(TYPEFORM, json={}).status_code for _ in range(4)]

    assert codes == [401, 401, 429, 429]
    assert web.count() == 2


def test_an_unknown_token_is_404_and_stores_nothing(web: Web) -> None:
    assert web.client.post("/in/guess", data=A_FORM).status_code == 404
    assert web.count() == 0


def test_a_get_without_a_challenge_is_405(web: Web) -> None:
    answer = web.client.get(FORM)

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert web.client.get("/in/guess").status_code == 404


def test_a_content_type_the_source_does_not_read_is_415(web: Web) -> None:
    answer = web.client.post(FORM, data=b"<a/>", content_type="application/xml")

    assert answer.status_code == 415
    assert "application/x-www-form-urlencoded" in answer.text


def test_a_web_to_lead_form_finds_its_source_by_oid(web: Web) -> None:
    body = (PAYLOADS / "salesforce_web_to_lead.urlencoded").read_bytes()

    answer = web.client.post(
        WEB_TO_LEAD + "?encoding=UTF-8", data=body, content_type="application/x-www-form-urlencoded", headers=BROWSER
    )

    (row,) = web.rows()
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("https://www.example.com/")
    assert (row["source"], row["state"]) == ("web-to-lead", "stored")


def test_an_oid_of_18_characters_is_the_same_organisation(web: Web) -> None:
    web.client.post(WEB_TO_LEAD, data={"oid": OID + "EAA", "email": "a@example.com"})

    assert web.rows()[0]["source"] == "web-to-lead"


@pytest.mark.parametrize("oid", ["00DYY0000000009", "", "x" * 500, "'; DROP TABLE delivery; --"])
def test_an_unknown_oid_is_quarantined_and_looks_like_any_other(web: Web, oid: str) -> None:
    """I26: bots get the same answer as people."""
    answer = web.client.post(WEB_TO_LEAD, data={"oid": oid, "email": "a@example.com"}, headers=BROWSER)

    (row,) = web.rows()
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/thanks?lang=en"
    assert row["state"] == "quarantined"
    assert "belongs to no source" in row["reason"]


def test_too_many_forms_from_one_network_are_429_with_retry_after(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I25: per /24; nothing is stored, the answer says when to come back."""
    monkeypatch.setattr("webhooks.intake.endpoints.FORMS", Rate(60, 3))
    neighbour = {"REMOTE_ADDR": "203.0.113.200"}

    codes = [web.client.post(FORM, data=A_FORM, environ_base=ELSEWHERE).status_code for _ in range(3)]
    refused = web.client.post(FORM, data=A_FORM, environ_base=neighbour, headers=BROWSER)
    other = web.client.post(FORM, data=A_FORM, environ_base={"REMOTE_ADDR": "198.51.100.1"})

    assert codes == [303, 303, 303]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert "One moment" in refused.text
    assert other.status_code == 303


def test_vendor_hooks_and_tools_are_not_limited(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I25: their senders share addresses."""
    monkeypatch.setattr("webhooks.intake.endpoints.FORMS", Rate(1, 1))

    codes = {web.client.post(FORM, json={"email": "a@b.example"}, environ_base=ELSEWHERE).status_code for _ in "123"}

    assert codes == {200}


def test_unknown_oids_are_limited_harder(web: Web) -> None:
    codes = [
        web.client.post(WEB_TO_LEAD, data={"oid": "00DYY0000000009"}, environ_base=ELSEWHERE).status_code
        for _ in range(limits.UNKNOWN_OID.burst + 1)
    ]

    assert codes[-1] == 429
    assert codes[:-1] == [303] * limits.UNKNOWN_OID.burst


def test_a_script_of_an_allowed_origin_may_post(web: Web) -> None:
    """I29: the form's origins only, no credentials, no wildcard."""
    origin = {"Origin": "https://www.example.com"}

    preflight = web.client.options(FORM, headers=origin)
    posted = web.client.post(FORM, data=A_FORM, headers={**origin, "Accept": "application/json"})

    assert preflight.status_code == 204
    for answer in (preflight, posted):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://www.example.com", "null", ""])
def test_a_script_of_another_origin_is_told_nothing(web: Web, origin: str) -> None:
    """I29; a plain form post of any origin is stored all the same."""
    preflight = web.client.options(FORM, headers={"Origin": origin})
    posted = web.client.post(FORM, data=A_FORM, headers={"Origin": origin})

    assert preflight.status_code == 403
    assert posted.status_code == 303
    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert "Access-Control-Allow-Origin" not in posted.headers


@pytest.mark.parametrize(
    ("media", "cap"),
    [
        ("application/x-www-form-urlencoded", 64 * 1024),
        ("application/json", 1024 * 1024),
        ("multipart/form-data; boundary=b", 10 * 1024 * 1024),
    ],
)
def test_each_kind_of_body_has_its_cap(web: Web, media: str, cap: int) -> None:
    """I24: over the cap is 413, at the cap is stored."""
    fits = web.client.post(FORM, data=b"x" * cap, content_type=media)
    too_large = web.client.post(FORM, data=b"x" * (cap + 1), content_type=media)

    assert fits.status_code in (200, 303)
    assert too_large.status_code == 413
    assert str(cap) in too_large.text
    assert web.count() == 1


def test_a_dead_store_is_503_with_retry_after_and_never_200(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """I6, P1."""

    def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("the database does not answer")

    web.services.current()
    monkeypatch.setattr(web.services.store, "connection", gone)

    answers = [web.client.post(FORM, data=A_FORM, headers=BROWSER), web.client.post(FORM, json={})]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].headers["Retry-After"] == "5"
    assert "try again" in answers[0].text


def test_a_locked_store_is_503_too(web: Web) -> None:
    """P1: a lock timeout means nothing was stored."""
    with psycopg.connect(web.url) as holder:
        holder.execute("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        answer = web.client.post(FORM, data=A_FORM)

    assert answer.status_code == 503
    assert web.count() == 0


def test_without_a_published_configuration_senders_try_again(database_url: str, web: Web) -> None:
    """P1: a token cannot be judged, so the answer is not 404."""
    with Store(database_url) as store:
        answer = create_app(Services(store, web.services.vault, environ={})).test_client().post(FORM, data=A_FORM)

    assert answer.status_code == 503


def test_a_new_configuration_changes_the_doors(database_url: str) -> None:
    """A running service follows the pointer within a second."""
    with services_on(database_url) as services:
        web = web_of(services)
        assert web.client.post(FORM, data=A_FORM).status_code == 303
        services.environ = {**services.environ, "HEARBACK_FORM_TOKEN": "rotated"}
        with psycopg.connect(web.url) as connection:
            connection.execute(
                "INSERT INTO configuration (hash, document, rule_set) SELECT 'other', "
                "replace(convert_from(document, 'UTF8'), 'Nordhammer Tools', 'Nordhammer')::bytea, rule_set "
                "FROM configuration"
            )
            connection.execute("UPDATE active_configuration SET hash = 'other'")
        time.sleep(FRESH)

        assert web.client.post(FORM, data=A_FORM).status_code == 404
        assert web.client.post("/in/rotated", data=A_FORM).status_code == 303


def test_a_source_whose_token_is_not_set_closes_its_own_door_only(web: Web) -> None:
    environ = {name: value for name, value in web.services.environ.items() if name != "HEARBACK_FORM_US_TOKEN"}
    client = create_app(Services(web.services.store, web.services.vault, environ=environ)).test_client()

    assert client.post(FORM, data=A_FORM).status_code == 303
    assert client.post("/in/form-token-us-9", data=A_FORM).status_code == 404


def test_behind_trusted_proxies_the_visitor_counts_not_the_proxy(web: Web) -> None:
    environ = {**web.services.environ, "HEARBACK_TRUSTED_PROXIES": "1"}
    client = create_app(Services(web.services.store, web.services.vault, environ=environ)).test_client()

    client.post(FORM, data=A_FORM, headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.5"})

    assert web.body(web.rows()[0]["id"])[0]["from"] == {"ip": "203.0.113.5"}


def test_forwarded_addresses_are_not_believed_without_a_trusted_proxy(web: Web) -> None:
    web.client.post(FORM, data=A_FORM, headers={"X-Forwarded-For": "198.51.100.7"})

    assert web.body(web.rows()[0]["id"])[0]["from"] == {"ip": "127.0.0.1"}
