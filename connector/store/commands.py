"""The outbox: what we want the CRMs to hold, leased, retried, and parked for a person when stuck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from connector.model.crm import ObjectType, RecordRef, Value
from connector.model.identity import new_id
from connector.store.database import Transaction

#: A lease outlives the longest call (3 s to connect, 10 s to answer) with room to spare.
LEASE = timedelta(seconds=20)


class NewCommand(NamedTuple):
    """A command about to be put. `links` are fields that hold record ids, named by our key."""

    connection: str
    key: str
    object_type: ObjectType
    fields: Mapping[str, Value]
    purpose: str
    correlation: UUID
    record: str | None = None
    after_key: str | None = None
    links: Mapping[str, str] = MappingProxyType({})
    lead_id: UUID | None = None


class Leased(NamedTuple):
    """A command this process may send now. `unknown`: an earlier attempt may have been applied.

    `bound` is the record that carries the key; `heard`: the CRM said so before any answer of ours was recorded.
    """

    id: UUID
    key: str
    object_type: ObjectType
    record: str | None
    fields: dict[str, Value]
    links: dict[str, str]
    purpose: str
    lead_id: UUID | None
    correlation: UUID
    attempts: int
    unknown: bool
    bound: RecordRef | None
    heard: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """A command that took effect."""

    command: Leased
    object_type: ObjectType
    record: str
    outcome: str
    written: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Failed:
    """A command that did not, and when to look at it again; `due` None makes it a dead letter."""

    command: Leased
    error: str
    due: datetime | None
    unknown: bool
    attempts: int


_LEASE = """
WITH ready AS (
    SELECT c.id FROM command c
    WHERE c.connection = %(connection)s AND c.object_type = %(type)s AND c.state = 'pending'
      AND c.due_at <= clock_timestamp()
      AND (c.leased_until IS NULL OR c.leased_until < clock_timestamp())
      -- LIMIT keeps these probes of an index: as anti-joins they would read the whole backlog each time.
      AND (SELECT e.id FROM command e WHERE e.connection = c.connection AND e.key = c.key
           AND e.state IN ('pending', 'dead') AND e.seq < c.seq LIMIT 1) IS NULL
      AND (SELECT o.id FROM command o WHERE o.key = c.key AND o.connection = c.connection AND o.state = 'observed'
           AND o.seq < c.seq AND NOT EXISTS (SELECT FROM binding b WHERE b.key = o.key AND b.connection = o.connection)
           LIMIT 1) IS NULL
      AND (c.after_key IS NULL OR (SELECT a.id FROM command a WHERE a.connection = c.connection
           AND a.key = c.after_key AND a.state IN ('pending', 'dead') AND a.seq < c.seq LIMIT 1) IS NULL
           AND (SELECT o.id FROM command o WHERE o.key = c.after_key AND o.connection = c.connection
           AND o.state = 'observed' AND o.seq < c.seq AND NOT EXISTS (SELECT FROM binding b WHERE b.key = o.key
           AND b.connection = o.connection) LIMIT 1) IS NULL)
    ORDER BY c.seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
leased AS (
    UPDATE command c SET
        -- A lease that ran out counts as an unknown outcome.
        unknown = c.unknown OR c.leased_until IS NOT NULL,
        leased_until = clock_timestamp() + %(lease)s, leased_by = %(worker)s
    FROM ready WHERE c.id = ready.id
    RETURNING c.*)
SELECT l.id, l.key, l.object_type, l.record_id, l.fields, l.links, l.purpose, l.lead_id, l.correlation,
    l.attempts, l.unknown, b.object_type, b.record_id, coalesce(b.written = '{}', false), l.created_at
FROM leased l LEFT JOIN binding b ON b.connection = l.connection AND b.key = l.key
ORDER BY l.seq
"""


# Commands are found by their ids. A condition that names the pending ones would invite the planner to read all of
# them for each batch, so it says which they are not.
_FINISH = """
UPDATE command SET state = 'done', outcome = n.o, error = NULL, attempts = attempts + 1,
    finished_at = clock_timestamp(), leased_until = NULL
FROM jsonb_to_recordset(%s::jsonb) AS n (id uuid, o text)
WHERE command.id = n.id AND command.leased_by = %s AND command.state NOT IN ('done', 'dead', 'parked')
"""

_FAIL = """
UPDATE command SET state = n.s, due_at = coalesce(n.d, due_at), unknown = n.u, attempts = n.a, error = n.e,
    leased_until = NULL
FROM jsonb_to_recordset(%s::jsonb) AS n (id uuid, s text, d timestamptz, u boolean, a integer, e text)
WHERE command.id = n.id AND command.leased_by = %s AND command.state NOT IN ('done', 'dead', 'parked')
"""

_BIND = """
WITH n AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (k text, t text, r text, w jsonb) ORDER BY k)
INSERT INTO binding (connection, key, object_type, record_id, written) SELECT %s, k, t, r, w FROM n
ON CONFLICT (connection, key) DO UPDATE SET object_type = excluded.object_type, record_id = excluded.record_id,
    written = binding.written || excluded.written
