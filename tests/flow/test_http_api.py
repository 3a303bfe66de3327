"""The API for programs."""

import base64
import hashlib
import hmac
import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from web_support import ENVIRON, FORM, KEY, LEADS, SECRET_KEY, Web, fresh_database, services_on, web_of
from werkzeug.test import TestResponse

from connector import publishing
from connector.flows import intake, reading
from connector.services import Services
from connector.settings import default_folder
from connector.store import Store
from connector.vault import Vault
from webhooks.app import create_app

A_LEAD = {
    "full_name": "Jan Kowalski",
    "email": "jan.kowalski@example.com",
    "country": "DE",
    "postal_code": "10115",
    "product": "cordless",
}


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


class Worker:
    """Works deliveries off in the background, as a worker process does."""

    def __init__(self, services: Services) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(services,))

    def _run(self, services: Services) -> None:
        while not self._stop.wait(0.02):
            intake.work(services)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def is_problem(answer, status: int, name: str) -> bool:
    document = answer.json
    return (
        answer.status_code == document["status"] == status
        and answer.content_type == "application/problem+json"
        and document["type"] == f"/problems/{name}"
        and bool(document["title"] and document["action"])
    )


def test_a_lead_is_stored_and_answered_with_a_receipt(web: Web) -> None:
    """I1: 202 is for our own API."""
    answer = web.client.post(LEADS, json=A_LEAD, headers=KEY)

    (row,) = web.rows()
    assert answer.status_code == 202
    assert answer.json == {"receipt": str(row["id"]), "status_url": f"/api/v1/receipts/{row['id']}"}
    assert (row["source"], row["verified"]) == ("api", "yes")


def test_a_receipt_tells_what_became_of_a_lead_its_owner_and_why(web: Web) -> None:
    posted = web.client.post(LEADS, json={**A_LEAD, "email": "why@example.com"}, headers=KEY).json
    before = web.client.get(posted["status_url"], headers=KEY).json
    intake.work(web.services)

    receipt = web.client.get(posted["status_url"], headers=KEY).json
    lead = web.client.get(receipt["leads"][0]["url"], headers=KEY).json
    decision = web.client.get(lead["decision_url"], headers=KEY).json

    assert (before["state"], before["fate"], before["leads"]) == ("stored", None, [])
    assert (receipt["state"], receipt["fate"]) == ("done", "leads")
    assert lead["status"] == "assigned"
    assert lead["owner"]["key"] == decision["owner"]
    assert lead["reason"]
    assert decision["explanation"]
    assert decision["record"]["owner"] == decision["owner"]


def test_the_api_tells_what_became_of_a_lead_and_not_who_it_is(web: Web) -> None:
    """P4, P10: no name, e-mail or phone leaves by these routes."""
    posted = web.client.post(LEADS, json={**A_LEAD, "email": "private@example.com"}, headers=KEY).json
    intake.work(web.services)
    receipt = web.client.get(posted["status_url"], headers=KEY)
    lead = web.client.get(receipt.json["leads"][0]["url"], headers=KEY)
    decision = web.client.get(lead.json["decision_url"], headers=KEY)

    said = receipt.text + lead.text + decision.text

    assert "private@example.com" not in said
    assert "Kowalski" not in said


def test_prefer_wait_answers_with_the_owner(web: Web) -> None:
    with Worker(web.services):
        answer = web.client.post(
            LEADS, json={**A_LEAD, "email": "wait@example.com"}, headers={**KEY, "Prefer": "respond-async, wait=20"}
        )

    assert answer.status_code == 201
    assert answer.json["lead"]["owner"]["name"]
    assert answer.json["lead"]["reason"]
    assert answer.headers["Location"] == answer.json["lead"]["url"]
    assert answer.headers["Preference-Applied"] == "wait=20"


def test_prefer_wait_gives_up_in_time(web: Web) -> None:
    started = time.monotonic()

    answer = web.client.post(LEADS, json=A_LEAD, headers={**KEY, "Prefer": "wait=1"})

    assert answer.status_code == 202
    assert 0.9 < time.monotonic() - started < 4


