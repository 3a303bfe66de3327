"""Deliveries that wait for a vendor's answer: leased, put back to work, or tried again later."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction
from connector.store.deliveries import StoredDelivery

# A lease is the time at which anybody may take the row again; that time also tells one lease from the next.
_LEASE = """
WITH free AS (
    SELECT id FROM delivery d WHERE state = 'waiting' AND fetch_at <= hearback_now()
        AND NOT EXISTS (SELECT FROM source_rest r WHERE r.source = d.source AND r.until > hearback_now())
    ORDER BY fetch_at, id LIMIT %s FOR UPDATE OF d SKIP LOCKED),
leased AS (
    UPDATE delivery SET fetch_at = hearback_now() + %s FROM free WHERE delivery.id = free.id
    RETURNING delivery.id, source, received_at, content_type, verified, attempts, fetch_at)
SELECT l.id, l.source, l.received_at, l.content_type, l.verified, l.attempts, b.sealed, l.fetch_at
FROM leased l LEFT JOIN delivery_body b ON b.delivery_id = l.id AND b.received_at = l.received_at
ORDER BY l.received_at, l.id
"""

_REST = """
INSERT INTO source_rest (source, until, failures, reason) VALUES (%s, hearback_now() + %s, 1, %s)
ON CONFLICT (source) DO UPDATE SET until = greatest(source_rest.until, excluded.until),
    failures = source_rest.failures + 1, reason = excluded.reason
"""


class Leased(NamedTuple):
    """A waiting delivery nobody else fetches for until `lease`."""

    delivery: StoredDelivery
    lease: datetime


def wait(tx: Transaction, deliveries: Sequence[UUID]) -> None:
    """Let deliveries wait until what they name was fetched; due at once."""
    if deliveries:
        tx.run(
            "UPDATE delivery SET state = 'waiting', fetch_at = hearback_now(), attempts = 0, reason = '' "
            "WHERE id = ANY(%s)",
            list(deliveries),
        )


def lease(tx: Transaction, limit: int, span: timedelta) -> list[Leased]:
    """Take up to `limit` deliveries that are due and whose source does not rest, longest due first."""
    found = []
    for *facts, sealed, until in tx.all(_LEASE, limit, span):
        row = (*facts, None if sealed is None else bytes(sealed))
        found.append(Leased(StoredDelivery(*row), until))
    return found


def keep(tx: Transaction, leased: Leased, sealed: bytes) -> bool:
    """Put a body in the place of the one that was leased; return False when that has changed or gone."""
    delivery = leased.delivery
    return (
        tx.run(
            # The delivery is locked before its body, as an erasure does.
            "WITH held AS (SELECT id FROM delivery WHERE id = %s FOR UPDATE) UPDATE delivery_body SET sealed = %s "
            "FROM held WHERE delivery_id = held.id AND delivery_id = %s AND received_at = %s AND sealed = %s",
            delivery.id,
            sealed,
            delivery.id,
            delivery.received_at,
            delivery.sealed,
        )
        == 1
    )


def settle(tx: Transaction, leased: Leased, state: str, reason: str) -> bool:
    """End the wait: `stored` to be read, or `quarantined`. Return False when the lease was lost."""
    changed = tx.run(
        "UPDATE delivery SET state = %s, reason = %s, attempts = 0 WHERE id = %s AND state = 'waiting' "
        "AND fetch_at = %s",
        state,
        reason,
        leased.delivery.id,
        leased.lease,
    )
    return changed == 1


def postpone(tx: Transaction, leased: Leased, wait: timedelta, attempts: int, reason: str) -> bool:
    """Try again after `wait`; return False when the lease was lost."""
    changed = tx.run(
        "UPDATE delivery SET fetch_at = hearback_now() + %s, attempts = %s, reason = %s "
        "WHERE id = %s AND state = 'waiting' AND fetch_at = %s",
        wait,
        attempts,
        reason,
        leased.delivery.id,
        leased.lease,
    )
    return changed == 1


def release(tx: Transaction, leased: Leased) -> None:
    """Give a lease back early; the delivery is due at once."""
    tx.run(
        "UPDATE delivery SET fetch_at = hearback_now() WHERE id = %s AND state = 'waiting' AND fetch_at = %s",
        leased.delivery.id,
        leased.lease,
    )


def failures(tx: Transaction, source: str) -> int:
    """Return how often in a row a source's vendor did not give an answer."""
    row = tx.one("SELECT failures FROM source_rest WHERE source = %s", source)
    return int(row[0]) if row else 0


def rest(tx: Transaction, source: str, span: timedelta, reason: str) -> None:
    """Ask this source's vendor nothing for a while."""
    tx.run(_REST, source, span, reason)


def wake(tx: Transaction, source: str) -> None:
    """Forget past failures: the vendor answers again."""
    tx.run("DELETE FROM source_rest WHERE source = %s", source)


def seconds_to_next(tx: Transaction) -> float | None:
    """Return in how many seconds the next delivery is due, None when none waits."""
    row = tx.one(
        "SELECT extract(epoch FROM min(greatest(fetch_at, coalesce(until, fetch_at))) - hearback_now())::float8 "
        "FROM delivery d LEFT JOIN source_rest r ON r.source = d.source "
        "WHERE state = 'waiting' AND fetch_at IS NOT NULL"
    )
    return None if row is None or row[0] is None else max(0.0, float(row[0]))
