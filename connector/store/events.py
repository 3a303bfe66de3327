"""Canonical events, append-only; the mining log of later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Event:
    """A fact. `source` is the connection it came from, `source_id` unique there for this type."""

    type: str
    source: str
    source_id: str
    object_type: str
    record_id: str
    occurred_at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


def put(tx: Transaction, event: Event) -> bool:
    """Store an event once; return False when it was known."""
    return (
        tx.run(
            "INSERT INTO event (type, source, source_id, object_type, record_id, occurred_at, attributes) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            event.type,
            event.source,
            event.source_id,
            event.object_type,
            event.record_id,
            event.occurred_at,
            Jsonb(dict(event.attributes)),
        )
        == 1
    )


_PUT_MANY = """
INSERT INTO event (type, source, source_id, object_type, record_id, occurred_at, attributes)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (type text, source text, source_id text, object_type text,
    record_id text, occurred_at timestamptz, attributes jsonb)
ON CONFLICT DO NOTHING
"""


def put_many(tx: Transaction, events: Sequence[Event]) -> int:
    """Store events once each; return how many were new."""
    return tx.run_rows(_PUT_MANY, events) if events else 0


def of_record(tx: Transaction, source: str, object_type: str, record_id: str) -> list[Event]:
    """Return everything that happened to a record, in order."""
    rows = tx.all(
        "SELECT type, source, source_id, object_type, record_id, occurred_at, attributes FROM event "
        "WHERE source = %s AND object_type = %s AND record_id = %s ORDER BY occurred_at, id",
        source,
        object_type,
        record_id,
    )
    return [Event(*row) for row in rows]
