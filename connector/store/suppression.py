"""Who a delivery speaks of, and who must not come back, as keyed hashes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction

#: Any constant: whoever takes people in shares this lock, whoever begins to erase one holds it alone for a moment.
_LOCK = 7203517240612
SHARED = f"pg_advisory_xact_lock_shared({_LOCK})"


class Mark(NamedTuple):
    """A hash by which one lead of a delivery may be known; `noted` ones are also found again by it."""

    mark: bytes
    delivery: UUID
    position: int
    noted: bool


class Hit(NamedTuple):
    """A mark that is suppressed. A `person` is for what was said up to `erased_at`, the rest up to `until`."""

    delivery: UUID
    position: int
    kind: str
    erased_at: datetime
    until: datetime | None


class Suppressed(NamedTuple):
    """A mark that is not to come back."""

    mark: bytes
    kind: str
    until: datetime | None = None


_ASK = """
WITH n AS (SELECT decode(m, 'hex') AS m, d, p, k FROM jsonb_to_recordset(%s::jsonb)
           AS n (m text, d uuid, p smallint, k boolean)),
noted AS (INSERT INTO delivery_mark (mark, delivery_id, position) SELECT m, d, p FROM n WHERE k
          ORDER BY m, d, p ON CONFLICT DO NOTHING)
SELECT n.d, n.p, s.kind, s.erased_at, s.until FROM n JOIN suppression s ON s.mark = n.m
"""

_SUPPRESS = """
INSERT INTO suppression (mark, kind, erased_at, until)
SELECT decode(m, 'hex'), k, hearback_now(), u FROM jsonb_to_recordset(%s::jsonb) AS n (m text, k text, u timestamptz)
ORDER BY m
ON CONFLICT (mark) DO UPDATE SET erased_at = excluded.erased_at, until = excluded.until
"""


def share(tx: Transaction) -> None:
    """Take people in: an erasure that begins waits for this transaction, and this one sees it if it began before."""
    tx.run(f"SELECT {SHARED}")


def hold(tx: Transaction) -> None:
    """Wait until nobody takes people in; who does from now on sees what this transaction suppresses."""
    tx.run("SELECT pg_advisory_xact_lock(%s)", _LOCK)


def note(tx: Transaction, marks: Sequence[Mark]) -> list[Hit]:
    """Note who deliveries speak of; return which of it is suppressed."""
    rows = [{"m": each.mark.hex(), "d": each.delivery, "p": each.position, "k": each.noted} for each in marks]
    return [Hit(*row) for row in tx.all_rows(_ASK, rows)] if rows else []


def suppress(tx: Transaction, marks: Iterable[Suppressed]) -> None:
    """Keep these from coming back from now on."""
    rows = [{"m": each.mark.hex(), "k": each.kind, "u": each.until} for each in {m.mark: m for m in marks}.values()]
    if rows:
        tx.run_rows(_SUPPRESS, rows)


def suppress_submissions(tx: Transaction, marks: Iterable[bytes]) -> None:
    """Keep submissions from coming back for ever."""
    suppress(tx, [Suppressed(mark, "submission") for mark in marks])


def entries(tx: Transaction, marks: Sequence[bytes]) -> dict[bytes, datetime]:
    """Return which of these marks are suppressed, with the erasure's instant."""
    if not marks:
        return {}
    rows = tx.all("SELECT mark, erased_at FROM suppression WHERE mark = ANY(%s)", list(marks))
    return {bytes(mark): erased_at for mark, erased_at in rows}


def drop_past(tx: Transaction) -> None:
    """Forget what no sender can still be repeating."""
    tx.run("DELETE FROM suppression WHERE until < hearback_now()")
