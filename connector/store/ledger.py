"""The one ledger: balances, open leads and the number of decisions, behind one row lock."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from connector.store.database import Transaction


def lock(tx: Transaction) -> int:
    """Wait for the ledger; return how many decisions have been taken so far.

    Everyone who changes balances or open leads holds this lock (architecture, section 5).
    """
    row = tx.one("SELECT decisions FROM ledger FOR UPDATE")
    assert row is not None
    tx.renew()
    return int(row[0])


def decisions(tx: Transaction) -> int:
    """Return how many decisions have been taken so far, without waiting for anybody."""
    row = tx.one("SELECT decisions FROM ledger")
    assert row is not None
    return int(row[0])


#: Balance, last turn, open leads, grant and its end of one person.
Entry = tuple[int, int, int, int, datetime | None]
#: Person, lead and tags of an assignment.
Assigned = tuple[str, str, tuple[str, ...]]


def entries(tx: Transaction) -> dict[str, Entry]:
    """Return the row of everyone in the ledger."""
    rows = tx.all("SELECT person, balance, last_seq, open_leads, grant_units, grant_until FROM ledger_entry")
    return {row[0]: row[1:] for row in rows}


_BOOK = """
SELECT c.now, e.person, e.balance, e.last_seq, e.open_leads, e.grant_units, e.grant_until, e.overdue, e.born
FROM (SELECT hearback_now() AS now) c LEFT JOIN (
    SELECT person, coalesce(balance, 0) AS balance, coalesce(last_seq, 0) AS last_seq,
        coalesce(open_leads, 0) AS open_leads, coalesce(grant_units, 0) AS grant_units, grant_until,
        coalesce(overdue, 0) AS overdue, coalesce(born, 0) AS born
    FROM ledger_entry FULL JOIN (
        SELECT person, count(*) AS overdue FROM accountability_item WHERE cleared_at IS NULL GROUP BY person
    ) o USING (person) FULL JOIN (
        SELECT person, sum(leads)::integer AS born FROM crm_open_lead WHERE leads > 0 GROUP BY person
    ) b USING (person)) e ON true
"""


class BookRow(NamedTuple):
    """Somebody's row, how many overdue mandatory steps they let go (F13), and their open leads born in a CRM."""

    entry: Entry
    overdue: int
    born: int


def book(tx: Transaction) -> dict[str, BookRow]:
    """Return what the book is made of for everyone; reads the clock anew. The caller holds the lock."""
    rows = tx.all(_BOOK)
    tx.renew(rows[0][0])
    return {row[1]: BookRow(row[2:7], row[7], row[8]) for row in rows if row[1] is not None}


_TAKEN = """
SELECT n.p, round(extract(epoch FROM a.at) * 1000000)::bigint, a.tags
FROM jsonb_to_recordset(%s::jsonb) AS n (p text, s bigint, u boolean), LATERAL (
    SELECT at, tags FROM assignment
    WHERE person = n.p AND at > %s - make_interval(secs => n.s) AND (n.u OR tags <> '{}') ORDER BY at) a
"""


def taken(
    tx: Transaction, people: Mapping[str, tuple[int, bool]], now: datetime
) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    """Return what people were given lately, oldest first: microseconds since 1970 UTC, and tags.

    `people` says how far back, in seconds, and whether assignments without tags matter.
    """
    found: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    wanted = [{"p": person, "s": seconds, "u": untagged} for person, (seconds, untagged) in people.items()]
    for person, at, tags in tx.all_rows(_TAKEN, wanted, now) if wanted else ():
        found.setdefault(person, []).append((at, tuple(tags)))
    return found


def taken_before(
    tx: Transaction, people: Mapping[str, int], at: datetime
) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    """Return what people were given before an instant, as `taken` does; `people` says how far back, in seconds."""
    found: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for person, seconds in people.items():
        rows = tx.all(
            "SELECT round(extract(epoch FROM at) * 1000000)::bigint, tags FROM assignment "
            "WHERE person = %s AND at > %s - make_interval(secs => %s) AND at < %s ORDER BY at",
            person,
            at,
            seconds,
            at,
        )
        if rows:
            found[person] = [(when, tuple(tags)) for when, tags in rows]
    return found


