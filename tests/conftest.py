"""A real PostgreSQL for every test that wants one: one server a session, one database a test."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from connector.store import embedded, migrations

# A busy machine is slow at times; what is timed stands in the benchmarks.
settings.register_profile("hearback", deadline=None)
settings.load_profile("hearback")

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an embedded server that lives as long as the session."""
    folder = Path(tempfile.mkdtemp(prefix="hearback-test-"))
    folder.chmod(0o755)
    url = embedded.start(folder, owner=True)
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


def a_database(postgres: str, template: str) -> Iterator[str]:
    """Make a database of its own, and drop it in the end."""
    name = f"test_{next(_numbers)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(create)
        yield at(postgres, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def at(url: str, database: str) -> str:
    """Return the URL of another database on the same server."""
    return url.replace("/postgres?", f"/{database}?", 1)
