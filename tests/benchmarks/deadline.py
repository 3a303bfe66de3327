"""Bench: due instants in working time, warm and cold (R17), against stepping minute by minute.

The stepper is the named alternative: it asks of every minute what its wall clock says, with the same holidays.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from connector.worktime import Calendar, add_work, elapsed, windows_on
from connector.worktime.openings import days_of

ROUNDS = 15
CALLS = 200
LUNCH = (((540, 750), (780, 1020)),) * 5 + ((), ())
DESK = Calendar("Europe/Berlin", "DE", "BY", "desk", LUNCH)
START = datetime(2026, 3, 5, 9, 30, tzinfo=UTC)
WORK = {hours: timedelta(hours=hours) for hours in (4, 40, 200)}


def bench() -> dict[str, Any]:
    """Return microseconds for a due instant, each the best of many rounds, and ratios of the same run."""
    warm = {hours: _best(lambda work=work: add_work(START, work, DESK)) for hours, work in WORK.items()}
    stepped = {hours: _best(lambda work=work: _step(START, work), rounds=2, calls=1) for hours, work in WORK.items()}
    assert all(_step(START, work) == add_work(START, work, DESK) for work in WORK.values())
    cold = {hours: _best(lambda work=work: _cold(work), calls=1) for hours, work in WORK.items()}
    week = _best(lambda: elapsed(START, START + timedelta(days=7), DESK))
    return {
        **{f"due time of {hours} h, warm: µs": round(each, 1) for hours, each in warm.items()},
        **{f"due time of {hours} h, days not seen before: µs": round(each, 1) for hours, each in cold.items()},
        "elapsed over 7 days, warm: µs": round(week, 1),
        **{f"stepping by minutes / due time of {hours} h": round(stepped[hours] / warm[hours]) for hours in WORK},
    }


def _best(call: Callable[[], object], *, rounds: int = ROUNDS, calls: int = CALLS) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(calls):
            call()
        best = min(best, perf_counter() - start)
    return best / calls * 1_000_000


def _cold(work: timedelta) -> None:
    days_of.cache_clear()
    add_work(START, work, DESK)


def _step(start: datetime, work: timedelta) -> datetime:
    zone, at, left = ZoneInfo(DESK.timezone), start, work // timedelta(minutes=1)
    windows: dict[date, tuple[tuple[int, int], ...]] = {}
    while left:
        wall = at.astimezone(zone)
        day = wall.date()
        if day not in windows:
            windows[day] = windows_on(day, DESK)
        minute = wall.hour * 60 + wall.minute
        left -= any(opens <= minute < closes for opens, closes in windows[day])
        at += timedelta(minutes=1)
    return at
