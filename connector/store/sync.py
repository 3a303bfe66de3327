"""Cursors of the change feeds, and which of a CRM's records carry our key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Bound:
    """A record of ours in a CRM.

    `written` holds a short hash of each field as we last wrote it, `sending` the values of commands that were
    sent and have no recorded answer: the CRM may show them already.
    """

    key: str
    written: dict[str, str]
    sending: Sequence[Mapping[str, Any]] = ()


_BOUND = """
SELECT b.object_type, b.record_id, b.key, b.written,
    ARRAY(SELECT c.fields FROM command c WHERE c.key = b.key AND c.connection = b.connection
          AND c.state IN ('pending', 'dead') AND (c.unknown OR c.leased_until IS NOT NULL) ORDER BY c.seq)
FROM binding b JOIN unnest(%s::text[], %s::text[]) AS n (t, r) ON b.record_id = n.r AND b.object_type = n.t
WHERE b.connection = %s
"""


def bound(tx: Transaction, connection: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Bound]:
    """Return our key for each (object type, record id) that has one."""
    if not refs:
        return {}
    types, ids = (list(column) for column in zip(*refs, strict=True))
    return {(row[0], row[1]): Bound(*row[2:]) for row in tx.all(_BOUND, types, ids, connection)}


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


def agree(tx: Transaction, connection: str, key: str, written: Mapping[str, str]) -> None:
    """Take over short hashes of what a person wrote: from now on it is what we know of the record."""
    tx.run(
        "UPDATE binding SET written = written || %s WHERE key = %s AND connection = %s",
        Jsonb(dict(written)),
        key,
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
