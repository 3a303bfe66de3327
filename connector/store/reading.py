"""Questions people and programs ask of what is stored. Nothing here takes a lock or changes a row."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connector.store.database import Transaction

_DELIVERY = """
SELECT d.id, d.source, d.received_at, d.content_type, d.size, d.sha256, d.verified, d.state, d.fate, d.reason,
    d.first_delivery, d.is_test, d.attempts, d.finished_at,
    ARRAY(SELECT s.lead_id FROM submission s WHERE s.delivery_id = coalesce(d.first_delivery, d.id)
          ORDER BY s.position),
    d.score, d.signals
FROM delivery d
"""

_LEAD = """
SELECT l.id, l.created_at, l.source, l.correlation, l.data, l.is_test, l.status, l.owner, l.connection, l.pool,
    l.reason, l.assigned_at, l.held_until,
    (SELECT b.record_id FROM binding b WHERE b.connection = l.connection AND b.key = 'lead:' || l.id)
FROM lead l WHERE l.id = %s
"""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery without its body. For a duplicate, `leads` are those of the first one."""

    id: UUID
    source: str
    received_at: datetime
    content_type: str
    size: int
    sha256: bytes
    verified: str
    state: str
    fate: str | None
    reason: str
    first: UUID | None
    is_test: bool
    attempts: int
    finished_at: datetime | None
    leads: tuple[UUID, ...]
    #: What its signals added up to; None: nothing spoke against it.
    score: int | None = None
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeadSummary:
    """A lead with what became of it; `record` is its id in the CRM once it is written there."""

    id: UUID
    created_at: datetime
    source: str
    correlation: UUID
    data: dict[str, Any]
    is_test: bool
    status: str
    owner: str | None
    connection: str | None
    pool: str | None
    reason: str
    assigned_at: datetime | None
    held_until: datetime | None
    record: str | None


def delivery(tx: Transaction, delivery_id: UUID) -> DeliveryRow | None:
    """Return one delivery, None when the id is unknown."""
    row = tx.one(_DELIVERY + "WHERE d.id = %s", delivery_id)
    return _delivery(row) if row else None


def deliveries(
    tx: Transaction,
    *,
    state: str | None = None,
    fate: str | None = None,
    source: str | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[DeliveryRow]:
    """Return deliveries, newest first; `before` is the last id of the page before."""
    given = {"d.state =": state, "d.fate =": fate, "d.source =": source, "d.id <": before}
    tests = {test: value for test, value in given.items() if value is not None}
    where = "WHERE " + " AND ".join(f"{test} %s" for test in tests) if tests else ""
    rows = tx.all(f"{_DELIVERY} {where} ORDER BY d.id DESC LIMIT %s", *tests.values(), limit)
    return [_delivery(row) for row in rows]


def lead(tx: Transaction, lead_id: UUID) -> LeadSummary | None:
    """Return one lead, None when the id is unknown."""
    row = tx.one(_LEAD, lead_id)
    return LeadSummary(*row) if row else None


def unfinished(tx: Transaction) -> dict[str, int]:
    """Count the deliveries that have no fate yet, by state; those that have one are too many to count."""
    rows = tx.all(
        "SELECT state, count(*) FROM delivery WHERE state = 'stored' GROUP BY state UNION ALL "
        "SELECT state, count(*) FROM delivery WHERE state IN ('waiting', 'quarantined') GROUP BY state"
    )
    return {row[0]: row[1] for row in rows}


def _delivery(row: tuple[Any, ...]) -> DeliveryRow:
    values = list(row)
    values[5], values[14], values[16] = bytes(values[5]), tuple(values[14]), tuple(values[16])
    return DeliveryRow(*values)
