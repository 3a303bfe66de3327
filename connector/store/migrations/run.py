"""Bring a database to the newest schema, whoever else is doing the same."""

from contextlib import suppress
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError as SQLAlchemyOperationalError

from connector.errors import StoreUnavailable
from connector.store.database import Transaction
from connector.store.locks import MIGRATE
from connector.store.upkeep import make_partitions

FOLDER = Path(__file__).parent


def apply(url: str) -> str:
    """Bring the database to the newest schema; safe to run from many machines at once. Return the revision.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    try:
        return _upgrade(url)
    except (psycopg.OperationalError, SQLAlchemyOperationalError) as err:
        raise StoreUnavailable("the database does not answer: start it, or correct HEARBACK_DATABASE_URL") from err


def _upgrade(url: str) -> str:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    # A session lock, held by a connection of its own while Alembic works on another.
    with psycopg.connect(url, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (MIGRATE,))
        config.attributes["url"] = url
        command.upgrade(config, "head")
        with suppress(LockNotAvailable), guard.transaction():
            make_partitions(Transaction(guard))
        row = guard.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    return str(row[0])
