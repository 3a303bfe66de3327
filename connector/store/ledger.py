"""The one ledger: balances, open leads and the number of decisions, behind one row lock."""

from collections.abc import Mapping

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


def entries(tx: Transaction) -> dict[str, tuple[int, int, int]]:
    """Return balance, last turn and open leads of everyone in the ledger."""
    rows = tx.all("SELECT person, balance, last_seq, open_leads FROM ledger_entry")
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def write(tx: Transaction, entries: Mapping[str, tuple[int, int, int]], decisions: int) -> None:
    """Write changed rows and the decision counter; the caller holds the lock."""
    if entries:
        tx.run(
            "INSERT INTO ledger_entry (person, balance, last_seq, open_leads) "
            "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::integer[]) "
            "ON CONFLICT (person) DO UPDATE SET balance = excluded.balance, last_seq = excluded.last_seq, "
            "open_leads = excluded.open_leads",
            list(entries),
            [entry[0] for entry in entries.values()],
            [entry[1] for entry in entries.values()],
            [entry[2] for entry in entries.values()],
        )
    tx.run("UPDATE ledger SET decisions = %s", decisions)


def shift_open(tx: Transaction, person: str, by: int) -> None:
    """Add to (or take from) a person's open leads; the caller holds the lock."""
    tx.run(
        "INSERT INTO ledger_entry (person, open_leads) VALUES (%s, greatest(%s, 0)) "
        "ON CONFLICT (person) DO UPDATE SET open_leads = ledger_entry.open_leads + %s",
        person,
        by,
        by,
    )


def recount(tx: Transaction) -> dict[str, tuple[int, int]]:
    """Return people whose counted open leads differ from their leads: person -> (counted, actual)."""
    rows = tx.all(
        "SELECT coalesce(e.person, l.owner), coalesce(e.open_leads, 0), coalesce(l.n, 0) FROM ledger_entry e "
        "FULL JOIN (SELECT owner, count(*)::integer AS n FROM lead WHERE status = 'assigned' GROUP BY owner) l "
        "ON l.owner = e.person WHERE coalesce(e.open_leads, 0) <> coalesce(l.n, 0)"
    )
    return {row[0]: (row[1], row[2]) for row in rows}
