"""Working time right to the microsecond: how much has passed, when so much will have, who works now.

An instant is working if its wall clock lies in a window and it is in no absence. Everything is counted in
whole microseconds of UTC, so a minute the clocks skip never counts and one they repeat counts twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, count

from connector.errors import NoWorkingTime
from connector.worktime.calendars import Calendar
from connector.worktime.openings import DAY, Interval, Opening, days_of, opening

#: From this instant to that, UTC: away, whatever the calendar says.
Absence = tuple[datetime, datetime]

#: How far working time is looked for.
HORIZON = timedelta(days=400)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def elapsed(start: datetime, end: datetime, calendar: Calendar, absences: Sequence[Absence] = ()) -> timedelta:
    """Return the working time from `start` to `end`, nothing if `end` comes first."""
    begin, stop = _ticks(start), _ticks(end)
    if stop <= begin:
        return timedelta(0)
    last = stop // DAY
    worked = sum(total for total, _ in _since(begin, last, calendar, absences))
    after = sum(total for total, _ in _since(stop, last, calendar, absences))
    return timedelta(microseconds=worked - after)


def add_work(start: datetime, work: timedelta, calendar: Calendar, absences: Sequence[Absence] = ()) -> datetime:
    """Return the least UTC instant by which `work` has been worked since `start`; `start` for none.

    Raises:
        NoWorkingTime: 400 days hold less working time.
    """
    left = work // _TICK
    if left <= 0:
        return start.astimezone(UTC)
    begin = _ticks(start)
    for total, intervals in _since(begin, begin // DAY + HORIZON.days, calendar, absences):
        if total >= left:
            return _instant(_reached(left, intervals))
        left -= total
    raise _no_working_time(calendar)


def is_working(instant: datetime, calendar: Calendar, absences: Sequence[Absence] = ()) -> bool:
    """Tell whether an aware instant is working time."""
    at = _ticks(instant)
    return any(opens == at for _, intervals in _since(at, at // DAY, calendar, absences) for opens, _ in intervals)


def next_open(instant: datetime, calendar: Calendar, absences: Sequence[Absence] = ()) -> datetime:
    """Return the first working UTC instant from `instant` on, itself if it is one.

    Raises:
        NoWorkingTime: there is none in 400 days.
    """
    at = _ticks(instant)
    for _, intervals in _since(at, at // DAY + HORIZON.days, calendar, absences):
        if intervals:
            return _instant(intervals[0][0])
    raise _no_working_time(calendar)


def _reached(left: int, intervals: Iterable[Interval]) -> int:
    at = 0
    for opens, closes in intervals:
        at = min(opens + left, closes)
        left -= at - opens
        if not left:
            break
    return at


def _since(start: int, last: int, calendar: Calendar, absences: Sequence[Absence]) -> Iterator[Opening]:
    """Return what is worked from `start` on, by UTC day, up to and with the day `last`."""
    first = start // DAY
    days: Iterator[Opening] = map(days_of(calendar), range(first, last + 1))
    if absences:
        days = _attended(days, first, _merged(tuple(absences)))
    today = next(days).intervals
    rest = tuple((max(opens, start), closes) for opens, closes in today if closes > start)
    return chain((opening(rest),), days)


def _attended(days: Iterable[Opening], first: int, away: Sequence[Interval]) -> Iterator[Opening]:
    """Yield what ascending absences, none of which touch, leave of days."""
    at = 0
    for begin, day in zip(count(first * DAY, DAY), days, strict=False):
        while at < len(away) and away[at][1] <= begin:
            at += 1
        touched = at < len(away) and away[at][0] < begin + DAY
        yield opening(tuple(_without(day.intervals, away[at:]))) if touched and day.total else day


def _without(intervals: Iterable[Interval], away: Iterable[Interval]) -> Iterator[Interval]:
    """Yield what ascending absences leave of intervals."""
    for begin, closes in intervals:
        opens = begin
        for leaves, returns in away:
            if returns <= opens:
                continue
            if leaves >= closes:
                break
            if leaves > opens:
                yield opens, leaves
            opens = returns
        if opens < closes:
            yield opens, closes


@lru_cache(maxsize=1024)
def _merged(absences: tuple[Absence, ...]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for leaves, returns in sorted((_ticks(leaves), _ticks(returns)) for leaves, returns in absences):
        if merged and leaves <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], returns))
        elif leaves < returns:
            merged.append((leaves, returns))
    return tuple(merged)


def _ticks(instant: datetime) -> int:
    return (instant - _EPOCH) // _TICK


def _instant(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)


def _no_working_time(calendar: Calendar) -> NoWorkingTime:
    return NoWorkingTime(
        f"calendar {calendar} has too little working time in {HORIZON.days} days: give it windows, or end an absence"
    )