def test_only_a_quarter_of_the_threads_may_wait(services: Services) -> None:
    """The others get 202 at once."""
    web = web_of(services, threads=4)
    headers = {**KEY, "Prefer": "wait=3"}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(web.client.application.test_client().post, LEADS, json=A_LEAD, headers=headers)
        time.sleep(1)
        started = time.monotonic()
        answer = web.client.post(LEADS, json=A_LEAD, headers=headers)
        took = time.monotonic() - started

        assert answer.status_code == 202
        assert took < 1
        assert waiting.result().status_code == 202


@pytest.mark.parametrize("wait", ["0", "-1", "abc", "", "9" * 40])
def test_a_preference_nobody_can_read_is_ignored_or_capped(web: Web, wait: str) -> None:
    with Worker(web.services):
        answer = web.client.post(LEADS, json=A_LEAD, headers={**KEY, "Prefer": f"wait={wait}"})

    assert answer.status_code in (201, 202)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer api-key-012345678"])
def test_without_a_known_key_nothing_is_said_or_stored(web: Web, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answers = [
        web.client.post(LEADS, json=A_LEAD, headers=headers),
        web.client.get(f"/api/v1/receipts/{uuid4()}", headers=headers),
        web.client.get(f"{LEADS}/{uuid4()}", headers=headers),
        web.client.get(f"{LEADS}/{uuid4()}/decision", headers=headers),
    ]

    assert all(is_problem(answer, 401, "unauthorized") for answer in answers)
    assert all(answer.headers["WWW-Authenticate"] == "Bearer" for answer in answers)
    assert web.count() == 0


def test_every_fault_of_a_lead_is_named_at_once_with_its_field(web: Web) -> None:
    """I30: RFC 9457, the field and what to do."""
    answer = web.client.post(LEADS, json={"email": 5, "employees": "many", "test": "yes"}, headers=KEY)

    assert is_problem(answer, 422, "invalid-lead")
    assert {error["field"] for error in answer.json["errors"]} == {"email", "employees", "test"}
    assert web.count() == 0


@pytest.mark.parametrize(
    ("body", "media", "status", "name"),
    [
        (b"{", "application/json", 400, "invalid-json"),
        (b"", "application/json", 400, "invalid-json"),
        (b'{"email": "a@b.example", "email": "c@d.example"}', "application/json", 400, "invalid-json"),
        (b'{"employees": NaN}', "application/json", 400, "invalid-json"),
        (b"\xff\xfe", "application/json", 400, "invalid-json"),
        (b"[" * 100_000, "application/json", 400, "invalid-json"),
        (b"[]", "application/json", 422, "invalid-lead"),
        (b'"text"', "application/json", 422, "invalid-lead"),
        (b"{}", "application/json", 422, "invalid-lead"),
        (b'{"full_name": "  "}', "application/json", 422, "invalid-lead"),
        (b"email=a@b.example", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b"{}", "", 415, "unsupported-media-type"),
        (b" " * (1024 * 1024 + 1), "application/json", 413, "too-large"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, bytes) else None,
)
def test_a_body_that_is_no_lead_is_refused_with_its_reason(
    web: Web, body: bytes, media: str, status: int, name: str
) -> None:
    answer = web.client.post(LEADS, data=body, content_type=media, headers=KEY)

    assert is_problem(answer, status, name)
    assert web.count() == 0


def test_the_same_key_and_body_give_the_same_receipt(web: Web) -> None:
    """I30; bare and quoted keys are the same key."""
    receipts = {
        web.client.post(LEADS, json=A_LEAD, headers={**KEY, "Idempotency-Key": key}).json["receipt"]
        for key in ("lead-1", '"lead-1"', "lead-1")
    }

    assert len(receipts) == 1
    assert web.count() == 1


def test_the_same_key_with_another_body_is_refused(web: Web) -> None:
    """I30: 422."""
    headers = {**KEY, "Idempotency-Key": "lead-1"}
    web.client.post(LEADS, json=A_LEAD, headers=headers)

    answer = web.client.post(LEADS, json={**A_LEAD, "city": "Bremen"}, headers=headers)

    assert is_problem(answer, 422, "idempotency-key-reused")
    assert web.count() == 1


def test_a_key_still_in_flight_is_409(web: Web) -> None:
    """I30."""
    headers = {**KEY, "Idempotency-Key": "slow"}
    with psycopg.connect(web.url) as first:
        first.execute("INSERT INTO idempotency_key VALUES ('dealer-portal', 'slow', '', %s)", (uuid4(),))
        answer = web.client.post(LEADS, json=A_LEAD, headers=headers)
        first.rollback()

    assert is_problem(answer, 409, "request-in-flight")
    assert web.client.post(LEADS, json=A_LEAD, headers=headers).status_code == 202


def test_many_posts_under_one_key_at_once_store_one_lead(web: Web) -> None:
    """P2: the insert is the check, not a read before it (I8)."""
    headers = {**KEY, "Idempotency-Key": "race"}

    def post(_: int) -> tuple[int, str | None]:
        answer = web.client.application.test_client().post(LEADS, json=A_LEAD, headers=headers)
        return answer.status_code, answer.json.get("receipt")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(24)))

    assert web.count() == 1
    assert {code for code, _ in answers} <= {202, 409}
    assert {receipt for code, receipt in answers if code == 202} == {str(web.rows()[0]["id"])}


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb"])
def test_a_key_that_cannot_be_used_is_refused(web: Web, key: str) -> None:
    answer = web.client.post(LEADS, json=A_LEAD, headers={**KEY, "Idempotency-Key": key})

    assert is_problem(answer, 400, "invalid-idempotency-key")
    assert web.count() == 0