def move_assignment(tx: Transaction, lead: UUID, to: str, now: datetime) -> None:
    """Count a lead that a person moved to the rolling caps of its new owner."""
    tx.run(
        "UPDATE assignment SET person = %s, at = %s WHERE ctid = "
        "(SELECT ctid FROM assignment WHERE lead_id = %s ORDER BY at DESC LIMIT 1)",
        to,
        now,
        lead,
    )


def drop_assignment(tx: Transaction, lead: UUID) -> None:
    """Let an assignment that was given back count to no rolling cap."""
    tx.run(
        "DELETE FROM assignment WHERE ctid = (SELECT ctid FROM assignment WHERE lead_id = %s ORDER BY at DESC LIMIT 1)",
        lead,
    )


_WRITE = """
WITH e AS (
    INSERT INTO ledger_entry (person, balance, last_seq, open_leads, grant_units, grant_until)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[], %s::timestamptz[])
    ON CONFLICT (person) DO UPDATE SET balance = excluded.balance, last_seq = excluded.last_seq,
        open_leads = excluded.open_leads, grant_units = excluded.grant_units, grant_until = excluded.grant_until),
a AS (
    INSERT INTO assignment (person, at, lead_id, tags)
    SELECT p, %s, l, t FROM jsonb_to_recordset(%s::jsonb) AS n (p text, l uuid, t text[]))
UPDATE ledger SET decisions = %s
"""


def write(tx: Transaction, entries: Mapping[str, Entry], decisions: int, assigned: Sequence[Assigned] = ()) -> None:
    """Write changed rows, assignments for the rolling caps and the decision counter; the caller holds the lock."""
    columns = list(map(list, zip(*entries.values(), strict=True))) or [[]] * 5
    given = [{"p": person, "l": lead, "t": tags} for person, lead, tags in assigned]
    tx.run(_WRITE, list(entries), *columns, tx.now(), orjson.dumps(given).decode(), decisions)


def shift_open(tx: Transaction, person: str, by: int) -> None:
    """Add to (or take from) a person's open leads; the caller holds the lock."""
    tx.run(
        "INSERT INTO ledger_entry (person, open_leads) VALUES (%s, greatest(%s, 0)) "
        "ON CONFLICT (person) DO UPDATE SET open_leads = ledger_entry.open_leads + %s",
        person,
        by,
        by,
    )


_CORRECTION = {
    "at": "timestamptz",
    "decisions": "bigint",
    "lead_id": "uuid",
    "assign_seq": "integer",
    "person": "text",
    "amount": "bigint",
    "reason": "text",
}


def correct(tx: Transaction, lead: UUID, assign_seq: int, amounts: Mapping[str, int], reason: str) -> None:
    """Put down corrections, which sum to zero, beside the postings of decisions; the caller holds the lock.

    The balances themselves are the caller's: see `shift_balance`.
    """
    tx.copy(
        "ledger_posting",
        _CORRECTION,
        [(tx.now(), decisions(tx), lead, assign_seq, person, amount, reason) for person, amount in amounts.items()],
    )


def corrections(tx: Transaction, lead: UUID, assign_seq: int) -> list[tuple[str, int, str]]:
    """Return person, amount and reason of an assignment's corrections, in order."""
    rows = tx.all(
        "SELECT person, amount, reason FROM ledger_posting WHERE lead_id = %s AND assign_seq = %s ORDER BY id",
        lead,
        assign_seq,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def shift_balance(tx: Transaction, person: str, amount: int) -> None:
    """Add to a person's balance; the caller holds the lock."""
    tx.run(
        "INSERT INTO ledger_entry (person, balance) VALUES (%s, %s) "
        "ON CONFLICT (person) DO UPDATE SET balance = ledger_entry.balance + excluded.balance",
        person,
        amount,
    )


def recount(tx: Transaction) -> dict[str, tuple[int, int]]:
    """Return people whose counted open leads differ from their leads: person -> (counted, actual)."""
    rows = tx.all(
        "SELECT coalesce(e.person, l.owner), coalesce(e.open_leads, 0), coalesce(l.n, 0) FROM ledger_entry e "
        "FULL JOIN (SELECT owner, count(*)::integer AS n FROM lead WHERE status = 'assigned' GROUP BY owner) l "
        "ON l.owner = e.person WHERE coalesce(e.open_leads, 0) <> coalesce(l.n, 0)"
    )
    return {row[0]: (row[1], row[2]) for row in rows}
