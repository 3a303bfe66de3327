"""Databases of their own for tests, on the session's server."""

import itertools
from collections.abc import Iterator

import psycopg
from psycopg import sql

_numbers = itertools.count()


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
