"""Records that a CRM said have changed without saying how: leased, read again, or tried again later."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from connector.store.database import Transaction

_PUT = """
WITH n AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (t text, r text, o timestamptz))
INSERT INTO record_reread (connection, object_type, record_id, occurred_at)
SELECT %s, t, r, max(o) FROM n GROUP BY t, r ORDER BY r, t
ON CONFLICT (record_id, object_type, connection) DO UPDATE SET told = record_reread.told + 1,
    occurred_at = greatest(record_reread.occurred_at, excluded.occurred_at),
    due_at = least(record_reread.due_at, excluded.due_at)
"""

# A lease is the time at which anybody may take the row again.
_LEASE = """
UPDATE record_reread r SET due_at = hearback_now() + %s
FROM (SELECT record_id, object_type, connection FROM record_reread
      WHERE connection = %s AND due_at <= hearback_now()
      ORDER BY due_at, record_id LIMIT %s FOR UPDATE SKIP LOCKED) free
WHERE r.record_id = free.record_id AND r.object_type = free.object_type AND r.connection = free.connection
RETURNING r.object_type, r.record_id, r.occurred_at, r.told, r.attempts
"""

_NAMED = "connection = %s AND object_type = %s AND record_id = %s"


class Reread(NamedTuple):
    """A record to be read; `told` tells whether the CRM spoke of it again meanwhile."""

    object_type: str
    record_id: str
    occurred_at: datetime
    told: int
    attempts: int


def put(tx: Transaction, connection: str, records: Sequence[tuple[str, str, datetime]]) -> None:
    """Have records read again, given as (object type, record id, instant of the change)."""
    if records:
        rows = [{"t": object_type, "r": record, "o": at} for object_type, record, at in records]
        tx.run_rows(_PUT, rows, connection)


def lease(tx: Transaction, connection: str, limit: int, span: timedelta) -> list[Reread]:
    """Take up to `limit` records that are due, longest due first."""
    return sorted(Reread(*row) for row in tx.all(_LEASE, span, connection, limit))


def done(tx: Transaction, connection: str, read: Reread) -> None:
    """Note that a record was read; one that was spoken of meanwhile stays, due at once."""
    named = (connection, read.object_type, read.record_id)
    if not tx.run(f"DELETE FROM record_reread WHERE {_NAMED} AND told = %s", *named, read.told):  # noqa: S608 (constant)
        tx.run(f"UPDATE record_reread SET due_at = hearback_now(), attempts = 0 WHERE {_NAMED}", *named)  # noqa: S608 (constant)


def postpone(tx: Transaction, connection: str, read: Reread, wait: timedelta, attempts: int, reason: str) -> None:
    """Try again after `wait`."""
    tx.run(
        f"UPDATE record_reread SET due_at = hearback_now() + %s, attempts = %s, reason = %s WHERE {_NAMED}",  # noqa: S608 (constant)
        wait,
        attempts,
        reason,
        connection,
        read.object_type,
        read.record_id,
    )


def hurry(tx: Transaction, connection: str) -> int:
    """Let all records of a connection be due now; return how many wait."""
    return tx.run("UPDATE record_reread SET due_at = hearback_now() WHERE connection = %s", connection)
