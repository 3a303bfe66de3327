"""The record of erasures: who asked when, and what went in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from connector.store.database import Transaction
from connector.store.erasure import Found, Ref


@dataclass(slots=True)
class Erasure:
    """An erasure: who asked when, and what went in numbers. `by_hand`: what somebody must do in a CRM."""

    id: UUID
    asked_at: datetime
    asked_by: str
    subject: list[bytes]
    found: Found | None
    counts: dict[str, int] = field(default_factory=dict)
    by_hand: list[str] = field(default_factory=list)
    finished_at: datetime | None = None


# ruff: noqa: S608 (constants only)
_ROW = "id, asked_at, asked_by, subject, found, counts, by_hand, finished_at"


def begin(tx: Transaction, id_: UUID, *, asked_by: str, subject: Sequence[bytes], found: Found | None = None) -> None:
    """Record that somebody is to be erased; with `found` anybody can carry it on."""
    tx.run(
        "INSERT INTO erasure (id, asked_at, asked_by, subject, found) VALUES (%s, hearback_now(), %s, %s, %s)",
        id_,
        asked_by,
        list(subject),
        _document(found),
    )


def unfinished_of(tx: Transaction, subject: Sequence[bytes]) -> Erasure | None:
    """Return the erasure of somebody that was begun and not finished."""
    row = tx.one(f"SELECT {_ROW} FROM erasure WHERE finished_at IS NULL AND subject && %s LIMIT 1", list(subject))
    return _erasure(row) if row else None


def get(tx: Transaction, id_: UUID) -> Erasure:
    """Return an erasure."""
    row = tx.one(f"SELECT {_ROW} FROM erasure WHERE id = %s", id_)
    assert row is not None
    return _erasure(row)


def waiting(tx: Transaction) -> list[Erasure]:
    """Return the erasures that can be carried on, oldest first."""
    rows = tx.all(
        f"SELECT {_ROW} FROM erasure WHERE finished_at IS NULL AND found IS NOT NULL ORDER BY asked_at LIMIT 100"
    )
    return [_erasure(row) for row in rows]


def take(tx: Transaction, id_: UUID) -> bool:
    """Lock an erasure before all that it takes away; return False when somebody else has cleared it meanwhile."""
    return tx.one("SELECT FROM erasure WHERE id = %s AND found IS NOT NULL FOR UPDATE", id_) is not None


def note_found(tx: Transaction, id_: UUID, found: Found) -> None:
    """Remember, as ids, what is to go: whoever carries on need not know the person."""
    tx.run("UPDATE erasure SET found = %s WHERE id = %s", _document(found), id_)


def add(tx: Transaction, id_: UUID, counts: Mapping[str, int], by_hand: Sequence[str] = ()) -> None:
    """Add what went to an erasure's record."""
    before = tx.one("SELECT counts, by_hand FROM erasure WHERE id = %s FOR UPDATE", id_)
    assert before is not None
    summed = {name: before[0].get(name, 0) + counts.get(name, 0) for name in {*before[0], *counts}}
    tx.run(
        "UPDATE erasure SET counts = %s, by_hand = %s WHERE id = %s",
        Jsonb({name: count for name, count in summed.items() if count}),
        Jsonb(sorted({*before[1], *by_hand})),
        id_,
    )


def note_cleared(tx: Transaction, id_: UUID) -> None:
    """Forget what was found: all of it is gone."""
    tx.run("UPDATE erasure SET found = NULL WHERE id = %s", id_)


def finish(tx: Transaction, id_: UUID) -> None:
    """End an erasure; of the person nothing stays in its record."""
    tx.run("UPDATE erasure SET finished_at = hearback_now(), subject = '{}', found = NULL WHERE id = %s", id_)


def _document(found: Found | None) -> Jsonb | None:
    if found is None:
        return None
    return Jsonb({name: sorted(map(_plain, values)) for name, values in asdict(found).items()})


def _plain(value: UUID | Ref) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)


def _erasure(row: tuple[Any, ...]) -> Erasure:
    values = list(row)
    values[3] = [bytes(mark) for mark in row[3]]
    values[4] = _found(row[4]) if row[4] is not None else None
    return Erasure(*values)


def _found(document: dict[str, list[Any]]) -> Found:
    leads, deliveries, shared, recipients = (
        frozenset(map(UUID, document[name])) for name in ("leads", "deliveries", "shared", "recipients")
    )
    records, linked = (frozenset((c, t, r) for c, t, r in document[name]) for name in ("records", "linked"))
    return Found(leads, deliveries, shared, records, linked, recipients)
