"""What the owners of leads were given, one row a lead, and how far they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """A lead's owner and what they were given; `earlier` had it before, `max_moves` None means no limit.

    `pinned`: no automatic run changes the owner. `next_at` None: nothing falls due by itself.
    """

    lead_id: UUID
    assign_seq: int
    owner: str
    earlier: Sequence[str]
    state: str
    verdict: str
    pinned: bool
    moves: int
    max_moves: int | None
    offered_at: datetime
    accept_due: datetime | None
    touch_due: datetime
    reminders: Sequence[datetime]
    reminded: int
    breached_at: datetime | None
    touched_at: datetime | None
    next_at: datetime | None


_COLUMNS = {
    "lead_id": "uuid",
    "assign_seq": "integer",
    "owner": "text",
    "earlier": "text[]",
    "state": "text",
    "verdict": "text",
    "pinned": "boolean",
    "moves": "integer",
    "max_moves": "integer",
    "offered_at": "timestamptz",
    "accept_due": "timestamptz",
    "touch_due": "timestamptz",
    "reminders": "timestamptz[]",
    "reminded": "integer",
    "breached_at": "timestamptz",
    "touched_at": "timestamptz",
    "next_at": "timestamptz",
}
_ROW = ", ".join(_COLUMNS)
_TAKEN_OVER = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "lead_id")


def insert(tx: Transaction, rows: Sequence[ResponseRow]) -> None:
    """Store what new owners of new leads were given."""
    tx.copy("response", _COLUMNS, [_values(row) for row in rows])


def put(tx: Transaction, row: ResponseRow) -> None:
    """Store what an owner was given in the place of what the owner before them was."""
    marks = ", ".join(["%s"] * len(_COLUMNS))
    tx.run(
        f"INSERT INTO response ({_ROW}) VALUES ({marks}) ON CONFLICT (lead_id) DO UPDATE SET {_TAKEN_OVER}",  # noqa: S608 (constants only)
        *_values(row),
    )


def read(tx: Transaction, lead: UUID) -> ResponseRow | None:
    """Return a lead's row as it stands, locking nothing."""
    row = tx.one(f"SELECT {_ROW} FROM response WHERE lead_id = %s", lead)  # noqa: S608 (constants only)
    return ResponseRow(*row) if row else None


def get(tx: Transaction, lead: UUID) -> ResponseRow | None:
    """Lock and return a lead's row; the lead itself is locked first."""
    row = tx.one(f"SELECT {_ROW} FROM response WHERE lead_id = %s FOR UPDATE", lead)  # noqa: S608 (constants only)
    return ResponseRow(*row) if row else None


def due(tx: Transaction, limit: int) -> list[UUID]:
    """Return leads of which something is due, longest due first."""
    rows = tx.all(
        "SELECT lead_id FROM response WHERE next_at <= %s ORDER BY next_at, lead_id LIMIT %s", tx.now(), limit
    )
    return [row[0] for row in rows]


def seconds_to_next(tx: Transaction) -> float | None:
    """Return in how many seconds the next thing falls due; None when nothing will."""
    row = tx.one("SELECT next_at FROM response WHERE next_at > %s ORDER BY next_at LIMIT 1", tx.now())
    return (row[0] - tx.now()).total_seconds() if row else None


def advance(
    tx: Transaction,
    row: ResponseRow,
    state: str,
    before: Collection[str],
    *,
    verdict: str = "",
    touched_at: datetime | None = None,
    next_at: datetime | None = None,
) -> bool:
    """Let the owner of this assignment come further; False when they, or somebody else, were faster (R22)."""
    changed = tx.run(
        "UPDATE response SET state = %s, verdict = %s, touched_at = coalesce(%s, touched_at), next_at = %s "
        "WHERE lead_id = %s AND assign_seq = %s AND owner = %s AND state = ANY(%s)",
        state,
        verdict,
        touched_at,
        next_at,
        row.lead_id,
        row.assign_seq,
        row.owner,
        list(before),
    )
    return changed == 1


def note_reminded(tx: Transaction, lead: UUID, reminded: int, next_at: datetime | None) -> None:
    """Note how many reminders are behind an owner; the row is locked."""
    tx.run("UPDATE response SET reminded = %s, next_at = %s WHERE lead_id = %s", reminded, next_at, lead)


def note_breach(tx: Transaction, lead: UUID) -> None:
    """Note that whoever had to know of a breach knows; the row is locked."""
    tx.run("UPDATE response SET breached_at = %s, next_at = NULL WHERE lead_id = %s", tx.now(), lead)


def take_away(tx: Transaction, row: ResponseRow, before: Collection[str]) -> bool:
    """End this assignment; False when its owner was faster (R22)."""
    changed = tx.run(
        "UPDATE response SET next_at = NULL, earlier = earlier || owner "
        "WHERE lead_id = %s AND assign_seq = %s AND owner = %s AND state = ANY(%s)",
        row.lead_id,
        row.assign_seq,
        row.owner,
        list(before),
    )
    return changed == 1


def close(tx: Transaction, lead: UUID) -> None:
    """Wait for nothing more: the lead is closed."""
    tx.run("UPDATE response SET state = 'closed', next_at = NULL WHERE lead_id = %s", lead)


def _values(row: ResponseRow) -> tuple[Any, ...]:
    return tuple(_plain(getattr(row, name)) for name in _COLUMNS)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
