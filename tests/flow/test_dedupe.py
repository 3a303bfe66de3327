"""The same submission again: known by its key, answered like the first, never a second lead (I8 to I12)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import FORM, Desk
from flask.testing import FlaskClient
from web_support import ENVIRON

from connector.flows import housekeeping
from connector.sources.base import content_key
from connector.store import upkeep
from webhooks.app import create_app

KEYED = "    honeypot: website\n    dedupe_key: [{parts}]\n    # Field of the form"


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.services.environ = ENVIRON
    yield made
    made.close()


def keyed(desk: Desk, *parts: str) -> FlaskClient:
    """Give the website a key expression; return a sender."""
    written = ", ".join(json.dumps(part) for part in parts)
    if parts:
        desk.edit("hearback.yaml", "    honeypot: website\n    # Field of the form", KEYED.format(parts=written))
        desk.publish()
    return create_app(desk.services).test_client()


def send(client: FlaskClient, body: Any, query: str = "", **headers: str) -> int:
    answer = client.post(
        f"/in/form-token-6vX2{query}", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return answer.status_code


def fates(desk: Desk) -> list[tuple[str, int | None]]:
    """Each delivery's fate, and which delivery it names as the first."""
    rows = desk.rows("SELECT id, fate, first_delivery FROM delivery ORDER BY id")
    order = [row[0] for row in rows]
    return [(fate, order.index(first) if first else None) for _, fate, first in rows]


NORA = {"email": "nora@fink.example", "plz": "20095", "sent": "10:00"}


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize(
    ("part", "query", "headers"),
    [
        ("header:X-Request-Id", "", {"X_Request_Id": "r-7"}),
        ("query:id", "?id=r-7", {}),
        ("body:entry.id", "", {}),
    ],
)
def test_a_redelivery_is_answered_200_and_linked_to_the_first(
    desk: Desk, part: str, query: str, headers: dict[str, str], at_once: bool
) -> None:
    """I8, I10, I11: also when a new timestamp makes the bodies differ."""
    client = keyed(desk, part)
    entry = {"entry": {"id": "r-7"}} if part.startswith("body") else {}

    first = send(client, {**NORA, **entry}, query, **headers)
    if not at_once:
        desk.work()
    again = send(client, {**NORA, **entry, "sent": "13:00", "vorname": "Nora"}, query, **headers)
    desk.work()

    assert (first, again) == (200, 200)
    assert fates(desk) == [("leads", None), ("duplicate", 0)]
    assert desk.rows("SELECT count(*) FROM lead") == [(1,)]


def test_equal_content_under_two_ids_is_two_submissions(desk: Desk) -> None:
    """I10: honest equal submissions do not collide where the sender has ids."""
    client = keyed(desk, "header:x-request-id", "query:form")

    for request, form in (("1", "a"), ("1", "b"), ("2", "a"), ("2", "a")):
        send(client, NORA, f"?form={form}", X_Request_Id=request)
    desk.work()

    assert [fate for fate, _ in fates(desk)] == ["leads", "leads", "leads", "duplicate"]


def test_without_the_id_the_content_counts_within_its_window(desk: Desk) -> None:
    """I10: hash and window are the fall-back."""
    client = keyed(desk, "header:x-request-id")

    send(client, NORA)
    send(client, NORA)
    desk.work()
    desk.run("UPDATE dedupe_key SET seen_at = seen_at - interval '11 minutes'")
    send(client, NORA)
    desk.work()

    assert fates(desk) == [("leads", None), ("duplicate", 0), ("leads", None)]


def test_a_list_grouped_differently_creates_nothing_new(desk: Desk) -> None:
    """I9."""
    client = keyed(desk, "body:id")
    people = [{"id": n, "email": f"p{n}@fink.example", "plz": "20095"} for n in range(3)]

    send(client, people[:2])
    desk.work()
    send(client, [people[2], people[0]])
    send(client, people[1])
    desk.work()

    assert [fate for fate, _ in fates(desk)] == ["leads", "leads", "duplicate"]
    assert desk.rows("SELECT count(*) FROM lead") == [(3,)]


def test_a_vendors_redelivery_has_the_first_ones_answer_and_receipt(desk: Desk) -> None:
    """I1, I8, I11: the source's own key, without any line of configuration."""
    client = keyed(desk)
    answer = {"type": "email", "email": "t@fink.example", "field": {"id": "f", "ref": "email"}}
    for event in ("e1", "e2"):
        body = json.dumps(
            {"event_id": event, "event_type": "form_response", "form_response": {"token": "t", "answers": [answer]}}
        ).encode()
        digest = base64.b64encode(hmac.digest(b"test-secret", body, hashlib.sha256)).decode()
        given = client.post(
            "/in/typeform-token-1",
            data=body,
            content_type="application/json",
            headers={"Typeform-Signature": f"sha256={digest}"},
        )
        assert given.status_code == 200
        desk.work()

    assert fates(desk) == [("leads", None), ("duplicate", 0)]


def test_a_public_nonce_cannot_pass_for_a_hash_of_content(desk: Desk) -> None:
    """I10: nobody can send somebody else's content key ahead of them."""
    victim = {"email": "a@fink.example", "plz": "20095"}
    lead = {"email": "a@fink.example", "postal_code": "20095", "country": "DE", "language": "de"}

    desk.post(email="b@fink.example", plz="20095", _nonce="content:" + content_key("website", lead))
    desk.work()
    desk.post(**victim)
    desk.work()

    assert [fate for fate, _ in fates(desk)] == ["leads", "leads"]
    assert ("content:" + content_key("website", lead),) in desk.rows("SELECT key FROM dedupe_key")


def test_keys_are_kept_thirty_days_and_forgotten_in_batches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """I11: of every kind; what is younger stays."""
    monkeypatch.setattr(upkeep, "BATCH", 2)
    client = keyed(desk, "query:id")
    for number in range(6):
        send(client, {"email": f"p{number}@fink.example", "plz": "20095"}, f"?id={number}")
    desk.post_raw("website", b"email=c%40fink.example&plz=20095", FORM)
    desk.work()
    desk.run("UPDATE dedupe_key SET seen_at = now() - interval '29 days' WHERE key = 'key:0'")
    desk.run("UPDATE dedupe_key SET seen_at = now() - interval '31 days' WHERE key <> 'key:0'")

    with desk.services.store.transaction() as tx:
        assert upkeep.drop_old_keys(tx) == 2
    housekeeping.work(desk.services)

    assert desk.rows("SELECT key FROM dedupe_key") == [("key:0",)]
    send(client, {"email": "p0@fink.example", "plz": "20095", "sent": "late"}, "?id=0")
    desk.work()
    assert fates(desk)[-1] == ("duplicate", 0)
