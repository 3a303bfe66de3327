"""What an owner does with a lead, and what is due meanwhile: offered, accepted, touched, closed (R22, R23)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """How far an owner is with a lead."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TOUCHED = "touched"
    CLOSED = "closed"


class Verdict(StrEnum):
    """Why an owner rejects a lead."""

    BAD_DATA = "bad_data"
    WRONG_TERRITORY = "wrong_territory"
    OTHER = "other"


class Breach(StrEnum):
    """Which promise was broken, in the words of a decision's steps."""

    NOT_ACCEPTED = "not_accepted"
    NO_RESPONSE = "breach"


#: States in which the owner still owes an answer.
OPEN = frozenset((State.OFFERED, State.ACCEPTED))

#: Verdicts for which the turn is given back (R9).
REFUNDED = frozenset((Verdict.BAD_DATA, Verdict.WRONG_TERRITORY))

#: From which states each can be reached; whatever comes later than another answer changes nothing.
BEFORE: Mapping[State, frozenset[State]] = {
    State.ACCEPTED: frozenset((State.OFFERED,)),
    # Whoever called may have found that the number is wrong.
    State.REJECTED: OPEN | {State.TOUCHED},
    State.TOUCHED: OPEN,
    State.CLOSED: frozenset(State) - {State.CLOSED},
}


@dataclass(frozen=True, slots=True)
class Promise:
    """What an owner was given: aware UTC instants. `reminded` counts the reminders that are behind them.

    `breached`: it was broken and whoever had to know knows.
    """

    state: State
    touch_due: datetime
    accept_due: datetime | None = None
    reminders: tuple[datetime, ...] = ()
    reminded: int = 0
    breached: bool = False


def breach(promise: Promise, now: datetime) -> tuple[Breach, datetime] | None:
    """Return which promise is broken and since when, the earlier one first; None as long as all are kept."""
    if promise.breached or promise.state not in OPEN:
        return None
    dues = [(promise.touch_due, Breach.NO_RESPONSE)]
    if promise.state is State.OFFERED and promise.accept_due is not None:
        dues.append((promise.accept_due, Breach.NOT_ACCEPTED))
    due, what = min(dues)
    return (what, due) if due <= now else None


def reminders_due(promise: Promise, now: datetime) -> int:
    """Return how many reminders have fallen due altogether; of several new ones a person needs the last alone."""
    if promise.state not in OPEN:
        return promise.reminded
    return max(promise.reminded, sum(at <= now for at in promise.reminders))


def next_at(promise: Promise) -> datetime | None:
    """Return when to look again; None when nothing will fall due by itself."""
    if promise.breached or promise.state not in OPEN:
        return None
    dues = [promise.touch_due, *promise.reminders[promise.reminded : promise.reminded + 1]]
    if promise.state is State.OFFERED and promise.accept_due is not None:
        dues.append(promise.accept_due)
    return min(dues)


def speed_to_lead(event_at: datetime, touched_at: datetime) -> timedelta:
    """Return how long a customer waited, from when they spoke, whenever we heard of it (R23)."""
    return max(touched_at - event_at, timedelta(0))
