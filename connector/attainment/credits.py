"""Who is credited with a booking: provisional when won, confirmed when delivered (aftersales 6.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from connector.model.goals import Booking, Credit, CreditState

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in the base currency and its rate; both None, with the reason, where there is no rate."""

    amount: Decimal | None
    rate: Decimal | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row the ledger still lacks: the state it records, and since when that holds."""

    state: CreditState
    effective_at: datetime


def convert(amount: Decimal, currency: str, base: str, rates: Mapping[str, Decimal]) -> Conversion:
    """Return `amount` in the base currency, rounded half up to the cent; no rate, no amount (G17)."""
    rate = Decimal(1) if currency == base else rates.get(currency)
    if rate is None:
        return Conversion(None, None, f"{amount} {currency}: no rate to {base}")
    return Conversion((amount * rate).quantize(_CENT, ROUND_HALF_UP), rate)


def credit_rows(booking: Booking, head: Credit | None) -> tuple[Entry, ...]:
    """Return the rows to append so that the ledger's `head` row says what is known of the booking.

    The same facts lead to the same head in whatever order they came.
    """
    wanted = _wanted(booking)
    if wanted is None or (head is not None and head.state is wanted.state):
        return ()
    if head is None and wanted.state is CreditState.VOID:
        return ()
    if head is None and wanted.state is CreditState.CONFIRMED and booking.won_at:
        return (Entry(CreditState.PROVISIONAL, booking.won_at), wanted)
    return (wanted,)


def _wanted(booking: Booking) -> Entry | None:
    if booking.won_at is None:
        return None
    if booking.lost_at is not None and booking.lost_at > booking.won_at:
        return Entry(CreditState.VOID, booking.lost_at)
    if booking.delivered_at is not None:
        return Entry(CreditState.CONFIRMED, booking.delivered_at)
    return Entry(CreditState.PROVISIONAL, booking.won_at)
