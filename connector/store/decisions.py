"""Decision records, append-only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from connector.store.database import Transaction


class DecisionRow(NamedTuple):
    """A decision as stored; `record` is canonical JSON, `digest` its SHA-256."""

    seq: int
    lead_id: UUID
    assign_seq: int
    decided_at: datetime
    rule_set: str
    outcome: str
    owner: str | None
    record: bytes
    digest: bytes


_COLUMNS = {
    "seq": "bigint",
    "lead_id": "uuid",
    "assign_seq": "integer",
    "decided_at": "timestamptz",
    "rule_set": "text",
    "outcome": "text",
    "owner": "text",
    "record": "text",
    "digest": "bytea",
}


def insert(tx: Transaction, rows: Sequence[DecisionRow]) -> None:
    """Store decisions."""
    tx.copy(
        "decision",
        _COLUMNS,
        [
            (
                r.seq,
                r.lead_id,
                r.assign_seq,
                r.decided_at,
                r.rule_set,
                r.outcome,
                r.owner,
                r.record.decode(),
                r.digest,
            )
            for r in rows
        ],
    )


def of_lead(tx: Transaction, lead: UUID) -> list[DecisionRow]:
    """Return all decisions on a lead, first to last."""
    return _rows(tx, "WHERE lead_id = %s ORDER BY assign_seq", lead)


def owners_of_lead(tx: Transaction, lead: UUID) -> list[tuple[int, str]]:
    """Return the number of each assignment of a lead with the owner it was given, first to last."""
    return tx.all(
        "SELECT assign_seq, owner FROM decision WHERE lead_id = %s AND owner IS NOT NULL ORDER BY assign_seq", lead
    )


def since(tx: Transaction, seq: int, limit: int) -> list[DecisionRow]:
    """Return decisions after a sequence number, in order."""
    return _rows(tx, "WHERE seq > %s ORDER BY seq LIMIT %s", seq, limit)


def between(tx: Transaction, first: int, last: int) -> list[DecisionRow]:
    """Return the decisions with these numbers, both ends included, in order."""
    return _rows(tx, "WHERE seq BETWEEN %s AND %s ORDER BY seq", first, last)


def erased(tx: Transaction, first: int, last: int) -> int:
    """Return how many of the decisions with these numbers are about leads that were erased."""
    row = tx.one(
        "SELECT count(*) FROM lead l JOIN decision d ON d.lead_id = l.id "
        "WHERE l.erased_at IS NOT NULL AND d.seq BETWEEN %s AND %s",
        first,
        last,
    )
    return int(row[0]) if row else 0


def records(tx: Transaction, first: int, last: int) -> list[str]:
    """Return the records of the decisions with these numbers, both ends included, in order."""
    return [
        row[0] for row in tx.all("SELECT record FROM decision WHERE seq BETWEEN %s AND %s ORDER BY seq", first, last)
    ]


def first_showing(tx: Transaction, person: str, first: int, last: int) -> str | None:
    """Return the first record with one of these numbers that shows a person's standing, None for none."""
    row = tx.one(
        "SELECT record FROM decision WHERE seq BETWEEN %s AND %s AND strpos(record, %s) > 0 ORDER BY seq LIMIT 1",
        first,
        last,
        f'"{person}":[',
    )
    return row[0] if row else None


def first_since(tx: Transaction, at: datetime, last: int) -> int:
    """Return the number of the first decision taken at an instant or after it, up to `last`; `last` + 1 for none.

    Decisions are in the order of their times, so a few looks by number do without an index of times.
    """
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        row = tx.one("SELECT decided_at FROM decision WHERE seq >= %s ORDER BY seq LIMIT 1", middle)
        if row is not None and row[0] < at:
            low = middle + 1
        else:
            high = middle
    return low


def digests(tx: Transaction, seq: int, limit: int) -> list[tuple[int, bytes]]:
    """Return number and digest of decisions after a sequence number, in order."""
    rows = tx.all("SELECT seq, digest FROM decision WHERE seq > %s ORDER BY seq LIMIT %s", seq, limit)
    return [(number, bytes(digest)) for number, digest in rows]


def leads_by_code(tx: Transaction, country: str, since: datetime) -> list[tuple[str, str, int]]:
    """Return how many leads of a country came from each postal code by each rule; the last rule of a lead counts.

    `country` is an ISO code in capitals. Leads that no rule decided, because somebody knew them, are left out.
    """
    # Decisions are in the order of their times: looking back for the last older one costs no more than the window.
    return tx.all(
        "SELECT postal, rule, count(*) FROM ("
        "SELECT DISTINCT ON (lead_id) written.case #>> '{facets,postal_code}' AS postal, written.rule "
        'FROM decision CROSS JOIN LATERAL jsonb_to_record(record::jsonb) AS written("case" jsonb, rule text) '
        "WHERE seq > coalesce((SELECT seq FROM decision WHERE decided_at < %s ORDER BY seq DESC LIMIT 1), 0) "
        "AND written.rule IS NOT NULL AND upper(written.case #>> '{facets,country}') = %s "
        "ORDER BY lead_id, assign_seq DESC) last WHERE postal IS NOT NULL GROUP BY postal, rule ORDER BY postal, rule",
        since,
        country,
    )


def _rows(tx: Transaction, where: str, *parameters: object) -> list[DecisionRow]:
    rows = tx.all(
        "SELECT seq, lead_id, assign_seq, decided_at, rule_set, outcome, owner, record, digest FROM decision " + where,  # noqa: S608 (constants only)
        *parameters,
    )
    return [_decision(*row) for row in rows]


def _decision(*values: Any) -> DecisionRow:
    *facts, record, digest = values
    row = (*facts, record.encode(), bytes(digest))
    return DecisionRow(*row)
