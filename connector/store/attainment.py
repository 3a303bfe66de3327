"""The credit ledger and what was written back from it."""

from collections.abc import Sequence
from typing import Any

from connector.model.goals import Attainment, Credit, CreditState
from connector.store.database import Transaction

_CREDIT = (
    "id, connection, deal, person, state, amount, currency, base, base_currency, rate, effective_on, recorded_at, "
    "corrects"
)


def head(tx: Transaction, connection: str, deal: str) -> Credit | None:
    """Return the ledger's last word on a deal; the caller holds the sale's lock."""
    row = tx.one(
        f"SELECT {_CREDIT} FROM credit c WHERE connection = %s AND deal = %s "  # noqa: S608 (constants only)
        "AND NOT EXISTS (SELECT FROM credit n WHERE n.corrects = c.id)",
        connection,
        deal,
    )
    return _credit(row) if row else None


def record(tx: Transaction, credit: Credit) -> None:
    """Append a row to the ledger and note that the person's attainment changes."""
    tx.run(
        f"INSERT INTO credit ({_CREDIT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",  # noqa: S608
        credit.id,
        credit.connection,
        credit.deal,
        credit.person,
        str(credit.state),
        credit.amount,
        credit.currency,
        credit.base,
        credit.base_currency,
        credit.rate,
        credit.effective_on,
        credit.recorded_at,
        credit.corrects,
    )
    tx.run("INSERT INTO attainment_due (person) VALUES (%s)", credit.person)


def people_due(tx: Transaction, limit: int) -> list[str]:
    """Return people whose credits changed since their attainment was worked out."""
    rows = tx.all("SELECT person FROM attainment_due GROUP BY person ORDER BY min(id) LIMIT %s", limit)
    return [row[0] for row in rows]


def take_due(tx: Transaction, person: str) -> bool:
    """Become the only one to work out a person's attainment; False if somebody else is at it."""
    row = tx.one("SELECT pg_try_advisory_xact_lock(hashtext('attainment'), hashtext(%s))", person)
    if row is None or not row[0]:
        return False
    tx.run("DELETE FROM attainment_due WHERE person = %s", person)
    return True


def of_person(tx: Transaction, person: str) -> list[Credit]:
    """Return every row of a person's ledger."""
    rows = tx.all(f"SELECT {_CREDIT} FROM credit WHERE person = %s ORDER BY id", person)  # noqa: S608
    return [_credit(row) for row in rows]


def remember(tx: Transaction, measured: Attainment) -> bool:
    """Keep an attainment that differs from the person's last one; False if nothing changed (G20)."""
    goal = measured.goal
    values = (
        measured.person,
        goal.metric,
        goal.start,
        goal.end,
        measured.numerator,
        goal.amount,
        measured.provisional,
        goal.currency,
    )
    if _last(tx, measured.person) == values:
        return False
    tx.run(
        "INSERT INTO attainment_snapshot (person, metric, period_start, period_end, numerator, denominator, "
        "provisional, currency, as_of) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        *values,
        measured.as_of,
    )
    return True


def snapshots(tx: Transaction, person: str) -> Sequence[tuple[Any, ...]]:
    """Return (numerator, denominator, provisional, as of) of everything written back, oldest first."""
    return tx.all(
        "SELECT numerator, denominator, provisional, as_of FROM attainment_snapshot WHERE person = %s ORDER BY id",
        person,
    )


def _last(tx: Transaction, person: str) -> tuple[Any, ...] | None:
    return tx.one(
        "SELECT person, metric, period_start, period_end, numerator, denominator, provisional, currency "
        "FROM attainment_snapshot WHERE person = %s ORDER BY id DESC LIMIT 1",
        person,
    )


def _credit(row: tuple[Any, ...]) -> Credit:
    before, state, after = row[:4], CreditState(row[4]), row[5:]
    return Credit(*(*before, state, *after))
