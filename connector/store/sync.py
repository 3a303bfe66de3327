"""Cursors of the change feeds, and which of a CRM's records carry our key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
WHERE b.connection = %s ORDER BY b.key
"""


_BEGIN = """
INSERT INTO connection_state (connection, began_at)
SELECT %s, least(min(published_at), hearback_now()) - interval '5 minutes' FROM configuration
WHERE convert_from(document, 'UTF8')::jsonb -> 'connections' ? %s
ON CONFLICT (connection) DO UPDATE SET began_at = coalesce(connection_state.began_at, excluded.began_at)
"""


def bound(tx: Transaction, connection: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Bound]]:
    """Return our keys for each (object type, record id) that has one; of merged records there may be several."""
    if not refs:
        return {}
    types, ids = (list(column) for column in zip(*refs, strict=True))
    found: dict[tuple[str, str], list[Bound]] = {}
    for object_type, record, *rest in tx.all(_BOUND, types, ids, connection):
        found.setdefault((object_type, record), []).append(Bound(*rest))
    return found


def rebind(tx: Transaction, connection: str, old: tuple[str, str], new: tuple[str, str]) -> None:
    """Bind what was bound to one (object type, record id) to another: the CRM merged or converted the record."""
    tx.run(
        "UPDATE binding SET object_type = %s, record_id = %s WHERE record_id = %s AND object_type = %s "
        "AND connection = %s",
        *new,
        old[1],
        old[0],
        connection,
    )


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


def begin(tx: Transaction, connection: str) -> str:
    """Return where the change feed was left, to go on from there.

    At its first reading it is remembered since when the connection is ours: what happened between then and now is no
    history, however late its news comes. Clocks may differ by minutes.
    """
    found = cursor(tx, connection)
    if not found:
        tx.run(_BEGIN, connection, connection)
    return found


def advance(tx: Transaction, connection: str, cursor: str, following: str, *, caught_up: bool) -> None:
    """Remember how far the change feed is worked off, in the transaction that applied it.

    Whoever read the same page at the same time and was faster has gone on already.
    """
    tx.run(
        "UPDATE connection_state SET cursor = %s, polled_at = clock_timestamp(), "
        "caught_up_at = CASE WHEN %s THEN clock_timestamp() ELSE caught_up_at END "
        "WHERE connection = %s AND cursor = %s",
        following,
        caught_up,
        connection,
        cursor,
    )


def is_being_read(tx: Transaction, connection: str, seconds: float) -> bool:
    """Tell whether a page was taken in within the last seconds: somebody else reads the feed."""
    row = tx.one(
        "SELECT FROM connection_state WHERE connection = %s "
        "AND polled_at > clock_timestamp() - make_interval(secs => %s)",
        connection,
        seconds,
    )
    return row is not None


def began_at(tx: Transaction, connection: str) -> datetime | None:
    """Return since when the connection is ours: what happened before is history. None: nobody reads its feed."""
    row = tx.one("SELECT began_at FROM connection_state WHERE connection = %s", connection)
    return row[0] if row else None


def is_caught_up(tx: Transaction, connection: str) -> bool:
    """Tell whether the whole change feed was read once, or nobody reads it."""
    row = tx.one(
        "SELECT began_at IS NULL OR caught_up_at IS NOT NULL FROM connection_state WHERE connection = %s", connection
    )
    return row is None or bool(row[0])


def start_over(tx: Transaction, connection: str) -> None:
    """Have the change feed read from its beginning."""
    tx.run("UPDATE connection_state SET cursor = '' WHERE connection = %s", connection)
