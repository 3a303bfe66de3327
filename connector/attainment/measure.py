"""Attainment: confirmed credit over the effective quota (aftersales 6.4)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from connector.model.goals import Attainment, Credit, CreditState, Goal

_CENT = Decimal("0.01")


def attainment(goal: Goal, rows: Iterable[Credit], as_of: datetime) -> Attainment:
    """Return a person's attainment of a goal as it was known at `as_of`.

    Confirmed credit effective within the goal's days counts, provisional credit is summed apart (G19).
    The effective quota is the goal's whole amount: Attainment = Actual / EffQuota.
    """
    totals = {CreditState.CONFIRMED: Decimal(0), CreditState.PROVISIONAL: Decimal(0)}
    missing: list[str] = []
    for row in sorted(current(rows, as_of), key=lambda row: str(row.id)):
        if row.person != goal.person or row.state not in totals:
            continue
        if not goal.start <= row.effective_on <= goal.end:
            continue
        if row.base is None or row.base_currency != goal.currency:
            missing.append(f"{row.amount} {row.currency}: no rate to {goal.currency}")
            continue
        totals[row.state] += row.base
    return Attainment(
        goal.person,
        goal,
        totals[CreditState.CONFIRMED].quantize(_CENT),
        totals[CreditState.PROVISIONAL].quantize(_CENT),
        as_of,
        tuple(missing),
    )


def current(rows: Iterable[Credit], as_of: datetime) -> list[Credit]:
    """Return the rows in force at `as_of`: recorded by then, and not yet corrected."""
    known = [row for row in rows if row.recorded_at <= as_of]
    corrected = {row.corrects for row in known}
    return [row for row in known if row.id not in corrected]


def percentage(measured: Attainment) -> Decimal | None:
    """Return the attainment in percent, uncapped (G13); None is "not applicable": a zero quota (G12)."""
    if not measured.goal.amount:
        return None
    return (100 * measured.numerator / measured.goal.amount).quantize(_CENT, ROUND_HALF_UP)
