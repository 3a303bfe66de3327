"""A real PostgreSQL for every test that wants one: one server a session, one database a test."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from databases import a_database, at
from hypothesis import settings

from connector.store import embedded, migrations

# A busy machine is slow at times; what is timed stands in the benchmarks.
settings.register_profile("hearback", deadline=None)
settings.load_profile("hearback")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an embedded server that lives as long as the session."""
    folder = Path(tempfile.mkdtemp(prefix="hearback-test-"))
    folder.chmod(0o755)
    url = embedded.start(folder, owner=True)
    with psycopg.connect(url, autocommit=True) as connection:
        # Tests kill processes and cut connections; none cuts the power.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """The name of a migrated database that others are copied from."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    migrations.apply(at(postgres, "migrated"))
    return "migrated"


@pytest.fixture
def database_url(postgres: str, template: str) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    yield from a_database(postgres, template)


@pytest.fixture
def empty_database_url(postgres: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    yield from a_database(postgres, "template0")
