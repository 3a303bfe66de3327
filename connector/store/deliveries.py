"""Deliveries: what came in, sealed, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from connector.model.delivery import Fate
from connector.store.database import Transaction
from connector.store.screening import NO_SCORES, Scored
from connector.store.suppression import SHARED

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

# The sort keeps two workers with the same keys from waiting for one another in a circle.
_CLAIM_KEYS = """
WITH n AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (s text, k text, d uuid, l uuid, v bigint) ORDER BY s, k)
INSERT INTO dedupe_key (source, key, delivery_id, lead_id, version, seen_at)
SELECT s, k, d, l, v, (SELECT hearback_now()) FROM n
ON CONFLICT (key, source) DO UPDATE SET delivery_id = excluded.delivery_id, lead_id = excluded.lead_id,
    version = excluded.version, seen_at = excluded.seen_at
WHERE dedupe_key.key LIKE 'content:%%' AND dedupe_key.seen_at < excluded.seen_at - %s
"""

_TAKEN_KEYS = """
SELECT source, key, delivery_id, lead_id, version FROM dedupe_key
JOIN jsonb_to_recordset(%s::jsonb) AS n (s text, k text, d uuid) ON source = s AND key = k AND delivery_id <> d
"""

_LINK_KEYS = """
UPDATE dedupe_key SET lead_id = n.l, version = n.v
FROM jsonb_to_recordset(%s::jsonb) AS n (s text, k text, l uuid, v bigint) WHERE source = n.s AND key = n.k
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
RETURNING delivery_id
"""

_SEALED = """
SELECT d.id, b.sealed FROM delivery d JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
WHERE d.id = ANY(%s)
"""

_CLAIM = f"""
SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed
FROM (SELECT {SHARED}) taking_in,
     (SELECT * FROM delivery WHERE state = 'stored' AND kind = %s ORDER BY received_at, id LIMIT %s
      FOR UPDATE SKIP LOCKED) d
LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
ORDER BY d.received_at, d.id
"""  # noqa: S608 (constants only)

_LATEST = """
SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed
FROM (SELECT * FROM delivery WHERE source = %s ORDER BY received_at DESC LIMIT %s) d
LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
"""

_CLAIM_ONE = f"""
SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed
FROM (SELECT {SHARED}) taking_in,
     (SELECT * FROM delivery WHERE state = 'stored' AND id = %s FOR UPDATE SKIP LOCKED) d
LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
"""  # noqa: S608 (constants only)

_FINISH = """
UPDATE delivery SET state = 'done', fate = f.fate, reason = f.reason, first_delivery = f.first,
    is_test = delivery.is_test OR f.is_test, finished_at = (SELECT hearback_now()),
    score = coalesce(f.score, delivery.score), signals = coalesce(f.signals, delivery.signals)
FROM jsonb_to_recordset(%s::jsonb) AS f (id uuid, fate text, reason text, first uuid, is_test boolean,
    score smallint, signals text[])
WHERE delivery.id = f.id
"""

_STORED = """
SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed
FROM delivery d LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at
WHERE d.id = %s
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


class StoredDelivery(NamedTuple):
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


def put_many(tx: Transaction, new: Sequence[NewDelivery]) -> set[UUID]:
    """Store deliveries, each id once, unless it is there; return the ids that were new."""
    if not new:
        return set()
    arrays = [list(column) for column in zip(*(n.columns for n in new), strict=True)]
    return {row[0] for row in tx.all(_PUT_MANY, *arrays, [n.id for n in new], [n.sealed for n in new])}


