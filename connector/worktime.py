"""Business calendars: due instants over weekends and holidays. Pure: no I/O, no clock, no randomness."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from holidays.version import __version__ as _holidays_version

from connector.errors import ConfigurationError
from connector.model.followup import Span, Unit

#: Which holiday data a due instant was computed with (aftersales S2).
DATASET = f"holidays {_holidays_version}"

#: The local wall time at which a day's work is due.
DUE_TIME = time(17, 0)

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where somebody works: a time zone, and the public holidays of a country or one of its subdivisions."""

    timezone: str
    country: str
    subdivision: str = ""

    def __str__(self) -> str:
        place = f"{self.country}-{self.subdivision}" if self.subdivision else self.country
        return f"{place} {self.timezone}"


@lru_cache(maxsize=1024)
def calendar(code: str, timezone: str) -> Calendar:
    """Return the calendar `DE-BY` or `PL` stands for, in a time zone.

    Raises:
        ConfigurationError: no such zone, or no holiday data for the place.
    """
    country, _, subdivision = code.partition("-")
    found = Calendar(timezone, country, subdivision)
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as err:
        raise ConfigurationError(f"time zone {timezone!r} is unknown: use a name like Europe/Berlin") from err
    try:
        holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError as err:
        raise ConfigurationError(f"calendar {code!r} has no holiday data: use a code like PL or DE-BY") from err
    return found


def add(anchor: datetime, span: Span, calendar: Calendar) -> datetime:
    """Return the UTC instant `span` after (before, if negative) an aware instant (aftersales S1, S2).

    Hours are elapsed time. Days end at 17:00 local wall time; day 0 is the anchor's local date,
    working day or not, and business day n is the n-th working day after it.
    """
    if span.unit is Unit.HOURS:
        return anchor.astimezone(UTC) + timedelta(hours=span.amount)
    zone = ZoneInfo(calendar.timezone)
    start = anchor.astimezone(zone).date()
    if span.unit is Unit.BUSINESS_DAYS:
        day = _working_day(start, span.amount, calendar)
    else:
        day = start + timedelta(days=span.amount)
    return datetime.combine(day, DUE_TIME, zone).astimezone(UTC)


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Tell whether `day` is from Monday to Friday and no public holiday."""
    return day.weekday() < _SATURDAY and day not in _holidays(calendar.country, calendar.subdivision, day.year)


def local_date(instant: datetime, calendar: Calendar) -> date:
    """Return the calendar's date at an aware instant."""
    return instant.astimezone(ZoneInfo(calendar.timezone)).date()


def _working_day(start: date, count: int, calendar: Calendar) -> date:
    step = timedelta(days=1 if count > 0 else -1)
    day, left = start, abs(count)
    while left:
        day += step
        left -= is_working_day(day, calendar)
    return day


@lru_cache(maxsize=512)
def _holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    # A holiday of the next year may be observed in this one (1 January on a Saturday).
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=(year, year + 1)))
