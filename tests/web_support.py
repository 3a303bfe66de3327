"""An application around a real database and the sample organisation, for tests of the HTTP edge."""

import hashlib
import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import requests
from flask.testing import FlaskClient
from psycopg import sql
from psycopg.rows import dict_row

from connector import publishing
from connector.flows import intake
from connector.flows.accept import accept_many
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services
from connector.settings import default_folder
from connector.store import Store, feedback, followups
from connector.store.feedback import Invitation
from connector.store.followups import Sale
from connector.vault import Vault
from webhooks import serve
from webhooks.app import create_app

ENVIRON = {
    "HEARBACK_FORM_TOKEN": "form-token-6vX2",
    "HEARBACK_FORM_US_TOKEN": "form-token-us-9",
    "HEARBACK_TYPEFORM_TOKEN": "typeform-token-1",
    "HEARBACK_TYPEFORM_SECRET": "test-secret",
    "HEARBACK_API_KEY": "api-key-0123456789",
    "HEARBACK_SANDBOX_TOKEN": "sandbox-token",
    "HEARBACK_SANDBOX_WEBHOOK_SECRET": "sandbox-secret",
}
FORM = "/in/form-token-6vX2"
TYPEFORM = "/in/typeform-token-1"
WEB_TO_LEAD = "/servlet/servlet.WebToLead"
LEADS = "/api/v1/leads"
KEY = {"Authorization": "Bearer api-key-0123456789"}
OID = "00DXX0000000001"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SECRET_KEY = "k" * 40

_numbers = itertools.count()


@dataclass
class Web:
    """The application, its client, and what it stored."""

    url: str
    services: Services
    client: FlaskClient

    def rows(self, query: str = "SELECT * FROM delivery ORDER BY id") -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def count(self) -> int:
        return int(self.rows("SELECT count(*) AS n FROM delivery")[0]["n"])

    def body(self, receipt: str) -> tuple[dict[str, dict[str, str]], bytes]:
        (row,) = self.rows(f"SELECT delivery_id, sealed FROM delivery_body WHERE delivery_id = '{receipt}'")
        return self.services.vault.open(row["delivery_id"], bytes(row["sealed"]))


@contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[str]:
    name = f"web_{next(_numbers)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(create)
        yield postgres.replace("/postgres?", f"/{name}?", 1)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def services_on(url: str, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Iterator[Services]:
    """Open services on a database where a folder's configuration is in force, or the sample organisation."""
    with Store(url, size=4, lock_timeout_ms=1500) as store:
        published = publishing.publish(store, folder or default_folder())
        assert published.hash, published.complaints
        yield Services(store, Vault(SECRET_KEY), environ={**ENVIRON, **(environ or {})})


def web_of(services: Services, *, threads: int = 8) -> Web:
    """Build a fresh application whose store holds no delivery."""
    url = services.store.url
    with psycopg.connect(url) as connection:
        connection.execute(
            "TRUNCATE delivery, delivery_body, idempotency_key, dedupe_key, submission, lead, person_key, "
            "captcha, address_rate"
        )
    return Web(url, services, create_app(services, threads=threads).test_client())


def an_invitation(services: Services, token: str, *, days: int = 30, language: str = "en") -> None:
    """Store a survey invitation that `token` opens; one that ended with `days` below zero."""
    deal = f"deal-{token}"
    with services.store.transaction() as tx:
        followups.open_sale(tx, Sale("sandbox", deal, new_id(), None, (0, 0)))
        feedback.invite(
            tx,
            Invitation(
                id=new_id(),
                connection="sandbox",
                deal=deal,
                legal_basis="consent",
                state="scheduled",
                suppressed_reason="",
                token_hash=hashlib.sha256(token.encode()).digest(),
                language=language,
                created_at=tx.now(),
                expires_at=tx.now() + timedelta(days=days),
            ),
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """The HTTP half as a process of its own."""

    base: str
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.base.removeprefix("http://").split(":")
        return host, int(port)


@contextmanager
def server_on(
    url: str, environ: Mapping[str, str] | None = None, *, processes: int = 1, threads: int = 8
) -> Iterator[Server]:
    """Run granian as the supervisor does, until it answers; stop it at the end."""
    port = free_port()
    process = subprocess.Popen(
        serve.command("127.0.0.1", port, processes, threads),
        env={
            **os.environ,
            **ENVIRON,
            "HEARBACK_DATABASE_URL": url,
            "HEARBACK_SECRET_KEY": SECRET_KEY,
            "HEARBACK_PARENT": str(os.getpid()),
            **(environ or {}),
        },
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(base, process)
        # The first worker answers; granian loses a SIGTERM that reaches another one while it starts.
        time.sleep(processes - 1)
        yield Server(base, process)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_it_answers(base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(f"{base}/healthz", timeout=2)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the server on {base} does not answer; it ended with {process.poll()}")


def post_from(services: Services, zones: str) -> None:
    """Have a stranger answer from each postal zone of Germany, and work off what they sent."""
    posted = []
    for zone in zones:
        id_ = new_id()
        said = {"email": f"p{id_.hex}@gmail.com", "vorname": "P", "nachname": id_.hex, "plz": f"{zone}0115"}
        body, form = urlencode(said).encode(), "application/x-www-form-urlencoded"
        posted.append(Delivery(id_, "site", datetime.now(UTC), form, body, {}, {}))
    accept_many(services, posted)
    while intake.work(services):
        pass
