"""Connections and transactions."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout

from connector.errors import StoreUnavailable

log = logging.getLogger(__name__)

set_json_dumps(orjson.dumps)
set_json_loads(orjson.loads)

Connection = psycopg.Connection[tuple[Any, ...]]

#: Every statement here reaches its rows by an index. The statistics of queues that fill and drain are never
#: up to date, and a plan that reads a whole backlog for each batch costs minutes. Nor do the plans depend on the
#: values: planned once per connection, no statement probes the dead ends of a queue's index each time.
PLANS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off "
    "-c plan_cache_mode=force_generic_plan"
)

#: A post must hear 503 within two seconds when PostgreSQL is gone.
POOL_WAIT = 1.0


class Transaction:
    """One open transaction: its connection, its instant, and what to do once it is committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._now: datetime | None = None
        self._after: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """Return the instant of this transaction in UTC, read from the database once.

        The ledger's lock renews it, so that decisions are in the order of their times.
        """
        if self._now is None:
            row = self.connection.execute("SELECT hearback_now()").fetchone()
            assert row is not None
            self._now = row[0]
        return self._now

    def renew(self, now: datetime | None = None) -> None:
        """Let the next `now` read the clock again, or take what was read: a lock was waited for."""
        self._now = now

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is committed; never when it is rolled back."""
        self._after.append(action)

    def committed(self) -> None:
        """Run what waited for the commit; the store calls this."""
        for action in self._after:
            action()

    def all(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return every row of a query."""
        return self.connection.execute(query.encode(), parameters or None).fetchall()

    def one(self, query: str, *parameters: object) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        return self.connection.execute(query.encode(), parameters or None).fetchone()

    def run(self, query: str, *parameters: object) -> int:
        """Execute a statement; return how many rows it touched."""
        return self.connection.execute(query.encode(), parameters or None).rowcount

    def run_rows(self, query: str, rows: Sequence[object], *parameters: object) -> int:
        """Execute a statement over many rows, handed over as one JSON array in the place of its first mark.

        `jsonb_to_recordset` unpacks them: several times cheaper than an array for each column.
        """
        return self.connection.execute(query.encode(), (orjson.dumps(rows).decode(), *parameters)).rowcount

    def all_rows(self, query: str, rows: Sequence[object], *parameters: object) -> list[tuple[Any, ...]]:
        """Return every row of a query over many rows (see `run_rows`)."""
        return self.connection.execute(query.encode(), (orjson.dumps(rows).decode(), *parameters)).fetchall()

    def copy(self, table: str, columns: Mapping[str, str], rows: list[tuple[Any, ...]]) -> None:
        """Insert many rows at once; `columns` are their types by name.

        In the binary format, which is written in half the time the text takes.
        """
        if not rows:
            return
        target = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self.connection.cursor() as cursor, cursor.copy(target) as copy:
            copy.set_types(list(columns.values()))
            for row in rows:
                copy.write_row(row)


class Store:
    """A pool of connections to one database. Build it in the process that uses it, never before a fork."""

    def __init__(self, url: str, *, size: int = 4, lock_timeout_ms: int = 0) -> None:
        options = f"-c timezone=UTC {PLANS}"
        if lock_timeout_ms:
            options += f" -c lock_timeout={lock_timeout_ms}"
        self.url = url
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=POOL_WAIT,
            # Transactions are opened explicitly; a lone statement needs none and saves two round trips.
            kwargs={"options": options, "connect_timeout": 2, "autocommit": True},
            check=self._alive,
            open=False,
            reconnect_timeout=2,
        )

    def open(self) -> Self:
        """Start filling the pool; does not wait for the server."""
        self._pool.open(wait=False)
        return self

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _alive(self, connection: Connection) -> None:
        """Refuse a connection whose server went away while it lay idle, and drop those that went with it.

        All there is to read on an idle connection is the server's farewell and the end: two reads that do not
        wait cost a thousandth of a query.
        """
        try:
            connection.pgconn.consume_input()
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            self._pool.check()
            raise

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection; `StoreUnavailable` when none can be had or it breaks."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as err:
            if is_contention(err):
                raise
            raise StoreUnavailable("the database does not answer") from err

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        """Lend a connection for exactly one statement, which commits by itself.

        Raises:
            StoreUnavailable: as for `transaction`.
        """
        with self.connection() as connection:
            transaction = Transaction(connection)
            yield transaction
        transaction.committed()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction; commit at the end, roll back on any error.

        Raises:
            StoreUnavailable: the server is gone. If it went during the commit itself, the work may be there:
                callers use ids of their own, so that doing it again is harmless.
        """
        with self.connection() as connection, connection.transaction():
            transaction = Transaction(connection)
            yield transaction
        transaction.committed()


def is_contention(error: BaseException) -> bool:
    """Tell a lock conflict, which is worth another try, from a lost server."""
    return isinstance(
        error,
        psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure | psycopg.errors.LockNotAvailable,
    )
