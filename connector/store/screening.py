"""What speaks against deliveries, how often an address came lately, and the end of what nobody released."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

from connector.store.database import Transaction

_SCORE = """
UPDATE delivery SET score = n.score, signals = n.signals
FROM jsonb_to_recordset(%s::jsonb) AS n (id uuid, score smallint, signals text[]) WHERE delivery.id = n.id
"""

# The sort keeps two workers with the same addresses from waiting for one another in a circle. What was too many took
# nothing: below zero the bucket is empty.
_TAKE = """
WITH n AS (SELECT decode(h, 'hex') AS h, c FROM jsonb_to_recordset(%s::jsonb) AS n (h text, c integer) ORDER BY h)
INSERT INTO address_rate AS a (hash, left_over, seen_at)
SELECT h, %s::real - c, (SELECT hearback_now()) FROM n
ON CONFLICT (hash) DO UPDATE SET seen_at = excluded.seen_at, left_over = least(%s::real,
    greatest(0, a.left_over) + extract(epoch FROM excluded.seen_at - a.seen_at)::real * %s::real)
    - (%s::real - excluded.left_over)
RETURNING hash, left_over
"""

_DROP_SUSPECTS = """
WITH old AS (
    UPDATE delivery SET state = 'done', fate = 'rejected', finished_at = hearback_now()
    WHERE id IN (SELECT id FROM delivery WHERE state = 'quarantined' AND score >= %s
                 AND received_at < hearback_now() - %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id, received_at)
DELETE FROM delivery_body b USING old WHERE b.delivery_id = old.id AND b.received_at = old.received_at
"""


@dataclass(frozen=True, slots=True)
class Scored:
    """What spoke against one delivery."""

    id: UUID
    score: int
    signals: tuple[str, ...]


NO_SCORES: Mapping[UUID, Scored] = MappingProxyType({})


def score(tx: Transaction, scored: Sequence[Scored]) -> None:
    """Note what spoke against deliveries."""
    if scored:
        tx.run_rows(_SCORE, scored)


def take(tx: Transaction, counts: Mapping[bytes, int], *, burst: int, per_hour: float) -> dict[bytes, int]:
    """Take so many tokens from the bucket of each address (by its hash); return how many too many it were."""
    if not counts:
        return {}
    per_second = per_hour / timedelta(hours=1).total_seconds()
    asked = [{"h": name.hex(), "c": count} for name, count in counts.items()]
    rows = tx.all_rows(_TAKE, asked, burst, burst, per_second, burst)
    return {bytes(name): math.ceil(-left) for name, left in rows if left < 0}


def drop_suspects(tx: Transaction, score_from: int, kept: timedelta, limit: int) -> int:
    """Reject suspects nobody released in time, and remove their bodies; the reason stays. Return how many bodies."""
    return tx.run(_DROP_SUSPECTS, score_from, kept, limit)


def forget_addresses(tx: Transaction, after: timedelta) -> None:
    """Forget addresses that were not sent for so long."""
    tx.run("DELETE FROM address_rate WHERE seen_at < hearback_now() - %s", after)