"""

_COLUMNS = {
    "id": "uuid",
    "connection": "text",
    "object_type": "text",
    "key": "text",
    "record_id": "text",
    "after_key": "text",
    "fields": "jsonb",
    "links": "jsonb",
    "purpose": "text",
    "lead_id": "uuid",
    "correlation": "uuid",
}


def put(tx: Transaction, commands: Sequence[NewCommand]) -> list[UUID]:
    """Store commands with the decision they follow from; return their ids."""
    ids = [new_id() for _ in commands]
    tx.copy(
        "command",
        _COLUMNS,
        [
            (
                command_id,
                c.connection,
                str(c.object_type),
                c.key,
                c.record,
                c.after_key,
                Jsonb(dict(c.fields)),
                Jsonb(dict(c.links)),
                c.purpose,
                c.lead_id,
                c.correlation,
            )
            for command_id, c in zip(ids, commands, strict=True)
        ],
    )
    return ids


def lease(tx: Transaction, connection: str, object_type: ObjectType, worker: UUID, limit: int) -> list[Leased]:
    """Take the right to send up to `limit` commands of one type, in per-key order.

    One at a time: two who skip each other's rows would share what is ready, and pay for two calls where one would do.
    """
    tx.run("SELECT pg_advisory_xact_lock(hashtext('lease'), hashtext(%s))", f"{connection}:{object_type}")
    rows = tx.connection.execute(
        _LEASE,
        {
            "connection": connection,
            "type": str(object_type),
            "limit": limit,
            "lease": LEASE,
            "worker": worker,
        },
    ).fetchall()
    return [_leased(row) for row in rows]


def _leased(row: tuple[Any, ...]) -> Leased:
    values = list(row)
    values[2] = ObjectType(row[2])
    # Two columns name the record that carries the key.
    values[11:13] = [RecordRef(ObjectType(row[11]), row[12]) if row[12] else None]
    return Leased(*values)


_WAITING = """
WITH RECURSIVE t (type) AS (
    (SELECT object_type FROM command WHERE connection = %(c)s AND state = 'pending' ORDER BY object_type LIMIT 1)
    UNION ALL
    SELECT (SELECT object_type FROM command WHERE connection = %(c)s AND state = 'pending' AND object_type > t.type
            ORDER BY object_type LIMIT 1)
    FROM t WHERE t.type IS NOT NULL)
SELECT type FROM t WHERE type IS NOT NULL
"""


def waiting_types(tx: Transaction, connection: str) -> set[ObjectType]:
    """Return the object types that have pending commands, due or not; a loose scan of one index."""
    rows = tx.connection.execute(_WAITING, {"c": connection}).fetchall()
    return {ObjectType(row[0]) for row in rows}


def bindings(tx: Transaction, connection: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the CRM record id of each of our keys that has one."""
    if not keys:
        return {}
    rows = tx.all("SELECT key, record_id FROM binding WHERE connection = %s AND key = ANY(%s)", connection, list(keys))
    return dict(rows)


