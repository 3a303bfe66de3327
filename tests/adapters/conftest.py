from collections.abc import Iterator

import psycopg
import pytest

from connector.adapters.sandbox.process import SandboxProcess

pytest.register_assert_rewrite("connector.adapters.testing.contract")


@pytest.fixture(scope="session")
def sandbox_database_url(postgres: str) -> str:
    """A database of the sandbox CRM's own."""
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE sandbox_crm")
    return postgres.replace("/postgres?", "/sandbox_crm?")


@pytest.fixture(scope="session")
def crm(sandbox_database_url: str) -> Iterator[SandboxProcess]:
    """A running sandbox CRM with one active and one inactive user; its search lags a little."""
    with SandboxProcess(sandbox_database_url, search_lag=0.1) as process:
        process.create("users", {"Name": "Anna Kern", "Email": "anna@example.com"}, id_="us-anna", actor="admin")
        process.create(
            "users",
            {"Name": "Bert Lang", "Email": "bert@example.com", "IsActive": False},
            id_="us-bert",
            actor="admin",
        )
        yield process
