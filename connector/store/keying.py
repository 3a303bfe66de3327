"""Batches of cards keyed by hand, and who has still to look at which card. No row here says what stands on one."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction

#: A card somebody is looking at is shown to nobody else for so long.
TAKEN_FOR = timedelta(minutes=10)

_OPEN = """
INSERT INTO keying_batch (id, name, key_code, received_on, cards, opened_by) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

_BATCH = "b.id, b.name, b.key_code, b.received_on, b.cards, b.opened_at"

# Sends of one batch number their cards one after the other.
_PUT = """
WITH b AS (SELECT id FROM keying_batch WHERE id = %s FOR UPDATE)
INSERT INTO keyed_card (delivery_id, batch_id, number, twice, step)
SELECT %s, b.id, 1 + coalesce((SELECT max(number) FROM keyed_card WHERE batch_id = b.id), 0), %s, %s FROM b
RETURNING number
"""

# Who was erased meanwhile waits for nobody: the delivery says it.
_TAKE = """
UPDATE keyed_card SET taken_by = %(user)s, taken_until = hearback_now() + %(span)s
WHERE delivery_id = (
    SELECT c.delivery_id FROM keyed_card c JOIN delivery d ON d.id = c.delivery_id AND d.state = 'waiting'
    WHERE c.batch_id = %(batch)s AND c.step = %(step)s
        AND (c.taken_until IS NULL OR c.taken_until <= hearback_now() OR c.taken_by = %(user)s)
        AND NOT EXISTS (SELECT FROM keying k WHERE k.delivery_id = c.delivery_id AND k.user_id = %(user)s)
    ORDER BY c.number <= %(after)s, c.number LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
RETURNING delivery_id, number, twice, differing
"""

_PROGRESS = f"""
SELECT {_BATCH}, count(c.delivery_id),
    count(*) FILTER (WHERE c.step = 'second' AND d.state = 'waiting'),
    count(*) FILTER (WHERE c.step = 'settle' AND d.state = 'waiting'),
    count(*) FILTER (WHERE c.twice <> '{{}}' AND c.step <> 'second'),
    count(*) FILTER (WHERE c.differing <> '{{}}'),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY k.took_ms)
FROM (SELECT * FROM keying_batch ORDER BY opened_at DESC, id DESC LIMIT %s) b
LEFT JOIN keyed_card c ON c.batch_id = b.id
LEFT JOIN delivery d ON d.id = c.delivery_id
LEFT JOIN keying k ON k.delivery_id = c.delivery_id AND k.step = 'first'
GROUP BY {_BATCH} ORDER BY b.opened_at DESC, b.id DESC
"""  # noqa: S608 (constants only)


class Batch(NamedTuple):
    """A stack of cards on a keyer's desk; `cards` is how many it holds, None where nobody counted."""

    id: UUID
    name: str
    key_code: str
    received_on: date
    cards: int | None
    opened_at: datetime


class Progress(NamedTuple):
    """How far a batch is. `compared` cards were keyed twice, `differing` of them not alike; times are medians."""

    batch: Batch
    keyed: int
    second: int
    settle: int
    compared: int
    differing: int
    took_ms: float | None


class Card(NamedTuple):
    """A card that waits for somebody."""

    delivery: UUID
    number: int
    twice: tuple[str, ...]
    differing: tuple[str, ...]


def open_batch(tx: Transaction, batch: Batch, user: UUID) -> bool:
    """Store a batch; return False when its name is taken."""
    return tx.run(_OPEN, batch.id, batch.name, batch.key_code, batch.received_on, batch.cards, user) == 1


def batch_of(tx: Transaction, batch: UUID) -> Batch | None:
    """Return a batch, None when there is none."""
    row = tx.one(f"SELECT {_BATCH} FROM keying_batch b WHERE b.id = %s", batch)  # noqa: S608 (constants only)
    return Batch(*row) if row else None


def progress(tx: Transaction, limit: int) -> list[Progress]:
    """Return how far the newest batches are."""
    return [Progress(Batch(*row[:6]), *row[6:]) for row in tx.all(_PROGRESS, limit)]


def put(tx: Transaction, batch: UUID, delivery: UUID, twice: Sequence[str]) -> int:
    """Add a card to a batch and return its number there."""
    row = tx.one(_PUT, batch, delivery, list(twice), "second" if twice else "done")
    assert row is not None
    return int(row[0])


def number_of(tx: Transaction, delivery: UUID) -> int:
    """Return a card's number in its batch."""
    row = tx.one("SELECT number FROM keyed_card WHERE delivery_id = %s", delivery)
    assert row is not None
    return int(row[0])


def take(tx: Transaction, batch: UUID, step: str, user: UUID, after: int) -> Card | None:
    """Show somebody a card they have not keyed themselves: the next after a number, then from the start."""
    values = {"batch": batch, "step": step, "user": user, "after": after, "span": TAKEN_FOR}
    row = tx.connection.execute(_TAKE.encode(), values).fetchone()
    return _card(row) if row else None


def lock(tx: Transaction, delivery: UUID, step: str, user: UUID) -> Card | None:
    """Lock a card that waits for this step by this user; None when it does not, or not any more."""
    row = tx.one(
        "SELECT c.delivery_id, c.number, c.twice, c.differing FROM keyed_card c "
        "JOIN delivery d ON d.id = c.delivery_id AND d.state = 'waiting' "
        "WHERE c.delivery_id = %s AND c.step = %s AND NOT EXISTS "
        "(SELECT FROM keying k WHERE k.delivery_id = c.delivery_id AND k.user_id = %s) FOR UPDATE OF c, d",
        delivery,
        step,
        user,
    )
    return _card(row) if row else None


def move(tx: Transaction, delivery: UUID, step: str, differing: Sequence[str]) -> None:
    """Say what a card waits for next, and which fields were read differently."""
    tx.run(
        "UPDATE keyed_card SET step = %s, differing = %s, taken_by = NULL, taken_until = NULL WHERE delivery_id = %s",
        step,
        list(differing),
        delivery,
    )


def note(tx: Transaction, delivery: UUID, step: str, user: UUID, took_ms: int | None) -> None:
    """Remember who keyed a card, and how long it took."""
    tx.run(
        "INSERT INTO keying (delivery_id, step, user_id, took_ms) VALUES (%s, %s, %s, %s)",
        delivery,
        step,
        user,
        took_ms,
    )


def waiting(tx: Transaction) -> int:
    """Count the cards that wait for a second person or a third."""
    row = tx.one(
        "SELECT count(*) FROM keyed_card c JOIN delivery d ON d.id = c.delivery_id AND d.state = 'waiting' "
        "WHERE c.step <> 'done'"
    )
    assert row is not None
    return int(row[0])


def _card(row: tuple[UUID, int, list[str], list[str]]) -> Card:
    delivery, number, twice, differing = row
    return Card(delivery, number, tuple(twice), tuple(differing))
