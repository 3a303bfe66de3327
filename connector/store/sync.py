"""Cursors of the change feeds, and which of a CRM's records carry our key."""

from collections.abc import Sequence
from dataclasses import dataclass

from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Bound:
    """A record of ours in a CRM; `written` holds a short hash of each field as we last wrote it."""

    key: str
    written: dict[str, str]


def bound(tx: Transaction, connection: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Bound]:
    """Return our key for each (object type, record id) that has one."""
    if not refs:
        return {}
    types, ids = (list(column) for column in zip(*refs, strict=True))
    rows = tx.all(
        "SELECT object_type, record_id, key, written FROM binding "
        "JOIN unnest(%s::text[], %s::text[]) AS n (t, r) ON record_id = r AND object_type = t WHERE connection = %s",
        types,
        ids,
        connection,
    )
    return {(row[0], row[1]): Bound(row[2], row[3]) for row in rows}


def hear(tx: Transaction, connection: str, told: Sequence[tuple[str, str, str]]) -> None:
    """Bind records, given as (key, object type, record id), whose creating command has no recorded answer yet.

    Anybody in a CRM may write to the field of our key, so only a key that is waited for counts. Until the
    command is done nothing stands in `written`.
    """
    keys, types, ids = (list(column) for column in zip(*sorted(set(told)), strict=True))
    tx.run(
        "INSERT INTO binding (connection, key, object_type, record_id) "
        "SELECT %s, k, t, r FROM unnest(%s::text[], %s::text[], %s::text[]) AS n (k, t, r) "
        "WHERE EXISTS (SELECT FROM command c WHERE c.connection = %s AND c.key = n.k AND c.object_type = n.t "
        "AND c.state IN ('pending', 'dead')) ORDER BY k ON CONFLICT DO NOTHING",
        connection,
        keys,
        types,
        ids,
        connection,
    )


def cursor(tx: Transaction, connection: str) -> str:
    """Return where the change feed was left; "" is its beginning."""
    row = tx.one("SELECT cursor FROM connection_state WHERE connection = %s", connection)
    return str(row[0]) if row else ""


def advance(tx: Transaction, connection: str, following: str) -> None:
    """Remember how far the change feed is worked off, in the transaction that applied it."""
    tx.run(
        "INSERT INTO connection_state (connection, cursor, polled_at) VALUES (%s, %s, now()) "
        "ON CONFLICT (connection) DO UPDATE SET cursor = excluded.cursor, polled_at = excluded.polled_at",
        connection,
        following,
    )
