"""Webhooks of the CRMs."""

import json
import time
from collections.abc import Iterator

import pytest
from web_support import Web, fresh_database, services_on, web_of

from connector.adapters.sandbox.crm.sender import SIGNATURE_HEADER, signature
from connector.services import Services

BODY = json.dumps([{"id": "1", "type": "lead"}]).encode()


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


def signed(secret: str = "sandbox-secret", *, at: float | None = None) -> dict[str, str]:
    return {SIGNATURE_HEADER: signature(secret, int(at or time.time()), BODY)}


def test_a_verified_webhook_is_stored_for_its_connection(web: Web) -> None:
    """P1."""
    woken: list[str] = []
    web.services.wake = woken.append

    answer = web.client.post("/crm/sandbox", data=BODY, headers=signed(), content_type="application/json")

    (row,) = web.rows()
    assert answer.status_code == 200
    assert answer.text == f"ok {row['id']}\n"
    assert (row["kind"], row["source"], row["state"], row["verified"]) == ("crm", "crm:sandbox", "stored", "yes")
    assert woken


@pytest.mark.parametrize("headers", [{}, signed("forged"), signed(at=1_000_000_000), {SIGNATURE_HEADER: "nonsense"}])
def test_a_webhook_that_cannot_be_verified_is_refused_and_kept(web: Web, headers: dict[str, str]) -> None:
    """I13, I14."""
    answer = web.client.post("/crm/sandbox", data=BODY, headers=headers, content_type="application/json")

    (row,) = web.rows()
    assert answer.status_code == 401
    assert row["state"] == "quarantined"
    assert row["verified"].startswith("no:")


def test_an_unknown_connection_is_404(web: Web) -> None:
    assert web.client.post("/crm/nobody", data=BODY).status_code == 404
    assert web.count() == 0


def test_a_webhook_is_capped(web: Web) -> None:
    assert web.client.post("/crm/sandbox", data=b"x" * (1024 * 1024 + 1)).status_code == 413
