"""Open leads that still are as we assigned them: nobody moved, accepted or answered them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from connector.store import leads
from connector.store.database import Transaction
from connector.store.leads import LeadRow

_UNTOUCHED = (
    "l.status = 'assigned' AND l.reason <> 'owner changed in the CRM' AND NOT EXISTS "
    "(SELECT FROM response r WHERE r.lead_id = l.id AND (r.pinned OR r.state <> 'offered'))"
)
_LAST = "JOIN decision d ON d.lead_id = l.id AND d.assign_seq = l.assign_seq"


@dataclass(frozen=True, slots=True)
class Decided:
    """An open lead with the record of its last decision, and the rule set that one was taken by."""

    lead: LeadRow
    rule_set: str
    record: str


def by_other_rules(tx: Transaction, rule_set: str) -> list[UUID]:
    """Return the open leads whose last decision was taken by another rule set, in order of their ids."""
    rows = tx.all(f"SELECT l.id FROM lead l {_LAST} WHERE {_UNTOUCHED} AND d.rule_set <> %s ORDER BY l.id", rule_set)  # noqa: S608 (constants only)
    return [row[0] for row in rows]


def with_decisions(tx: Transaction, ids: Sequence[UUID]) -> list[Decided]:
    """Return those of these leads that are open and as we assigned them, in order of their ids."""
    query = f"SELECT l.id, d.rule_set, d.record FROM lead l {_LAST} WHERE {_UNTOUCHED} AND l.id = ANY(%s) ORDER BY l.id"  # noqa: S608 (constants only)
    found = tx.all(query, list(ids))
    rows = leads.by_ids(tx, [lead for lead, _, _ in found])
    return [Decided(rows[lead], rule_set, record) for lead, rule_set, record in found]


def locked(tx: Transaction, ids: Sequence[UUID]) -> list[Decided]:
    """Lock and return what `with_decisions` returns; the caller holds the ledger."""
    tx.all("SELECT id FROM lead WHERE id = ANY(%s) ORDER BY id FOR UPDATE", list(ids))
    return with_decisions(tx, ids)


def keep(tx: Transaction, lead: LeadRow, pool: str | None) -> None:
    """Note that a lead was decided anew and stays with its owner, who has had it since it was assigned."""
    tx.run(
        "UPDATE lead SET assign_seq = assign_seq + 1, pool = coalesce(%s, pool) WHERE id = %s AND assign_seq = %s",
        pool,
        lead.id,
        lead.assign_seq,
    )
