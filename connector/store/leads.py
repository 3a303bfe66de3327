"""Leads, the people behind them, and the submissions that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from connector.store.database import Transaction

_COLUMNS = {
    "id": "uuid",
    "created_at": "timestamptz",
    "source": "text",
    "correlation": "uuid",
    "data": "jsonb",
    "domain": "text",
    "salt": "bytea",
    "is_test": "boolean",
    "status": "text",
    "owner": "text",
    "connection": "text",
    "pool": "text",
    "reason": "text",
    "assign_seq": "integer",
    "assigned_at": "timestamptz",
    "held_until": "timestamptz",
    "wake_at": "timestamptz",
    "event_at": "timestamptz",
    "received_at": "timestamptz",
}
_SUBMISSION = {"delivery_id": "uuid", "position": "smallint", "lead_id": "uuid", "relation": "text"}


class NewLead(NamedTuple):
    """A lead with its first assignment, about to be stored. `event_at` is when the customer spoke."""

    id: UUID
    created_at: datetime
    source: str
    correlation: UUID
    data: Mapping[str, Any]
    domain: str
    salt: bytes
    is_test: bool
    status: str
    owner: str | None
    connection: str | None
    pool: str | None
    reason: str
    assigned_at: datetime | None
    held_until: datetime | None
    wake_at: datetime | None = None
    event_at: datetime | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A stored lead. `data` is the normalised lead as plain values."""

    id: UUID
    created_at: datetime
    source: str
    correlation: UUID
    data: dict[str, Any]
    salt: bytes
    is_test: bool
    status: str
    owner: str | None
    connection: str | None
    pool: str | None
    reason: str
    assign_seq: int
    assigned_at: datetime | None
    held_until: datetime | None


_ROW = (
    "id, created_at, source, correlation, data, salt, is_test, status, owner, connection, pool, reason, "
    "assign_seq, assigned_at, held_until"
)


def insert(tx: Transaction, leads: Sequence[NewLead]) -> None:
    """Store new leads."""
    tx.copy(
        "lead",
        _COLUMNS,
        [
            (
                lead.id,
                lead.created_at,
                lead.source,
                lead.correlation,
                Jsonb(lead.data),
                lead.domain,
                lead.salt,
                lead.is_test,
                lead.status,
                lead.owner,
                lead.connection,
                lead.pool,
                lead.reason,
                1,
                lead.assigned_at,
                lead.held_until,
                lead.wake_at,
                lead.event_at,
                lead.received_at,
            )
            for lead in leads
        ],
    )


def insert_submissions(tx: Transaction, rows: Sequence[tuple[UUID, int, UUID, str]]) -> None:
    """Store (delivery, position, lead, relation) links."""
    tx.copy("submission", _SUBMISSION, list(rows))


# The sort keeps two workers with the same people from waiting for one another in a circle.
_CLAIM_KEYS = """
WITH n AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (k text, v text, l uuid) ORDER BY k, v)
INSERT INTO person_key (kind, value, lead_id) SELECT k, v, l FROM n ON CONFLICT DO NOTHING
"""

_TAKEN_KEYS = """
SELECT kind, value, lead_id FROM person_key
JOIN jsonb_to_recordset(%s::jsonb) AS n (k text, v text, l uuid) ON kind = k AND value = v AND lead_id <> l
"""

_MOVE_KEYS = """
UPDATE person_key SET lead_id = n.l
FROM jsonb_to_recordset(%s::jsonb) AS n (k text, v text, l uuid) WHERE kind = n.k AND value = n.v
"""


def claim_keys(tx: Transaction, keys: Mapping[tuple[str, str], UUID]) -> dict[tuple[str, str], UUID]:
    """Claim person keys (kind, value) for leads; return those that belong to another lead, with that lead.

    Two workers with the same person wait for one another here, and the second reads the first one's lead.
    """
    if not keys:
        return {}
    ordered = [{"k": kind, "v": value, "l": lead} for (kind, value), lead in sorted(keys.items(), key=_by_key)]
    if tx.run_rows(_CLAIM_KEYS, ordered) == len(ordered):
        return {}
    return {(kind, value): lead for kind, value, lead in tx.all_rows(_TAKEN_KEYS, ordered)}


def move_keys(tx: Transaction, moves: Mapping[tuple[str, str], UUID]) -> None:
    """Point person keys to another lead, when a new lead takes over from a closed one."""
    if moves:
        ordered = sorted(moves.items(), key=_by_key)
        tx.run_rows(_MOVE_KEYS, [{"k": kind, "v": value, "l": lead} for (kind, value), lead in ordered])


def _by_key(item: tuple[tuple[str, str], UUID]) -> tuple[str, str]:
    return item[0]


def by_ids(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, LeadRow]:
    """Return stored leads."""
    if not ids:
        return {}
    return {row[0]: _row(row) for row in tx.all(f"SELECT {_ROW} FROM lead WHERE id = ANY(%s)", list(ids))}  # noqa: S608


def companies(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, tuple[str, dict[str, str]]]:
    """Return the company domain and the custom fields of stored leads."""
    rows = tx.all("SELECT id, domain, coalesce(data -> 'custom', '{}') FROM lead WHERE id = ANY(%s)", list(ids))
    return {lead: (domain, custom) for lead, domain, custom in rows}


def by_domains(tx: Transaction, domains: Sequence[str]) -> list[LeadRow]:
    """Return the newest leads of each company domain, at most three a domain."""
    if not domains:
        return []
    rows = tx.all(
        f"SELECT l.* FROM unnest(%s::text[]) AS n (d), LATERAL ("  # noqa: S608 (constants only)
        f"SELECT {_ROW} FROM lead WHERE domain = n.d AND domain <> '' ORDER BY created_at DESC LIMIT 3) l",
        list(domains),
    )
    return [_row(row) for row in rows]


