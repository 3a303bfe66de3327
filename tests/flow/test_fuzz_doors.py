"""Every registered kind through its door and to its fate: no 5xx, one receipt, one fate (P1, P2, I1, I5, I7).

40 posts a kind, 1,000 with HEARBACK_FULL=1. A new kind is covered as soon as it is registered.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_fuzz import FULL, accepted, deliveries
from source_samples import entry, kinds
from web_support import ENVIRON, KEY, LEADS, SECRET_KEY, fresh_database

from connector import publishing
from connector.flows import intake
from connector.flows.accept import accept
from connector.model.identity import new_id
from connector.services import Services
from connector.settings import default_folder
from connector.settings.organisation import DOORLESS
from connector.store import Store
from connector.vault import Vault
from webhooks.app import create_app

CASES = 1_000 if FULL else 40
KEPT, NOT_KEPT = {200, 201, 202, 303, 401}, {400, 404, 409, 413, 415, 422, 429}


def token(kind: str) -> str:
    return f"fuzz-token-{kind}"


@pytest.fixture(scope="module")
def services(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = Path(shutil.copytree(default_folder(), tmp_path_factory.mktemp("fuzz") / "config"))
    main = folder / "hearback.yaml"
    entries = "".join(entry(kind, f"fuzz-{kind}") for kind in kinds() if kind not in DOORLESS)
    main.write_text(main.read_text("utf-8").replace("\nsources:\n", f"\nsources:\n{entries}"), "utf-8")
    tokens = {f"TOKEN_{kind.upper()}": token(kind) for kind in kinds()}
    with fresh_database(postgres, template) as url, Store(url, size=4) as store:
        published = publishing.publish(store, folder)
        assert published.hash, published.complaints
        yield Services(store, Vault(SECRET_KEY), environ={**ENVIRON, **tokens, "FUZZ_SECRET": "test-secret"})


@pytest.fixture(scope="module")
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def rows(services: Services, query: str, *parameters: object) -> list[tuple[object, ...]]:
    with services.store.transaction() as tx:
        return tx.all(query, *parameters)


def stored(services: Services) -> int:
    ((count,),) = rows(services, "SELECT count(*) FROM delivery")
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.timeout(3600)
def test_whatever_is_posted_has_one_receipt_and_one_fate(services: Services, client: FlaskClient, kind: str) -> None:
    source = kind.replace("_", "-") if kind in DOORLESS else f"fuzz-{kind}"
    receipts = set()

    @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(deliveries(kind), st.integers(1, 2**24 - 2))
    def has_one_fate(delivery, network) -> None:
        address = f"10.{network >> 16}.{network >> 8 & 255}.{network & 255}"
        before = stored(services)
        if kind == "api" or kind not in DOORLESS:
            door, extra = (LEADS, KEY) if kind == "api" else (f"/in/{token(kind)}", {})
            answer = client.post(
                f"{door}?{urlencode(delivery.query)}",
                data=delivery.body,
                content_type=delivery.content_type,
                headers={**sendable(delivery.headers), **extra},
                environ_overrides={"REMOTE_ADDR": address},
            )
            assert answer.status_code in KEPT | NOT_KEPT, answer.status
            # The same body under the same Idempotency-Key gets its first receipt again.
            receipt = answer.json["receipt"] if kind == "api" and answer.status_code in KEPT else new_id()
            assert stored(services) - before == (answer.status_code in KEPT and receipt not in receipts), answer.status
            receipts.add(receipt)
        if accepted(kind, delivery):
            # Also what a signature would have kept out.
            accept(
                services, replace(delivery, id=new_id(), source=source, received_at=datetime.now(UTC)), verified="yes"
            )
        settle(services)

    has_one_fate()


def sendable(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("content-type", "content-length", "host")}


def settle(services: Services) -> None:
    """Work everything off: each delivery then has its fate, or waits for a person with a reason (P2)."""
    while intake.work(services):
        pass
    odd = rows(
        services,
        "SELECT id, state, fate, reason, attempts FROM delivery WHERE state NOT IN ('done', 'quarantined', 'waiting') "
        "OR (state = 'quarantined' AND reason = '') OR attempts > 0 "
        "OR (fate = 'duplicate' AND first_delivery IS NULL) OR (fate = 'rejected' AND reason = '') "
        "OR (fate IN ('leads', 'updated') AND NOT EXISTS (SELECT FROM submission s WHERE s.delivery_id = delivery.id))",
    )
    assert odd == []
