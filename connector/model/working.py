"""When people work, in wall-clock minutes: windows, weeks and days that differ."""

from dataclasses import dataclass
from datetime import date, datetime

#: Minutes of a local day: opens at the first, closes before the second. 1440 is the end of the day.
Window = tuple[int, int]

#: The windows of each weekday, from Monday on. Whoever works past midnight has a window on either day.
Week = tuple[tuple[Window, ...], ...]


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A date whose windows replace those of its weekday and its holiday; none: closed."""

    day: date
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Leave:
    """One row of absences.csv: away from an instant to another, UTC, and who stands in."""

    starts: datetime
    ends: datetime
    delegate: str = ""
