"""Credits follow the sale; attainment follows the credits, onto the rep's record in the CRM (WB4)."""

import logging
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from connector.attainment import Entry, attainment, convert, credit_rows
from connector.flows.staff import calendar_of
from connector.model.crm import ObjectType, Value
from connector.model.goals import Attainment, Booking, Credit, Goal
from connector.model.identity import new_id
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, commands
from connector.store import attainment as ledger
from connector.store.commands import NewCommand
from connector.store.followups import Sale
from connector.store.mirror import MirrorRow
from connector.worktime import local_date

log = logging.getLogger(__name__)

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Dates:
    """Whose sale it is, and when it was won, delivered or lost for good."""

    person: str | None
    won_at: datetime | None
    delivered_at: datetime | None
    lost_at: datetime | None


def credit(tx: Transaction, settings: Settings, sale: Sale, record: MirrorRow | None, dates: Dates) -> None:
    """Append the credits that follow from a sale; the caller holds its lock.

    Credit stays with whoever held it first. Without a value or a seller we know there is none yet.
    """
    head = ledger.head(tx, sale.connection, sale.deal)
    amount, currency = _value(record)
    person = head.person if head else dates.person
    if amount is None or person is None:
        log.info("deal without value or known seller", extra={"connection": sale.connection, "deal": sale.deal})
        return
    booking = Booking(
        sale.connection,
        sale.deal,
        person,
        amount,
        currency,
        dates.won_at,
        dates.delivered_at,
        dates.lost_at,
    )
    before = head.id if head else None
    for entry in credit_rows(booking, head):
        row = _row(settings, booking, entry, tx.now(), before)
        ledger.record(tx, row)
        before = row.id


def refresh(services: Services) -> int:
    """Work out the attainment of everybody whose credits changed; return how many that were."""
    with services.store.transaction() as tx:
        people = ledger.people_due(tx, _BATCH)
    return sum(_refresh(services, person) for person in people)


def _refresh(services: Services, person: str) -> bool:
    with services.store.transaction() as tx:
        if not ledger.take_due(tx, person):
            return False
        _write_back(services, tx, person)
    return True


def _write_back(services: Services, tx: Transaction, person: str) -> None:
    settings = services.active(tx).settings
    goal = _goal(settings, person, local_date(tx.now(), calendar_of(settings, person)))
    known = settings.people.get(person)
    if goal is None or known is None:
        return
    measured = attainment(goal, ledger.of_person(tx, person), tx.now())
    for reason in measured.not_counted:
        log.warning("credit not counted", extra={"person": person, "reason": reason})
    if not ledger.remember(tx, measured):
        return
    correlation = new_id()
    commands.put(
        tx,
        [
            _command(measured, connection, user, correlation)
            for connection, user in known.users.items()
            if user and connection in settings.connections
        ],
    )
    tx.after_commit(lambda: services.wake("commands"))


def _command(measured: Attainment, connection: str, user: str, correlation: UUID) -> NewCommand:
    goal = measured.goal
    fields: dict[str, Value] = {
        "attainment_numerator": str(measured.numerator),
        "attainment_denominator": str(goal.amount),
        "attainment_provisional": str(measured.provisional),
        "attainment_currency": goal.currency,
        "attainment_period": f"{goal.start}/{goal.end}",
        "attainment_as_of": measured.as_of.isoformat(),
    }
    return NewCommand(
        connection=connection,
        key=f"user:{user}",
        object_type=ObjectType.USER,
        fields=fields,
        purpose="attainment",
        correlation=correlation,
        record=user,
    )


def _goal(settings: Settings, person: str, day: date) -> Goal | None:
    """Return the goal in force: of several the one with the shortest period."""
    mine = [goal for goal in settings.goals if goal.person == person and goal.start <= day <= goal.end]
    return min(mine, key=lambda goal: (goal.end - goal.start, goal.start), default=None)


def _row(settings: Settings, booking: Booking, entry: Entry, now: datetime, corrects: UUID | None) -> Credit:
    day = local_date(entry.effective_at, calendar_of(settings, booking.person))
    base = _base_currency(settings, booking, day)
    converted = convert(booking.amount, booking.currency, base, _rates(settings, base))
    return Credit(
        id=new_id(),
        connection=booking.connection,
        deal=booking.deal,
        person=booking.person,
        state=entry.state,
        amount=booking.amount,
        currency=booking.currency,
        base=converted.amount,
        base_currency=base,
        rate=converted.rate,
        effective_on=day,
        recorded_at=now,
        corrects=corrects,
    )


def _base_currency(settings: Settings, booking: Booking, day: date) -> str:
    goal = _goal(settings, booking.person, day)
    mine = [each.currency for each in settings.goals if each.person == booking.person]
    return goal.currency if goal else next(iter(mine), booking.currency)


def _rates(settings: Settings, base: str) -> dict[str, Decimal]:
    """Return units of `base` for one unit of each currency we have a rate for."""
    rates = {currency: Decimal(rate) for currency, rate in settings.rates.items()}
    if base not in rates:
        return {}
    return {currency: rate / rates[base] for currency, rate in rates.items()}


def _value(record: MirrorRow | None) -> tuple[Decimal | None, str]:
    """Return a deal's amount and currency; no amount for a deal without both."""
    fields = record.fields if record else {}
    amount, currency = fields.get("amount"), fields.get("currency")
    if not amount or not currency:
        return None, ""
    try:
        return Decimal(str(amount)), str(currency)
    except InvalidOperation:
        return None, ""
