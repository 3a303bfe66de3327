"""What a business calendar is: a time zone, windows per weekday, public holidays and days that differ."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from holidays.version import __version__ as _holidays_version

from connector.errors import ConfigurationError
from connector.model.working import SpecialDay, Week, Window

#: Which holiday data a due instant was computed with (aftersales S2).
DATASET = f"holidays {_holidays_version}"

#: The week of a calendar that names only a place: Monday to Friday, 09:00 to 17:00.
OFFICE_WEEK: Week = (((9 * 60, 17 * 60),),) * 5 + ((),) * 2


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where and when somebody works; without a country there are no public holidays."""

    timezone: str
    country: str
    subdivision: str = ""
    name: str = ""
    week: Week = OFFICE_WEEK
    special_days: tuple[SpecialDay, ...] = ()

    def __hash__(self) -> int:
        # Every look-up of a day hashes its calendar; weeks and special days seldom tell two of one name apart.
        return hash((self.timezone, self.country, self.subdivision, self.name))

    def __str__(self) -> str:
        place = f"{self.country}-{self.subdivision}" if self.subdivision else self.country
        return " ".join(part for part in (self.name, place, self.timezone) if part)


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


def windows_on(day: date, calendar: Calendar) -> tuple[Window, ...]:
    """Return the windows of a local date, none if it is closed."""
    for special in calendar.special_days:
        if special.day == day:
            return special.windows
    if calendar.country and day in _holidays(calendar.country, calendar.subdivision, day.year):
        return ()
    return calendar.week[day.weekday()]


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Tell whether `day` has a window: for a bare place, from Monday to Friday and no public holiday."""
    return bool(windows_on(day, calendar))


def local_date(instant: datetime, calendar: Calendar) -> date:
    """Return the calendar's date at an aware instant."""
    return instant.astimezone(ZoneInfo(calendar.timezone)).date()


@lru_cache(maxsize=512)
def _holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    # A holiday of the next year may be observed in this one (1 January on a Saturday).
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=(year, year + 1)))