def sealed(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Return the sealed bodies of those deliveries that still have one."""
    return {row[0]: bytes(row[1]) for row in tx.all(_SEALED, list(ids))}


def by_idempotency_key(tx: Transaction, client: str, key: str) -> tuple[UUID, bytes] | None:
    """Return the delivery and the fingerprint stored under a client's key."""
    row = tx.one("SELECT delivery_id, fingerprint FROM idempotency_key WHERE client = %s AND key = %s", client, key)
    return (row[0], bytes(row[1])) if row else None


def claim(tx: Transaction, kind: str, limit: int) -> list[StoredDelivery]:
    """Lock up to `limit` stored deliveries of a kind (`lead`, `crm`), oldest first; a crash gives them back.

    An erasure that begins meanwhile waits for this transaction, and what began before is seen in it.
    """
    return [_stored(*row) for row in tx.all(_CLAIM, kind, limit)]


def _stored(*values: Any) -> StoredDelivery:
    *facts, sealed = values
    row = (*facts, None if sealed is None else bytes(sealed))
    return StoredDelivery(*row)


def latest(tx: Transaction, source: str, limit: int) -> list[StoredDelivery]:
    """Return the last deliveries of a source in any state, newest first; nothing is locked."""
    return [_stored(*row) for row in tx.all(_LATEST, source, limit)]


def finish(tx: Transaction, finished: Sequence[Finished], scored: Mapping[UUID, Scored] = NO_SCORES) -> None:
    """Give deliveries their fate, and note what speaks against them."""
    if not finished:
        return
    rows = [(each, scored.get(each.id)) for each in finished]
    tx.run_rows(
        _FINISH,
        [
            {
                "id": each.id,
                "fate": each.fate,
                "reason": each.reason,
                "first": each.first,
                "is_test": each.is_test,
                **({"score": against.score, "signals": against.signals} if against else {}),
            }
            for each, against in rows
        ],
    )


def quarantine(tx: Transaction, delivery: UUID, reason: str) -> None:
    """Set a delivery aside for a person."""
    tx.run("UPDATE delivery SET state = 'quarantined', reason = %s WHERE id = %s", reason, delivery)


def claim_one(tx: Transaction, delivery: UUID) -> list[StoredDelivery]:
    """Lock one stored delivery; an empty list when it is no longer waiting."""
    return [_stored(*row) for row in tx.all(_CLAIM_ONE, delivery)]


def stored(tx: Transaction, delivery: UUID) -> StoredDelivery | None:
    """Return one delivery with its sealed body, whatever its state, without a lock."""
    row = tx.one(_STORED, delivery)
    return _stored(*row) if row else None


def by_ids(tx: Transaction, ids: Sequence[UUID]) -> list[StoredDelivery]:
    """Return deliveries with their bodies, in order of their ids; nothing is locked."""
    query = (
        "SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed FROM delivery d "
        "LEFT JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at "
        "WHERE d.id = ANY(%s) ORDER BY d.id"
    )
    return [_stored(*row) for row in tx.all(query, list(ids))]


def lock_waiting(tx: Transaction, ids: Sequence[UUID]) -> list[StoredDelivery]:
    """Lock deliveries in order of their ids; return those of people with a body that became nobody's lead yet.

    They are stored, waiting, set aside, or rejected, which a person may still replay.
    """
    tx.run("SELECT FROM delivery WHERE id = ANY(%s) ORDER BY id FOR UPDATE", list(ids))
    query = (
        "SELECT d.id, d.source, d.received_at, d.content_type, d.verified, d.attempts, b.sealed FROM delivery d "
        "JOIN delivery_body b ON b.delivery_id = d.id AND b.received_at = d.received_at "
        "WHERE d.id = ANY(%s) AND d.kind = 'lead' AND (d.state <> 'done' OR d.fate = 'rejected') ORDER BY d.id"
    )
    return [_stored(*row) for row in tx.all(query, list(ids))]


def reseal(tx: Transaction, delivery: StoredDelivery, sealed: bytes) -> None:
    """Put a body in the place of the one a locked delivery has."""
    tx.run(
        "UPDATE delivery_body SET sealed = %s WHERE delivery_id = %s AND received_at = %s",
        sealed,
        delivery.id,
        delivery.received_at,
    )


def go_on(tx: Transaction, delivery: UUID, reason: str) -> None:
    """Let a waiting delivery be read; with a reason it goes on waiting, for that."""
    state = "waiting" if reason else "stored"
    tx.run("UPDATE delivery SET state = %s, reason = %s WHERE id = %s AND state = 'waiting'", state, reason, delivery)


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

    Whoever replays a quarantined one has judged it: its suspicions do not count any more. Deliveries that
    became leads stay as they are: running them twice would only find duplicates.
    """
    changed = tx.run(
        # A person looked: what made it suspicious no longer counts.
        "UPDATE delivery SET state = 'stored', fate = NULL, reason = 'replayed: ' || reason, attempts = 0, "
        "finished_at = NULL, verified = CASE WHEN state = 'quarantined' THEN 'released' ELSE verified END "
        "WHERE id = %s AND (state = 'quarantined' OR fate = 'rejected')",
        delivery,
    )
    return changed == 1


def dedupe(
    tx: Transaction, claims: Sequence[tuple[str, str, UUID, UUID | None, int]], window: timedelta
) -> dict[tuple[str, str], tuple[UUID, UUID | None, int]]:
    """Claim (source, key, delivery, lead, version) and return those taken before: first delivery, lead, version.

    A content key (`content:...`) older than `window` counts as free again (I10).
    """
    if not claims:
        return {}
    ordered = [
        {"s": s, "k": k, "d": d, "l": lead, "v": v} for s, k, d, lead, v in sorted(claims, key=lambda row: row[:2])
    ]
    if tx.run_rows(_CLAIM_KEYS, ordered, window) == len(ordered):
        return {}
    return {(s, k): (d, lead, v) for s, k, d, lead, v in tx.all_rows(_TAKEN_KEYS, ordered)}


def link_keys(tx: Transaction, keys: Sequence[tuple[str, str, UUID, int]]) -> None:
    """Remember which lead each (source, key, lead, version) led to."""
    if not keys:
        return
    tx.run_rows(_LINK_KEYS, [{"s": s, "k": k, "l": lead, "v": v} for s, k, lead, v in keys])