def finish(tx: Transaction, connection: str, worker: UUID, done: Sequence[Done]) -> None:
    """Record effects and bindings. A lease lost to somebody else is left to them."""
    if not done:
        return
    tx.run_rows(_FINISH, [{"id": d.command.id, "o": d.outcome} for d in done], worker)
    newest = {d.command.key: d for d in done}
    rows = [{"k": key, "t": str(d.object_type), "r": d.record, "w": d.written} for key, d in sorted(newest.items())]
    tx.run_rows(_BIND, rows, connection)
    # Something got through: whatever rests from now on rests anew.
    tx.run(
        "UPDATE connection_state SET paused_since = NULL WHERE connection = %s AND paused_since IS NOT NULL", connection
    )


def fail(tx: Transaction, worker: UUID, failed: Sequence[Failed]) -> None:
    """Schedule another attempt, or make a dead letter."""
    rows = [
        {
            "id": f.command.id,
            "s": "pending" if f.due else "dead",
            "d": f.due,
            "u": f.unknown,
            "a": f.attempts,
            "e": f.error,
        }
        for f in failed
    ]
    if rows:
        tx.run_rows(_FAIL, rows, worker)


def retry(tx: Transaction, command: UUID) -> bool:
    """Give a dead letter, a parked command or one that was only shown another run of attempts."""
    return (
        tx.run(
            "UPDATE command SET state = 'pending', attempts = 0, due_at = '-infinity', leased_until = NULL "
            "WHERE id = %s AND state IN ('dead', 'parked', 'observed')",
            command,
        )
        == 1
    )


def park(tx: Transaction, command: UUID) -> bool:
    """Set a command aside for good: it no longer holds back later ones with its key."""
    return (
        tx.run(
            "UPDATE command SET state = 'parked', leased_until = NULL WHERE id = %s AND state IN ('dead', 'pending')",
            command,
        )
        == 1
    )


def backlog(tx: Transaction) -> dict[tuple[str, str], int]:
    """Return how many commands wait, by connection and object type."""
    rows = tx.all(
        "SELECT connection, object_type, count(*) FROM command WHERE state = 'pending' GROUP BY connection, object_type"
    )
    return {(row[0], row[1]): row[2] for row in rows}


def count_dead(tx: Transaction) -> int:
    """Return how many commands no CRM took, and nobody has looked at yet."""
    row = tx.one("SELECT count(*) FROM command WHERE state = 'dead' AND state IN ('dead', 'parked')")
    return row[0] if row else 0


def listing(tx: Transaction, *, states: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return commands in the given states, newest first, without the values they carry."""
    rows = tx.all(
        "SELECT id, connection, object_type, key, purpose, state, attempts, error, created_at, finished_at "
        "FROM command WHERE state = ANY(%s) ORDER BY seq DESC LIMIT %s",
        list(states),
        limit,
    )
    names = (
        "id",
        "connection",
        "type",
        "key",
        "purpose",
        "state",
        "attempts",
        "error",
        "created_at",
        "finished_at",
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def pause(tx: Transaction, connection: str, *, until: datetime | None, reason: str) -> None:
    """Let a connection rest until an instant; None: until a person resumes it. The longest pause stands."""
    tx.run(
        "INSERT INTO connection_state (connection, paused_until, reason, paused_since) "
        "VALUES (%s, coalesce(%s::timestamptz, 'infinity'), %s, hearback_now()) "
        "ON CONFLICT (connection) DO UPDATE SET paused_until = excluded.paused_until, reason = excluded.reason, "
        "paused_since = coalesce(connection_state.paused_since, excluded.paused_since) "
        "WHERE coalesce(connection_state.paused_until, '-infinity') <= excluded.paused_until",
        connection,
        until,
        reason,
    )


def resume(tx: Transaction, connection: str) -> None:
    """End a pause."""
    tx.run(
        "UPDATE connection_state SET paused_until = NULL, paused_since = NULL, reason = '' WHERE connection = %s",
        connection,
    )


def paused(tx: Transaction, connection: str) -> bool:
    """Tell whether the connection rests at this moment (wall clock)."""
    row = tx.one(
        "SELECT paused_until > clock_timestamp() FROM connection_state "
        "WHERE connection = %s AND paused_until IS NOT NULL",
        connection,
    )
    return bool(row and row[0])
