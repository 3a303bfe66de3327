"""The sandbox CRM's tables. Writes are set-based, and one at a time: the change feed skips nothing."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, LiteralString
from uuid import uuid4

import orjson
import psycopg
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool

from connector.adapters.sandbox.crm.records import (
    Change,
    Fields,
    Item,
    Result,
    Row,
    Rules,
    Snapshot,
    Write,
    wanted,
)
from connector.adapters.sandbox.crm.shapes import KEY_FIELD, Shape

#: Any constant: one writer at a time, over all processes on this database.
_WRITER_LOCK = 7_203_517_240_501
_CONNECTIONS = 4
_WAIT_SECONDS = 2.0
_EMBARGO = "clock_timestamp() - make_interval(secs => %(lag)s)"

_BY_ID = "SELECT id, object, fields, deleted_at IS NOT NULL FROM sandbox.record WHERE id = ANY(%s)"
# OFFSET 0 keeps it one probe of an index for each value: a planner without statistics would read the whole object.
_LIVE = (
    "SELECT r.id, r.object, r.fields, false FROM unnest(%s::text[]) AS n (value), LATERAL"
    " (SELECT * FROM sandbox.record WHERE object = %s AND {column} = n.value AND deleted_at IS NULL OFFSET 0) AS r"
)
_BY_KEY = _LIVE.format(column="hearback_key")
_BY_EMAIL = _LIVE.format(column="email")

_SAVE = """
WITH change AS (
    SELECT * FROM jsonb_to_recordset(%(changes)s::jsonb) AS c(id text, fields jsonb, type text, seq bigint)
), saved AS (
    INSERT INTO sandbox.record (id, object, fields, seq, created_at, updated_at, deleted_at)
    SELECT id, %(object)s, fields, seq, %(now)s, %(now)s,
        CASE type WHEN 'deleted' THEN %(now)s::timestamptz END
    FROM change
    ON CONFLICT (id) DO UPDATE SET
        fields = excluded.fields, seq = excluded.seq,
        updated_at = excluded.updated_at, deleted_at = excluded.deleted_at
), effect AS (
    INSERT INTO sandbox.effect_log (request_id, object, record_id, trace, effect)
    SELECT %(request)s, %(object)s, id, trace, effect
    FROM jsonb_to_recordset(%(effects)s::jsonb) AS e(id text, trace text, effect text)
), hook AS (
    INSERT INTO sandbox.webhook_outbox (seq, object, record_id, type, actor, occurred_at, fields)
    SELECT seq, %(object)s, id, type, %(actor)s, %(now)s, fields FROM change WHERE %(hooks)s
)
INSERT INTO sandbox.request_log (id, method, path, status, fault)
VALUES (%(request)s, %(method)s, %(path)s, %(status)s, %(fault)s)
"""
_LOG = "INSERT INTO sandbox.request_log (id, method, path, status, fault) VALUES (%s, %s, %s, %s, %s)"

_SEARCH: Mapping[str, LiteralString] = {
    KEY_FIELD: "hearback_key",
    "Email": "email",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A request as the log keeps it."""

    id: str
    method: str
    path: str
    actor: str | None = None
    fault: str | None = None


