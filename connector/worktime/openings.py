"""The working intervals of a UTC day: a calendar's windows, laid through the offsets of its time zone."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connector.worktime.calendars import Calendar, windows_on

#: From this microsecond of UTC up to that one, counted from 1970.
Interval = tuple[int, int]

#: A day in microseconds.
DAY = 86_400_000_000

_DAY_SECONDS = 86_400
_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()


class Opening(NamedTuple):
    """A UTC day's working intervals, ascending, and how long they are together."""

    total: int
    intervals: tuple[Interval, ...]


@lru_cache(maxsize=256)
def days_of(calendar: Calendar) -> Callable[[int], Opening]:
    """Return a function of the number of a UTC day, 0 for 1 January 1970.

    By UTC day, since local dates may interleave: clocks that go back just after midnight return to the day before.
    """

    @lru_cache(maxsize=512)
    def on(day: int) -> Opening:
        return opening(tuple(_intervals(day, calendar)))

    return on


def opening(intervals: tuple[Interval, ...]) -> Opening:
    """Return ascending intervals with their total."""
    total = 0
    for opens, closes in intervals:
        total += closes - opens
    return Opening(total, intervals)


def _intervals(day: int, calendar: Calendar) -> Iterator[Interval]:
    for start, end, offset in _periods(day * _DAY_SECONDS, ZoneInfo(calendar.timezone)):
        first, last = start + offset, end + offset
        for local_day in range(first // _DAY_SECONDS, -(-last // _DAY_SECONDS)):
            midnight = local_day * _DAY_SECONDS
            for opens, closes in windows_on(date.fromordinal(_EPOCH_DAY + local_day), calendar):
                begin, stop = max(midnight + opens * 60, first), min(midnight + closes * 60, last)
                if begin < stop:
                    yield (begin - offset) * _MICROSECONDS, (stop - offset) * _MICROSECONDS


def _periods(start: int, zone: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and offset of each part of a UTC day; no zone ever changed its offset twice in six days."""
    end = start + _DAY_SECONDS
    before, after = _offset(start, zone), _offset(end, zone)
    if before == after:
        yield start, end, before
        return
    change = _change(start, end, zone)
    yield start, change, before
    if change < end:
        yield change, end, after


def _change(start: int, end: int, zone: ZoneInfo) -> int:
    """Return the first second with another offset than `start`, by halves."""
    before = _offset(start, zone)
    while end - start > 1:
        middle = (start + end) // 2
        if _offset(middle, zone) == before:
            start = middle
        else:
            end = middle
    return end


def _offset(second: int, zone: ZoneInfo) -> int:
    offset = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
