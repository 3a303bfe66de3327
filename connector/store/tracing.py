"""What is held of somebody: leads, deliveries and CRM records, found by e-mail, number and keyed hashes."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction
from connector.store.erasure import Found, Ref


class Known(NamedTuple):
    """Leads and deliveries that hold one of some marks."""

    leads: frozenset[UUID]
    deliveries: frozenset[UUID]


class Fact(NamedTuple):
    """Who a lead is about."""

    lead: UUID
    email: str
    phone: str
    last_name: str


def leads_of(tx: Transaction, emails: Collection[str], phones: Collection[str]) -> list[Fact]:
    """Return the leads, not erased yet, that these e-mails and numbers name."""
    rows = tx.all(
        "SELECT id FROM lead WHERE erased_at IS NULL AND (data ->> 'email' = ANY(%s) OR data ->> 'phone' = ANY(%s)) "
        "UNION SELECT lead_id FROM person_key WHERE kind = 'email' AND value = ANY(%s) "
        "UNION SELECT lead_id FROM person_key WHERE kind = 'phone' AND value = ANY(%s)",
        *[list(values) for values in (emails, phones, emails, phones)],
    )
    return facts(tx, [row[0] for row in rows])


def facts(tx: Transaction, leads: Collection[UUID]) -> list[Fact]:
    """Return who leads are about, those that are erased left out."""
    rows = tx.all(
        "SELECT id, coalesce(data ->> 'email', ''), coalesce(data ->> 'phone', ''), coalesce(data ->> 'last_name', '') "
        "FROM lead WHERE id = ANY(%s) AND erased_at IS NULL ORDER BY id",
        list(leads),
    )
    return [Fact(*row) for row in rows]


def by_marks(tx: Transaction, marks: Sequence[bytes]) -> Known:
    """Return the deliveries that hold one of these marks, and the leads their submissions went to."""
    rows = tx.all(
        "SELECT m.delivery_id, s.lead_id FROM delivery_mark m LEFT JOIN submission s "
        "ON s.delivery_id = m.delivery_id AND s.position = m.position WHERE m.mark = ANY(%s)",
        list(marks),
    )
    return Known(frozenset(row[1] for row in rows if row[1]), frozenset(row[0] for row in rows))


def without_lead(tx: Transaction, deliveries: Collection[UUID]) -> list[UUID]:
    """Return which of these deliveries led to no lead."""
    rows = tx.all(
        "SELECT id FROM delivery d WHERE id = ANY(%s) "
        "AND NOT EXISTS (SELECT FROM submission s WHERE s.delivery_id = d.id)",
        list(deliveries),
    )
    return [row[0] for row in rows]


def unmarked(tx: Transaction, after: UUID, limit: int) -> list[UUID]:
    """Return deliveries with a body of which nobody has noted whom it speaks of, in order of their ids."""
    rows = tx.all(
        "SELECT d.id FROM delivery d WHERE d.id > %s AND d.state <> 'stored' "
        "AND EXISTS (SELECT FROM delivery_body b WHERE b.delivery_id = d.id AND b.received_at = d.received_at) "
        "AND NOT EXISTS (SELECT FROM delivery_mark m WHERE m.delivery_id = d.id) ORDER BY d.id LIMIT %s",
        after,
        limit,
    )
    return [row[0] for row in rows]


def unread(tx: Transaction) -> int:
    """Return how many deliveries wait to be read."""
    row = tx.one("SELECT count(*) FROM delivery WHERE state = 'stored'")
    assert row is not None
    return int(row[0])


def mirrored(tx: Transaction, emails: Collection[str], phones: Collection[str], names: Collection[str]) -> set[Ref]:
    """Return people in the CRMs by e-mail, or by number and last name (in lower case) where there is no e-mail."""
    rows = tx.all(
        "SELECT connection, object_type, record_id FROM mirror_record WHERE object_type IN ('contact', 'lead') "
        "AND (email = ANY(%s) AND email <> '' OR email = '' AND phone = ANY(%s) AND phone <> '' "
        "AND lower(coalesce(fields ->> 'last_name', '')) = ANY(%s))",
        *[list(values) for values in (emails, phones, names)],
    )
    return {(row[0], row[1], row[2]) for row in rows}


def complete(
    tx: Transaction, leads: Collection[UUID], deliveries: Collection[UUID], records: Collection[Ref] = ()
) -> Found:
    """Add what hangs on leads: deliveries with repeats, records in CRMs, what links to those, the cards answered."""
    mine = [fact.lead for fact in facts(tx, leads)]
    sent = [row[0] for row in tx.all("SELECT delivery_id FROM submission WHERE lead_id = ANY(%s)", mine)]
    every = {*deliveries, *sent}
    shared = of_others(tx, every, mine)
    first = list(every - shared)
    every |= {row[0] for row in tx.all("SELECT id FROM delivery WHERE first_delivery = ANY(%s)", first)}
    own = {(c, t, r) for c, _, t, r in written(tx, mine) if r}
    refs = {*records, *own}
    linked = _linking(tx, refs)
    # A task about a person says so in its title.
    refs |= {ref for ref in linked if ref[1] == "task"}
    mailed = frozenset(_mailed(tx, mine, every - shared))
    return Found(
        frozenset(mine), frozenset(every), frozenset(shared), frozenset(refs), frozenset(linked - refs), mailed
    )


def _mailed(tx: Transaction, leads: Collection[UUID], deliveries: Collection[UUID]) -> set[UUID]:
    rows = tx.all(
        "SELECT r.id FROM card_answer a JOIN recipient r ON r.id = a.recipient_id "
        "WHERE a.delivery_id = ANY(%s) AND r.sealed IS NOT NULL "
        "UNION SELECT r.id FROM submission s JOIN card_answer a USING (delivery_id, position) "
        "JOIN recipient r ON r.id = a.recipient_id WHERE s.lead_id = ANY(%s) AND r.sealed IS NOT NULL",
        list(deliveries),
        list(leads),
    )
    return {row[0] for row in rows}


def of_others(tx: Transaction, deliveries: Collection[UUID], leads: Collection[UUID]) -> set[UUID]:
    """Return which of these deliveries led to a lead beside these."""
    rows = tx.all(
        "SELECT DISTINCT delivery_id FROM submission WHERE delivery_id = ANY(%s) AND NOT lead_id = ANY(%s)",
        list(deliveries),
        list(leads),
    )
    return {row[0] for row in rows}


def _linking(tx: Transaction, refs: Iterable[Ref]) -> set[Ref]:
    people = [(c, r) for c, t, r in sorted(refs) if t in ("contact", "lead")]
    if not people:
        return set()
    connections, ids = (list(column) for column in zip(*people, strict=True))
    rows = tx.all(
        "SELECT m.connection, m.object_type, m.record_id FROM mirror_record m "
        "JOIN unnest(%s::text[], %s::text[]) AS n (c, r) ON m.connection = n.c "
        "AND (m.fields ->> 'lead' = n.r OR m.fields ->> 'contact' = n.r)",
        connections,
        ids,
    )
    return {(row[0], row[1], row[2]) for row in rows}


def written(tx: Transaction, leads: Collection[UUID]) -> list[tuple[str, str, str, str | None]]:
    """Return what was, or may have been, written about leads: connection, key, object type, record if known."""
    rows = tx.all(
        "SELECT c.connection, c.key, c.object_type, max(b.record_id) FROM command c "
        "LEFT JOIN binding b ON b.connection = c.connection AND b.key = c.key "
        "WHERE c.lead_id = ANY(%s) AND (c.key = ANY(%s) OR c.after_key = ANY(%s)) "
        "GROUP BY c.connection, c.key, c.object_type "
        "HAVING count(b.record_id) > 0 OR bool_or(c.state = 'done' OR c.attempts > 0 OR c.unknown "
        "OR c.leased_until IS NOT NULL) ORDER BY 1, 2",
        list(leads),
        *[[f"lead:{lead}" for lead in leads]] * 2,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
