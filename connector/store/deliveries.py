"""Deliveries: what came in, sealed, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connector.model.delivery import Fate
from connector.store.database import Transaction

#: Sources that are CRM connections are named `crm:<connection>`.
CRM_PREFIX = "crm:"

_PUT = """
WITH kept AS (
    INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, state, reason, received_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, hearback_now())
    RETURNING id, received_at)
INSERT INTO delivery_body (delivery_id, received_at, sealed) SELECT id, received_at, %s FROM kept
"""

_PUT_ONCE = """
WITH key AS (
    INSERT INTO idempotency_key (client, key, fingerprint, delivery_id) VALUES (%s, %s, %s, %s)
    ON CONFLICT DO NOTHING RETURNING delivery_id),
kept AS (
    INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, state, reason, received_at)
    SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, hearback_now() FROM key
    RETURNING id, received_at)
INSERT INTO delivery_body (delivery_id, received_at, sealed) SELECT id, received_at, %s FROM kept
"""

_PUT_MANY = """
WITH kept AS (
    INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, state, reason, received_at)
    SELECT n.*, hearback_now() FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::integer[],
        %s::bytea[], %s::text[], %s::text[], %s::text[]) AS n
    ON CONFLICT (id) DO NOTHING
    RETURNING id, received_at)
INSERT INTO delivery_body (delivery_id, received_at, sealed)
SELECT kept.id, kept.received_at, b.sealed
FROM kept JOIN unnest(%s::uuid[], %s::bytea[]) AS b (id, sealed) ON b.id = kept.id
"""

_CLAIM = """
SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed
FROM (SELECT * FROM delivery WHERE state = 'stored' AND kind = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) d
LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
ORDER BY d.id
"""

_CLAIM_ONE = """
SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed
FROM (SELECT * FROM delivery WHERE state = 'stored' AND id = %s FOR UPDATE SKIP LOCKED) d
LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
"""

_FINISH = """
UPDATE delivery SET state = 'done', fate = f.fate, reason = f.reason, first_delivery = f.first,
    is_test = delivery.is_test OR f.test, finished_at = %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::boolean[]) AS f (id, fate, reason, first, test)
WHERE delivery.id = f.id
"""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery about to be stored. `state` is `stored` or `quarantined`."""

    id: UUID
    source: str
    content_type: str
    size: int
    sha256: bytes
    verified: str
    state: str
    reason: str
    sealed: bytes

    @property
    def columns(self) -> tuple[Any, ...]:
        """Return the values in the order the statements take them."""
        return (
            self.id,
            "crm" if self.source.startswith(CRM_PREFIX) else "lead",
            self.source,
            self.content_type,
            self.size,
            self.sha256,
            self.verified,
            self.state,
            self.reason,
        )


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery taken up for work."""

    id: UUID
    source: str
    received_at: datetime
    content_type: str
    verified: str
    attempts: int
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The fate of one delivery."""

    id: UUID
    fate: Fate
    reason: str = ""
    first: UUID | None = None
    is_test: bool = False


def put(tx: Transaction, new: NewDelivery) -> None:
    """Store a delivery with its body: one statement."""
    tx.run(_PUT, *new.columns, new.sealed)


def put_once(tx: Transaction, new: NewDelivery, *, client: str, key: str, fingerprint: bytes) -> bool:
    """Store a delivery unless the client used this key before; return whether it was stored."""
    return tx.run(_PUT_ONCE, client, key, fingerprint, new.id, *new.columns, new.sealed) == 1


def put_many(tx: Transaction, new: Sequence[NewDelivery]) -> int:
    """Store deliveries whose ids are not there yet; return how many were new."""
    if not new:
        return 0
    arrays = [list(column) for column in zip(*(n.columns for n in new), strict=True)]
    return tx.run(_PUT_MANY, *arrays, [n.id for n in new], [n.sealed for n in new])


def by_idempotency_key(tx: Transaction, client: str, key: str) -> tuple[UUID, bytes] | None:
    """Return the delivery and the fingerprint stored under a client's key."""
    row = tx.one("SELECT delivery_id, fingerprint FROM idempotency_key WHERE client = %s AND key = %s", client, key)
    return (row[0], bytes(row[1])) if row else None