def test_a_duplicate_points_to_the_lead_of_the_first(web: Web) -> None:
    lead = {**A_LEAD, "email": "twice@example.com", "external_id": "42"}
    receipts = [web.client.post(LEADS, json=lead, headers=KEY).json["status_url"] for _ in range(2)]
    intake.work(web.services)

    first, second = (web.client.get(url, headers=KEY).json for url in receipts)

    assert (first["fate"], second["fate"]) == ("leads", "duplicate")
    assert second["first"] == first["receipt"]
    assert second["leads"] == first["leads"]


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/receipts/12", f"/api/v1/receipts/{uuid4()}"])
def test_unknown_things_are_problem_documents(web: Web, path: str) -> None:
    answer = web.client.get(path, headers=KEY)

    assert is_problem(answer, 404, "not-found")


def test_a_wrong_method_is_a_problem_document(web: Web) -> None:
    answer = web.client.delete(LEADS, headers=KEY)

    assert is_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]


def test_problem_types_lead_to_an_explanation(web: Web) -> None:
    document = web.client.post(LEADS, json={}, headers=KEY).json

    assert "not valid" in web.client.get(document["type"]).text
    assert web.client.get("/problems/none").status_code == 404


def test_a_dead_store_is_a_problem_with_retry_after(database_url: str, web: Web) -> None:
    """I6."""
    with services_on(database_url) as services:
        client = create_app(services).test_client()
        assert client.post(LEADS, json=A_LEAD, headers=KEY).status_code == 202
        services.store.close()

        answer = client.post(LEADS, json=A_LEAD, headers=KEY)

    assert is_problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_an_unforeseen_error_is_a_problem_without_details(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P10: neither the answer nor the log's message holds what was sent."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("jan.kowalski@example.com")

    monkeypatch.setattr("webhooks.api.endpoints.accept", broken)

    answer = web.client.post(LEADS, json=A_LEAD, headers=KEY)

    assert is_problem(answer, 500, "internal-error")
    assert "kowalski" not in answer.text
    assert "kowalski" not in caplog.records[-1].getMessage()
    assert "hearback_http_unexpected_errors_total 1.0" in web.client.get("/metrics").text


def test_deliveries_are_listed_newest_first_and_by_what_became_of_them(web: Web) -> None:
    """I5: listed and searchable; pages go on where the last one ended."""
    for number in range(3):
        web.client.post(LEADS, json={**A_LEAD, "email": f"list{number}@example.com"}, headers=KEY)
    intake.work(web.services)
    web.client.post(FORM, data={"email": "listed@example.com"})

    everything = reading.deliveries(web.services)
    page = reading.deliveries(web.services, limit=2)
    following = reading.deliveries(web.services, limit=2, before=page[-1].id)

    assert [row.source for row in everything] == ["website", "api", "api", "api"]
    assert [*page, *following] == everything
    assert [row.source for row in reading.deliveries(web.services, state="stored")] == ["website"]
    assert len(reading.deliveries(web.services, fate="leads", source="api")) == 3
    assert reading.deliveries(web.services, source="nobody") == []


def test_the_openapi_document_names_every_route_of_the_api(web: Web) -> None:
    document = json.loads(web.client.get("/api/v1/openapi.json").data)
    served = {
        rule.rule.replace("<uuid:", "{").replace(">", "}")
        for rule in web.client.application.url_map.iter_rules()
        if rule.rule.startswith("/api/") and not rule.rule.endswith("openapi.json")
    }

    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == served


WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def signature(body: bytes, *, name: str = "msg_1", at: float | None = None, key: bytes | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    secret = base64.b64decode(WHSEC.removeprefix("whsec_")) if key is None else key
    mac = hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signed = base64.b64encode(mac).decode()
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signed}"}


@pytest.fixture
def signing(database_url: str, tmp_path: Path) -> Iterator[Web]:
    """A service where one program signs what it posts."""
    folder = tmp_path / "config"
    shutil.copytree(default_folder(), folder)
    file = folder / "hearback.yaml"
    entry = "api_keys:\n  - name: signer\n    secret: ${SIGNER_SECRET}\n    signs: true\n"
    file.write_text(file.read_text("utf-8").replace("api_keys:\n", entry, 1), "utf-8")
    with Store(database_url, size=4) as store:
        assert publishing.publish(store, folder).hash
        yield web_of(Services(store, Vault(SECRET_KEY), environ={**ENVIRON, "SIGNER_SECRET": WHSEC}))


def post_signed(web: Web, body: bytes, headers: dict[str, str]) -> TestResponse:
    return web.client.post(LEADS, data=body, headers=headers, content_type="application/json")


def test_a_program_may_sign_a_lead_instead_of_sending_its_key(signing: Web) -> None:
    """I30: and the message id makes its retries safe."""
    body = json.dumps(A_LEAD).encode()

    first = post_signed(signing, body, signature(body))
    again = post_signed(signing, body, signature(body))
    other = post_signed(signing, body, signature(body, name="msg_2"))

    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 202]
    assert first.json == again.json != other.json
    assert signing.count() == 2
    assert {row["verified"] for row in signing.rows()} == {"yes"}


def test_a_signature_that_does_not_fit_is_refused_and_stores_nothing(signing: Web) -> None:
    """I13, I30: another body, key or time; and the key of one that signs is no bearer key."""
    body = json.dumps(A_LEAD).encode()
    refused = [
        signature(body + b" "),
        signature(body, key=b"another"),
        signature(body, at=time.time() - 400),
        {**signature(body), "webhook-id": "msg_9"},
        {"webhook-signature": "v1,x"},
        {"Authorization": f"Bearer {WHSEC}"},
        {**signature(body), "Authorization": "Bearer wrong"},
    ]

    answers = [post_signed(signing, body, headers) for headers in refused]

    assert all(is_problem(answer, 401, "unauthorized") for answer in answers)
    assert signing.count() == 0


def test_where_nobody_signs_a_signature_opens_nothing(web: Web) -> None:
    body = json.dumps(A_LEAD).encode()

    assert is_problem(post_signed(web, body, signature(body)), 401, "unauthorized")
