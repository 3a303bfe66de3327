"""An application around a real database and the sample organisation, for tests of the HTTP edge."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from flask.testing import FlaskClient
from psycopg import sql
from psycopg.rows import dict_row

from connector import publishing
from connector.services import Services
from connector.settings import default_folder
from connector.store import Store
from connector.vault import Vault
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
def services_on(url: str, environ: Mapping[str, str] | None = None) -> Iterator[Services]:
    """Open services on a database where the sample organisation is in force."""
    with Store(url, size=4, lock_timeout_ms=1500) as store:
        published = publishing.publish(store, default_folder())
        assert published.hash, published.complaints
        yield Services(store, Vault(SECRET_KEY), environ={**ENVIRON, **(environ or {})})


def web_of(services: Services, *, threads: int = 8) -> Web:
    """Build a fresh application whose store holds no delivery."""
    url = services.store.url
    with psycopg.connect(url) as connection:
        connection.execute(
            "TRUNCATE delivery, delivery_body, idempotency_key, dedupe_key, submission, lead, person_key"
        )
    return Web(url, services, create_app(services, threads=threads).test_client())