class Store:
    """Everything the CRM remembers. Safe to use from several threads; raises psycopg's errors.

    `hooks` tells whether changes are queued as webhooks.
    """

    def __init__(self, database_url: str, *, hooks: bool) -> None:
        self._hooks = hooks
        self._writing = threading.Lock()
        self._shift = timedelta()
        self._pool: ConnectionPool[psycopg.Connection[TupleRow]] = ConnectionPool(
            database_url,
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_WAIT_SECONDS,
            kwargs={"autocommit": True, "application_name": "hearback sandbox CRM"},
            configure=_configure,
            check=ConnectionPool.check_connection,
            open=False,
        )

    def open(self, *, patience: timedelta) -> None:
        """Connect, waiting for the database up to `patience`, and make the schema.

        Raises:
            psycopg.OperationalError: the database did not come.
        """
        self._pool.open(wait=False)
        deadline = time.monotonic() + patience.total_seconds()
        while True:
            try:
                return self._prepare()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        """Let go of every connection."""
        self._pool.close()

    def _prepare(self) -> None:
        schema = files("connector.adapters.sandbox.crm").joinpath("schema.sql").read_text("utf-8")
        with self._pool.connection() as conn, conn.transaction():
            conn.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITER_LOCK,))
            conn.execute(schema)
            row = conn.execute("SELECT value FROM sandbox.setting WHERE name = 'clock_shift'").fetchone()
        self._shift = timedelta(seconds=row[0]) if row else timedelta()

    def now(self) -> datetime:
        """Return the CRM's own time."""
        return datetime.now(UTC) + self._shift

    def shift_clock(self, seconds: float) -> None:
        """Let the CRM's time run `seconds` ahead of the real one."""
        with self._pool.connection() as conn:
            conn.execute(
                "INSERT INTO sandbox.setting VALUES ('clock_shift', to_jsonb(%s::float8))"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (seconds,),
            )
        self._shift = timedelta(seconds=seconds)

    def ping(self) -> None:
        """Prove that the database answers."""
        with self._pool.connection() as conn:
            conn.execute("SELECT 1")

    def log(self, entry: Entry, status: int) -> None:
        """Keep a request that wrote nothing; the log may lose the last of these in a crash."""
        with self._pool.connection() as conn, conn.pipeline(), conn.transaction():
            conn.execute("SET LOCAL synchronous_commit = off")
            conn.execute(_LOG, (entry.id, entry.method, entry.path, status, entry.fault))

    def write(
        self,
        entry: Entry,
        shape: Shape,
        items: Sequence[Item],
        *,
        link_duplicates: bool,
        status: Callable[[Result], int] | None = None,
    ) -> list[Result]:
        """Apply the items in one transaction and log their effects with it."""

        def apply(write: Write) -> list[Result]:
            return [write.apply(item) for item in items]

        return self._transact(entry, shape, items, apply, link_duplicates=link_duplicates, status=status)

    def delete(self, entry: Entry, shape: Shape, id_: str) -> Result:
        """Delete one record; `Refusal` when there is none."""
        item = Item({}, id=id_)
        return self._transact(entry, shape, [item], lambda write: [write.delete(id_)])[0]

    def erase(self, entry: Entry, shape: Shape, ids: Sequence[str]) -> list[Result]:
        """Delete records with all they held, deleted ones too, and what webhooks were still to tell of them."""
        items = [Item({}, id=id_) for id_ in ids]
        results = self._transact(entry, shape, items, lambda write: [write.erase(id_) for id_ in ids])
        with self._pool.connection() as conn:
            conn.execute("UPDATE sandbox.webhook_outbox SET fields = '{}' WHERE record_id = ANY(%s)", (list(ids),))
        return results

    def _transact(
        self,
        entry: Entry,
        shape: Shape,
        items: Sequence[Item],
        apply: Callable[[Write], list[Result]],
        *,
        link_duplicates: bool = False,
        status: Callable[[Result], int] | None = None,
    ) -> list[Result]:
        with self._writing, self._pool.connection() as conn, conn.pipeline(), conn.transaction():
            conn.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITER_LOCK,))
            snapshot, numbers = _read(conn, shape, items, link_duplicates)
            now = self.now()
            rules = Rules(_text(now), acting=entry.actor, link_duplicates=link_duplicates, new_id=_new_id)
            write = Write(shape, snapshot, rules)
            results = apply(write)
            effects = [
                {"id": result.id, "trace": item.trace, "effect": result.status}
                for item, result in zip(items, results, strict=True)
            ]
            code = status(results[0]) if status else 200
            self._save(conn, entry, shape, list(write.changes), numbers, effects=effects, now=now, status=code)
        return results

    def _save(
        self,
        conn: psycopg.Connection[TupleRow],
        entry: Entry,
        shape: Shape,
        changes: Sequence[Change],
        numbers: Sequence[int],
        *,
        effects: Sequence[Mapping[str, str | None]],
        now: datetime,
        status: int,
    ) -> None:
        rows = [
            {"id": change.id, "fields": change.fields, "type": change.type, "seq": seq}
            for change, seq in zip(changes, numbers, strict=False)
        ]
        conn.execute(
            _SAVE,
            {
                "changes": orjson.dumps(rows).decode(),
                "effects": orjson.dumps(effects).decode(),
                "object": shape.object,
                "now": now,
                "actor": entry.actor or "integration",
                "hooks": self._hooks,
                "request": entry.id,
                "method": entry.method,
                "path": entry.path,
                "status": status,
                "fault": entry.fault,
            },
        )

    def fetch(self, object_: str, id_: str) -> dict[str, Any] | None:
        """Return one live record as the API shows it."""
        with self._pool.connection() as conn:
            row = conn.execute(
                "SELECT id, fields, created_at, updated_at FROM sandbox.record"
                " WHERE id = %s AND object = %s AND deleted_at IS NULL",
                (id_, object_),
            ).fetchone()
        return _record(*row) if row else None

    def page(self, object_: str, after: str, limit: int) -> list[dict[str, Any]]:
        """Return live records of an object in the order of their ids."""
        with self._pool.connection() as conn:
            rows = conn.execute(
                "SELECT id, fields, created_at, updated_at FROM sandbox.record"
                " WHERE object = %s AND id > %s AND deleted_at IS NULL ORDER BY id LIMIT %s",
                (object_, after, limit),
            ).fetchall()
        return [_record(*row) for row in rows]

    def search(self, shape: Shape, field: str, values: Sequence[str], *, lag: float) -> list[dict[str, str]]:
        """Return which records hold one of the values; the index trails `lag` seconds behind.

        Unique keys are looked up in their own, up-to-date index.
        """
        column = _SEARCH[field]
        wanted_ = [value.lower() for value in values] if field == "Email" else list(values)
        embargo = "" if shape.keyed and field == KEY_FIELD else f" AND stored_at <= {_EMBARGO}"
        query: LiteralString = (
            f"SELECT {column}, id FROM sandbox.record WHERE object = %(object)s AND deleted_at IS NULL"  # noqa: S608 - constants
            f" AND {column} = ANY(%(values)s){embargo} ORDER BY id"
        )
        with self._pool.connection() as conn:
            rows = conn.execute(query, {"object": shape.object, "values": wanted_, "lag": lag}).fetchall()
        return [{"value": value, "id": id_} for value, id_ in rows]

    def changes(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Return the records that changed after a number of the server's, oldest change first."""
        with self._pool.connection() as conn:
            rows = conn.execute(
                "SELECT seq, object, id, CASE WHEN deleted_at IS NULL THEN 'updated' ELSE 'deleted' END,"
                " updated_at, fields FROM sandbox.record WHERE seq > %s ORDER BY seq LIMIT %s",
                (after, limit),
            ).fetchall()
        return [_event(row) for row in rows]

    def waiting_hooks(self, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the oldest webhook events not yet taken, with their numbers."""
        with self._pool.connection() as conn:
            rows = conn.execute(
                "SELECT seq, object, record_id, type, occurred_at, fields, actor"
                " FROM sandbox.webhook_outbox ORDER BY seq LIMIT %s",
                (limit,),
            ).fetchall()
        return [(row[0], {**_event(row[:6]), "actor": row[6]}) for row in rows]

    def forget_hooks(self, up_to: int) -> None:
        """Drop the webhook events that were taken."""
        with self._pool.connection() as conn:
            conn.execute("DELETE FROM sandbox.webhook_outbox WHERE seq <= %s", (up_to,))

    def stats(self) -> dict[str, Any]:
        """Count what is here, what was asked and what it did."""
        with self._pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            return {name: cursor.execute(query).fetchall() for name, query in _STATS.items()}


_STATS: Mapping[str, LiteralString] = {
    "records": "SELECT object, count(*) FROM sandbox.record WHERE deleted_at IS NULL GROUP BY 1 ORDER BY 1",
    "requests": ("SELECT method, status, fault, count(*) FROM sandbox.request_log GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
    "effects": "SELECT object, effect, count(*) FROM sandbox.effect_log GROUP BY 1, 2 ORDER BY 1, 2",
    "shared_keys": (
        "SELECT object, hearback_key AS key, count(*) FROM sandbox.record"
        " WHERE hearback_key IS NOT NULL AND deleted_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1"
    ),
    "repeated_creates": (
        "SELECT trace, count(*) FROM sandbox.effect_log WHERE effect = 'created' AND trace <> ''"
        " GROUP BY 1 HAVING count(*) > 1"
    ),
    "waiting_webhooks": "SELECT count(*) FROM sandbox.webhook_outbox",
}


def _configure(conn: psycopg.Connection[TupleRow]) -> None:
    set_json_loads(orjson.loads, conn)


def _read(
    conn: psycopg.Connection[TupleRow], shape: Shape, items: Sequence[Item], link_duplicates: bool
) -> tuple[Snapshot, list[int]]:
    ids, keys, emails = wanted(shape, items)
    cursors = [conn.execute(_BY_ID, (ids,))]
    if keys:
        cursors.append(conn.execute(_BY_KEY, (keys, shape.object)))
    if emails and link_duplicates:
        cursors.append(conn.execute(_BY_EMAIL, (emails, shape.object)))
    numbers = conn.execute("SELECT nextval('sandbox.change_seq') FROM generate_series(1, %s)", (len(items),))
    rows = [Row(*row) for cursor in cursors for row in cursor.fetchall()]
    return Snapshot(rows), [number for (number,) in numbers.fetchall()]


def _new_id(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:16]}"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _record(id_: str, fields: Fields, created_at: datetime, updated_at: datetime) -> dict[str, Any]:
    return {"id": id_, "fields": fields, "created_at": _text(created_at), "updated_at": _text(updated_at)}


def _event(row: Sequence[Any]) -> dict[str, Any]:
    """Return a change as the feed and the webhooks tell it; the same change has the same id in both."""
    seq, object_, id_, type_, at, fields = row
    when = _text(at)
    record = {"id": id_, "fields": fields if type_ != "deleted" else {}, "updated_at": when}
    return {"id": f"ev-{seq}", "type": type_, "object": object_, "record": record, "occurred_at": when}
