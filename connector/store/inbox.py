"""Deliveries as people look through them: newest first, page by page, and those set aside released."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connector.model.delivery import DeliveryState, Fate
from connector.store.database import Transaction

#: Where a delivery stands: its fate, before it has one its state.
OUTCOMES: tuple[str, ...] = (
    DeliveryState.STORED,
    DeliveryState.WAITING,
    DeliveryState.QUARANTINED,
    *Fate,
)
#: So many leads of a delivery are named in a list.
NAMED = 3

# The common ones are met soon enough on the way back in time; the others have an index of their own, whose condition
# stands in the query word for word.
_TESTS = {
    "stored": "d.state = 'stored'",
    "leads": "d.fate = 'leads'",
    **{
        outcome: f"coalesce(d.fate, d.state) = '{outcome}' AND d.state <> 'stored' "
        "AND coalesce(d.fate, d.state) <> 'leads'"
        for outcome in OUTCOMES
        if outcome not in ("stored", "leads")
    },
}

_PAGE = """
SELECT d.id, d.source, d.received_at, d.size, coalesce(d.fate, d.state), d.reason, d.first_delivery, d.is_test,
    d.verified,
    ARRAY(SELECT s.lead_id FROM submission s WHERE s.delivery_id = coalesce(d.first_delivery, d.id)
          ORDER BY s.position LIMIT {named} + 1)
FROM (SELECT * FROM delivery d {where} ORDER BY d.received_at DESC, d.id DESC LIMIT %s) d
ORDER BY d.received_at DESC, d.id DESC
"""

_RELEASED = "state = 'stored', reason = 'replayed: ' || reason, attempts = 0, verified = 'released'"

_RELEASE = f"""
UPDATE delivery SET {_RELEASED} WHERE id IN (
    SELECT d.id FROM delivery d WHERE {_TESTS["quarantined"]} AND d.received_at <= %s
        AND (%s::text IS NULL OR d.source = %s) AND (%s::text IS NULL OR d.reason = %s)
    ORDER BY d.received_at, d.id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id
"""  # noqa: S608 (constants only)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries to show; None: whatever it is."""

    outcome: str | None = None
    source: str | None = None
    reason: str | None = None


class Listed(NamedTuple):
    """A delivery in a list. `leads` are those of the first one for a duplicate, one more than NAMED at most."""

    id: UUID
    source: str
    received_at: datetime
    size: int
    outcome: str
    reason: str
    first: UUID | None
    is_test: bool
    verified: str
    leads: list[UUID]


class Group(NamedTuple):
    """Deliveries set aside for the same reason."""

    source: str
    reason: str
    total: int
    #: How many of them could not be verified to come from their sender.
    unverified: int
    oldest: datetime
    newest: datetime


def page(tx: Transaction, wanted: Wanted, *, before: UUID | None, limit: int) -> list[Listed]:
    """Return deliveries, newest first; `before` is the last one of the page before."""
    tests = [_TESTS[wanted.outcome]] if wanted.outcome else []
    values: list[object] = []
    for column, value in (("d.source", wanted.source), ("d.reason", wanted.reason)):
        if value is not None:
            tests.append(f"{column} = %s")
            values.append(value)
    place = tx.one("SELECT received_at, id FROM delivery WHERE id = %s", before) if before else None
    if place:
        tests.append("(d.received_at, d.id) < (%s, %s)")
        values.extend(place)
    where = f"WHERE {' AND '.join(tests)}" if tests else ""
    return [Listed(*row) for row in tx.all(_PAGE.format(where=where, named=NAMED), *values, limit)]


def owners(tx: Transaction, leads: Iterable[UUID]) -> dict[UUID, str | None]:
    """Return the owners of leads by person; None while nobody has one."""
    return dict(tx.all("SELECT id, owner FROM lead WHERE id = ANY(%s)", list(leads)))


def sources(tx: Transaction) -> list[str]:
    """Return the sources deliveries came from."""
    # A loose index scan: deliveries are many, sources are few.
    rows = tx.all(
        "WITH RECURSIVE s (source) AS (SELECT min(source) FROM delivery UNION ALL "
        "SELECT (SELECT min(source) FROM delivery WHERE source > s.source) FROM s WHERE s.source IS NOT NULL) "
        "SELECT source FROM s WHERE source IS NOT NULL"
    )
    return [row[0] for row in rows]


def set_aside(tx: Transaction, wanted: Wanted) -> list[Group]:
    """Count what is quarantined by source and reason, the largest group first."""
    rows = tx.all(
        "SELECT d.source, d.reason, count(*), "  # noqa: S608 (constants only)
        "count(*) FILTER (WHERE d.verified LIKE 'no:%%'), min(d.received_at), max(d.received_at) FROM delivery d "
        f"WHERE {_TESTS['quarantined']} AND (%s::text IS NULL OR d.source = %s) "
        "AND (%s::text IS NULL OR d.reason = %s) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        wanted.source,
        wanted.source,
        wanted.reason,
        wanted.reason,
    )
    return [Group(*row) for row in rows]


def release(tx: Transaction, wanted: Wanted, until: datetime, limit: int) -> list[UUID]:
    """Send up to `limit` quarantined deliveries through again that came until an instant; return them.

    Whoever releases has judged them: their suspicions do not count any more.
    """
    rows = tx.all(_RELEASE, until, wanted.source, wanted.source, wanted.reason, wanted.reason, limit)
    return [row[0] for row in rows]


def oldest_stored(tx: Transaction) -> datetime | None:
    """Return when the oldest delivery came that still waits for its turn."""
    # One look into the queue for each kind: left to itself, min() walks back through all that is done.
    row = tx.one(
        "SELECT min(first.received_at) FROM (VALUES ('lead'), ('crm')) AS k (kind), LATERAL (SELECT received_at "
        "FROM delivery WHERE state = 'stored' AND kind = k.kind ORDER BY received_at, id LIMIT 1) AS first"
    )
    return row[0] if row else None


def held_leads(tx: Transaction) -> int:
    """Return how many leads wait for an owner."""
    row = tx.one("SELECT count(*) FROM lead WHERE status = 'held'")
    return row[0] if row else 0


def lead_of(tx: Transaction, kind: str, value: str) -> UUID | None:
    """Return the lead a person key (`email` or `phone`) leads to."""
    row = tx.one("SELECT lead_id FROM person_key WHERE kind = %s AND value = %s", kind, value)
    return row[0] if row else None


def submissions(tx: Transaction, lead: UUID, limit: int) -> list[tuple[UUID, str, datetime, str]]:
    """Return the deliveries of a lead, newest first: id, source, when it came, and what it did to the lead."""
    rows = tx.all(
        "SELECT d.id, d.source, d.received_at, s.relation FROM submission s JOIN delivery d ON d.id = s.delivery_id "
        "WHERE s.lead_id = %s ORDER BY d.received_at DESC, d.id DESC LIMIT %s",
        lead,
        limit,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
