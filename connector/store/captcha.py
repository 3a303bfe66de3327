"""Captchas that wait to be verified. The token itself stays in the sealed body."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from connector.store.database import Transaction
from connector.store.deliveries import StoredDelivery

#: A process that holds a lease this long is dead: nobody waits so long for an answer.
LEASE = timedelta(seconds=30)

_PUT = """
WITH n AS (SELECT id FROM unnest(%s::uuid[]) AS n (id)),
made AS (INSERT INTO captcha (delivery_id) SELECT id FROM n ON CONFLICT DO NOTHING)
UPDATE delivery SET state = 'waiting' FROM n WHERE delivery.id = n.id AND state = 'stored'
"""

_CLAIM = """
WITH due AS (
    SELECT delivery_id FROM captcha
    WHERE outcome IS NULL AND due_at <= hearback_now() AND coalesce(leased_until <= hearback_now(), true)
    ORDER BY due_at, delivery_id LIMIT %s FOR UPDATE SKIP LOCKED),
leased AS (
    UPDATE captcha c SET leased_until = hearback_now() + %s, attempts = attempts + 1
    FROM due WHERE c.delivery_id = due.delivery_id
    RETURNING c.delivery_id, c.attempts)
SELECT l.attempts, hearback_now() - d.received_at, b.sealed,
    d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts
FROM leased l JOIN delivery d ON d.id = l.delivery_id
LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
ORDER BY d.id
"""

# Whoever lost the lease meanwhile settles nothing: the next attempt does.
_SETTLE = """
WITH settled AS (
    UPDATE captcha SET outcome = %s, settled_at = hearback_now(), leased_until = NULL
    WHERE delivery_id = %s AND attempts = %s AND outcome IS NULL
    RETURNING delivery_id)
UPDATE delivery SET state = 'stored' FROM settled WHERE id = delivery_id AND state = 'waiting'
"""


class Claimed(NamedTuple):
    """A captcha to be verified, for the `attempt`-th time and at what age, and the delivery it came with."""

    attempt: int
    age: timedelta
    delivery: StoredDelivery


def put(tx: Transaction, deliveries: Sequence[UUID]) -> None:
    """Let deliveries wait until their captchas are verified."""
    if deliveries:
        tx.run(_PUT, list(deliveries))


def claim(tx: Transaction, limit: int) -> list[Claimed]:
    """Lease captchas that are due, oldest first; one whose lease ran out counts as asked."""
    rows = tx.all(_CLAIM, limit, LEASE)
    return [Claimed(attempt, age, _stored(sealed, *facts)) for attempt, age, sealed, *facts in rows]


def _stored(sealed: Any, *facts: Any) -> StoredDelivery:
    row = (*facts, None if sealed is None else bytes(sealed))
    return StoredDelivery(*row)


def settle(tx: Transaction, claimed: Claimed, outcome: str) -> bool:
    """Record an outcome and let the delivery be read; return False when another attempt has begun."""
    return tx.run(_SETTLE, outcome, claimed.delivery.id, claimed.attempt) == 1


def postpone(tx: Transaction, claimed: Claimed, wait: timedelta) -> None:
    """Give a lease back; the next attempt is due after `wait`."""
    tx.run(
        "UPDATE captcha SET leased_until = NULL, due_at = hearback_now() + %s "
        "WHERE delivery_id = %s AND attempts = %s AND outcome IS NULL",
        wait,
        claimed.delivery.id,
        claimed.attempt,
    )


def outcomes(tx: Transaction, deliveries: Sequence[UUID]) -> dict[UUID, str]:
    """Return the outcomes there are."""
    if not deliveries:
        return {}
    rows = tx.all(
        "SELECT delivery_id, outcome FROM captcha WHERE delivery_id = ANY(%s) AND outcome IS NOT NULL",
        list(deliveries),
    )
    return {row[0]: row[1] for row in rows}


def forget(tx: Transaction, after: timedelta) -> None:
    """Forget outcomes that old; a replay by then is a person's decision."""
    tx.run("DELETE FROM captcha WHERE settled_at < hearback_now() - %s", after)