def lock(tx: Transaction, lead: UUID) -> LeadRow | None:
    """Lock and return a lead."""
    row = tx.one(f"SELECT {_ROW} FROM lead WHERE id = %s FOR UPDATE", lead)  # noqa: S608 (constants only)
    return _row(row) if row else None


#: Where a look through the waiting leads has come to.
Place = tuple[datetime, UUID]


def held(tx: Transaction, pools: Sequence[str], now: datetime, limit: int, after: Place | None = None) -> list[LeadRow]:
    """Lock waiting leads, oldest first: of pools with room, and those that waited long enough."""
    since = after or (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    rows = tx.all(
        f"SELECT {_ROW} FROM lead WHERE status = 'held' AND (pool = ANY(%s) OR held_until <= %s) "  # noqa: S608
        "AND (created_at, id) > (%s, %s) ORDER BY created_at, id LIMIT %s FOR UPDATE SKIP LOCKED",
        list(pools),
        now,
        *since,
        limit,
    )
    return [_row(row) for row in rows]


def next_wake(tx: Transaction, since: datetime) -> datetime | None:
    """Return when a waiting lead is next worth a look: somebody's shift begins, a leave ends, a cap has room."""
    row = tx.one("SELECT min(wake_at) FROM lead WHERE status = 'held' AND wake_at > %s", since)
    return row[0] if row else None


def wait_on(tx: Transaction, lead: UUID, wake_at: datetime | None) -> None:
    """Note when a waiting lead is next worth a look."""
    tx.run("UPDATE lead SET wake_at = %s WHERE id = %s AND wake_at IS DISTINCT FROM %s", wake_at, lead, wake_at)


def foresee(tx: Transaction, pool: str, wake_at: datetime | None, now: datetime) -> None:
    """Note when a pool without room is next worth a look, on those of its leads that would wake later or never.

    What has come due was looked at in vain.
    """
    tx.run(
        "UPDATE lead SET wake_at = %s WHERE status = 'held' AND pool = %s AND wake_at IS DISTINCT FROM %s "
        "AND (wake_at IS NULL OR wake_at > %s OR wake_at <= %s)",
        wake_at,
        pool,
        wake_at,
        wake_at,
        now,
    )


def held_pools(tx: Transaction) -> list[str]:
    """Return the pools that leads are waiting for."""
    # A loose index scan: the queue may be long, the pools are few.
    rows = tx.all(
        "WITH RECURSIVE p (pool) AS (SELECT min(pool) FROM lead WHERE status = 'held' UNION ALL "
        "SELECT (SELECT min(pool) FROM lead WHERE status = 'held' AND pool > p.pool) FROM p WHERE p.pool IS NOT NULL) "
        "SELECT pool FROM p WHERE pool IS NOT NULL"
    )
    return [row[0] for row in rows]


def assign(
    tx: Transaction,
    lead: LeadRow,
    *,
    owner: str,
    connection: str,
    pool: str | None,
    reason: str,
    now: datetime,
) -> bool:
    """Give a lead a (new) owner if nobody decided it meanwhile; return whether it took effect."""
    changed = tx.run(
        "UPDATE lead SET status = 'assigned', owner = %s, connection = %s, pool = coalesce(%s, pool), reason = %s, "
        "assign_seq = assign_seq + 1, assigned_at = %s, held_until = NULL "
        "WHERE id = %s AND assign_seq = %s AND status <> 'closed'",
        owner,
        connection,
        pool,
        reason,
        now,
        lead.id,
        lead.assign_seq,
    )
    return changed == 1


def change_owner(tx: Transaction, lead: UUID, owner: str, at: datetime) -> str | None:
    """Record that a person moved the lead in the CRM; return the owner before, None when nothing changed.

    `at` is the CRM's time of the move: one that was overtaken by a later one changes nothing.
    """
    row = tx.one(
        "UPDATE lead SET owner = %s, reason = 'owner changed in the CRM', moved_at = %s FROM lead AS old "
        "WHERE lead.id = old.id AND lead.id = %s AND lead.status = 'assigned' AND lead.owner <> %s "
        "AND (lead.moved_at IS NULL OR lead.moved_at < %s) RETURNING old.owner",
        owner,
        at,
        lead,
        owner,
        at,
    )
    return row[0] if row else None


def close(tx: Transaction, lead: UUID, now: datetime) -> str | None:
    """Close an open lead once; return the owner whose capacity is free again, None when it was closed before."""
    row = tx.one(
        "UPDATE lead SET status = 'closed', closed_at = %s WHERE id = %s AND status = 'assigned' RETURNING owner",
        now,
        lead,
    )
    return row[0] if row else None


def update_data(tx: Transaction, lead: UUID, data: Mapping[str, Any]) -> None:
    """Replace what is known of a lead."""
    tx.run("UPDATE lead SET data = %s WHERE id = %s", Jsonb(data), lead)


def _row(row: tuple[Any, ...]) -> LeadRow:
    values = list(row)
    values[5] = bytes(values[5])
    return LeadRow(*values)


def listing(tx: Transaction, *, status: str | None, owner: str | None, limit: int) -> list[LeadRow]:
    """Return leads, newest first."""
    rows = tx.all(
        f"SELECT {_ROW} FROM lead WHERE (%s::text IS NULL OR status = %s) AND (%s::text IS NULL OR owner = %s) "  # noqa: S608
        "ORDER BY id DESC LIMIT %s",
        status,
        status,
        owner,
        owner,
        limit,
    )
    return [_row(row) for row in rows]