def claim(tx: Transaction, kind: str, limit: int) -> list[StoredDelivery]:
    """Lock up to `limit` stored deliveries of a kind (`lead`, `crm`), oldest first; a crash gives them back."""
    return [_stored(*row) for row in tx.all(_CLAIM, kind, limit)]


def _stored(*values: Any) -> StoredDelivery:
    *facts, sealed = values
    row = (*facts, None if sealed is None else bytes(sealed))
    return StoredDelivery(*row)


def finish(tx: Transaction, finished: Sequence[Finished]) -> None:
    """Give deliveries their fate."""
    if not finished:
        return
    tx.run(
        _FINISH,
        tx.now(),
        [f.id for f in finished],
        [str(f.fate) for f in finished],
        [f.reason for f in finished],
        [f.first for f in finished],
        [f.is_test for f in finished],
    )


def quarantine(tx: Transaction, delivery: UUID, reason: str) -> None:
    """Set a delivery aside for a person."""
    tx.run("UPDATE delivery SET state = 'quarantined', reason = %s WHERE id = %s", reason, delivery)


def claim_one(tx: Transaction, delivery: UUID) -> list[StoredDelivery]:
    """Lock one stored delivery; an empty list when it is no longer waiting."""
    return [_stored(*row) for row in tx.all(_CLAIM_ONE, delivery)]


def count_failure(tx: Transaction, delivery: UUID, limit: int, reason: str) -> None:
    """Remember that working this delivery failed once more; set it aside at the limit."""
    tx.run(
        "UPDATE delivery SET attempts = attempts + 1, reason = %s, "
        "state = CASE WHEN attempts + 1 >= %s THEN 'quarantined' ELSE state END WHERE id = %s AND state = 'stored'",
        reason,
        limit,
        delivery,
    )


def replay(tx: Transaction, delivery: UUID) -> bool:
    """Send a quarantined or rejected delivery through again; return False when it is neither.

    Deliveries that became leads stay as they are: running them twice would only find duplicates.
    """
    changed = tx.run(
        "UPDATE delivery SET state = 'stored', fate = NULL, reason = 'replayed: ' || reason, attempts = 0, "
        "finished_at = NULL, verified = CASE WHEN verified LIKE 'no:%%' THEN 'released' ELSE verified END "
        "WHERE id = %s AND (state = 'quarantined' OR fate = 'rejected')",
        delivery,
    )
    return changed == 1


def dedupe(
    tx: Transaction, source_keys: Sequence[tuple[str, str, UUID, int]], window: timedelta
) -> dict[tuple[str, str], tuple[UUID, UUID | None, int]]:
    """Claim (source, key, delivery, version) and return those that were taken before, with their first use.

    A content key (`content:...`) older than `window` counts as free again (I10).
    """
    if not source_keys:
        return {}
    ordered = sorted(source_keys)
    arrays = [list(column) for column in zip(*ordered, strict=True)]
    tx.run(
        "INSERT INTO dedupe_key (source, key, delivery_id, version, seen_at) "
        "SELECT s, k, d, v, %s FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::bigint[]) AS n (s, k, d, v) "
        "ON CONFLICT (source, key) DO UPDATE SET delivery_id = excluded.delivery_id, lead_id = NULL, "
        "seen_at = excluded.seen_at WHERE dedupe_key.key LIKE 'content:%%' AND dedupe_key.seen_at < %s",
        tx.now(),
        *arrays,
        tx.now() - window,
    )
    rows = tx.all(
        "SELECT source, key, delivery_id, lead_id, version FROM dedupe_key "
        "JOIN unnest(%s::text[], %s::text[]) AS n (s, k) ON source = s AND key = k",
        arrays[0],
        arrays[1],
    )
    mine = {(source, key): delivery for source, key, delivery, _ in ordered}
    return {(s, k): (d, lead, v) for s, k, d, lead, v in rows if d != mine[s, k]}


def link_keys(tx: Transaction, keys: Sequence[tuple[str, str, UUID, int]]) -> None:
    """Remember which lead each (source, key, lead, version) led to."""
    if not keys:
        return
    arrays = [list(column) for column in zip(*keys, strict=True)]
    tx.run(
        "UPDATE dedupe_key SET lead_id = n.l, version = n.v "
        "FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::bigint[]) AS n (s, k, l, v) "
        "WHERE source = n.s AND key = n.k",
        *arrays,
    )
