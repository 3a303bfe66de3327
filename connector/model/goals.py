"""Goals, credits, attainment."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of goals.csv: a target for a person over [start, end], both days included."""

    person: str
    metric: str
    start: date
    end: date
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Attainment:
    """Confirmed credit over the effective quota, as of an instant; provisional credit apart."""

    person: str
    goal: Goal
    numerator: Decimal
    provisional: Decimal
    as_of: datetime
    #: Credits left out and why ("100.00 CHF: no rate to EUR"), so that nothing is missing unseen.
    not_counted: tuple[str, ...] = ()


class CreditState(StrEnum):
    """A credit's state; each change is a new row that corrects the one before (aftersales 6.4)."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Credit:
    """One row of the append-only ledger: a person's share of a booking.

    `base` is the amount in `base_currency` at `rate`, frozen when the row was written; None without a rate.
    """

    id: UUID
    connection: str
    deal: str
    person: str
    state: CreditState
    amount: Decimal
    currency: str
    base: Decimal | None
    base_currency: str
    rate: Decimal | None
    effective_on: date
    recorded_at: datetime
    corrects: UUID | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """A deal as the credit ledger sees it: its value, and when it was won, delivered or lost."""

    connection: str
    deal: str
    person: str
    amount: Decimal
    currency: str
    won_at: datetime | None
    delivered_at: datetime | None = None
    lost_at: datetime | None = None
