"""Working time against an oracle that walks every minute of UTC, the laws, and examples by hand."""

import os
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connector.errors import NoWorkingTime
from connector.model.followup import Span, Unit
from connector.model.working import SpecialDay, Week, Window
from connector.worktime import Absence, Calendar, add, add_work, elapsed, is_working, next_open
from connector.worktime.openings import days_of

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WEEKDAYS: Week = (((540, 1020),),) * 5 + ((), ())
LUNCH: Week = (((540, 750), (780, 1020)),) * 5 + ((), ())
ALWAYS: Week = (((0, 1440),),) * 7

BERLIN = Calendar("Europe/Berlin", "DE", "BY")
WARSAW = Calendar("Europe/Warsaw", "PL")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# Around a change of the clocks, or of the date line, in each zone; first days of ranges the oracle walks.
PLACES = (
    ("Europe/Berlin", "DE", "BY", ("2026-03-20", "2026-10-18", "2026-12-20")),
    ("Europe/Warsaw", "PL", "", ("2026-03-22", "2026-10-20", "2026-04-29")),
    ("America/New_York", "US", "NY", ("2026-03-01", "2026-10-25", "2026-07-01")),
    ("America/Los_Angeles", "US", "CA", ("2026-03-05", "2026-10-28")),
    ("America/Sao_Paulo", "BR", "SP", ("2018-10-28", "2019-02-10")),
    ("America/St_Johns", "CA", "NL", ("2010-10-31", "2011-03-06")),
    ("Australia/Lord_Howe", "AU", "NSW", ("2026-03-29", "2026-09-27")),
    ("Asia/Kathmandu", "NP", "", ("2026-10-01", "1985-12-25")),
    ("Africa/Cairo", "EG", "", ("2026-04-19", "2026-10-24")),
    ("Pacific/Apia", "WS", "", ("2011-12-24", "2011-09-20")),
    ("Africa/Casablanca", "MA", "", ("2026-02-10", "2026-03-17")),
    ("Asia/Beirut", "LB", "", ("2026-03-22", "2026-10-18")),
)
RANGE = 14 * 1440
#: Cases for one calendar: what the oracle walked for one serves all of them.
CASES = 200
CALENDARS = 500 if os.environ.get("HEARBACK_FULL") else 50


@dataclass(frozen=True)
class Oracle:
    """Of each minute of UTC from `start` on, whether it is worked, and how many were before it."""

    start: datetime
    worked: list[bool]
    before: list[int]

    def minute(self, number: int) -> datetime:
        return self.start + number * MINUTE

    def elapsed(self, first: int, last: int) -> timedelta:
        return max(self.before[last] - self.before[first], 0) * MINUTE

    def add(self, first: int, minutes: int) -> datetime | None:
        found = bisect_left(self.before, self.before[first] + minutes)
        return self.minute(found) if found < len(self.before) else None

    def next_open(self, first: int) -> datetime | None:
        return next((self.minute(number) for number in range(first, RANGE) if self.worked[number]), None)


def walk(place: Calendar, absences: tuple[Absence, ...], start: datetime) -> Oracle:
    """Look at the wall clock once a minute."""
    zone = ZoneInfo(place.timezone)
    free = holidays.country_holidays(place.country, subdiv=place.subdivision or None, years=range(1985, 2029))
    special = {each.day: each.windows for each in place.special_days}
    windows: dict[date, tuple[Window, ...]] = {}
    worked = []
    for number in range(RANGE):
        instant = start + number * MINUTE
        wall = instant.astimezone(zone)
        day = wall.date()
        if day not in windows:
            windows[day] = special[day] if day in special else () if day in free else place.week[day.weekday()]
        minute = wall.hour * 60 + wall.minute
        inside = any(opens <= minute < closes for opens, closes in windows[day])
        worked.append(inside and not any(leaves <= instant < returns for leaves, returns in absences))
    return Oracle(start, worked, [0, *accumulate(worked)])


def some_windows(chance: random.Random) -> tuple[Window, ...]:
    """Return up to three windows, sometimes to or from midnight, sometimes touching."""
    ends = sorted(chance.sample(range(1441), 2 * chance.randint(1, 3)))
    if chance.random() < 0.3:
        ends[0] = 0
    if chance.random() < 0.3:
        ends[-1] = 1440
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def some_week(chance: random.Random) -> Week:
    usual = chance.choice((WEEKDAYS, LUNCH, ALWAYS, None))
    return usual or tuple(some_windows(chance) if chance.random() < 0.8 else () for _ in range(7))


def some_calendars() -> Iterator[tuple[Calendar, tuple[Absence, ...], datetime]]:
    chance = random.Random(20261121)
    for number in range(CALENDARS):
        zone, country, subdivision, days = PLACES[number % len(PLACES)]
        first = date.fromisoformat(days[number // len(PLACES) % len(days)])
        start = datetime(first.year, first.month, first.day, tzinfo=UTC)
        special = tuple(
            SpecialDay(first + timedelta(days=day), chance.choice(((), some_windows(chance))))
            for day in chance.sample(range(14), chance.randint(0, 3))
        )
        absences = tuple(
            (start + leaves * MINUTE, start + (leaves + chance.choice((30, 360, 2880))) * MINUTE)
            for leaves in chance.sample(range(RANGE), chance.choice((0, 1, 4)))
        )
        yield Calendar(zone, country, subdivision, "", some_week(chance), special), absences, start


@pytest.mark.parametrize("case", tuple(some_calendars()), ids=lambda case: f"{case[0].timezone} {case[2]:%F}")
def test_working_time_equals_a_walk_over_every_minute(case) -> None:
    """R15: 50 calendars with 200 cases each, ten times as many with HEARBACK_FULL."""
    place, absences, start = case
    oracle = walk(place, absences, start)
    chance = random.Random(f"{start} {place.week}")

    for _ in range(CASES):
        first, last = chance.randrange(RANGE), chance.randrange(RANGE + 1)
        instant, minutes = oracle.minute(first), chance.randint(1, 1500)
        assert elapsed(instant, oracle.minute(last), place, absences) == oracle.elapsed(first, last)
        assert is_working(instant, place, absences) == oracle.worked[first]
        if (opens := oracle.next_open(first)) is not None:
            assert next_open(instant, place, absences) == opens
        if (due := oracle.add(first, minutes)) is not None:
            assert add_work(instant, minutes * MINUTE, place, absences) == due


# Laws, down to the microsecond.

spans = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(hours=200))
seeds = st.integers(min_value=0, max_value=2**32)


@st.composite
def places(draw) -> tuple[Calendar, tuple[Absence, ...], datetime]:
    zone, country, subdivision, days = draw(st.sampled_from(PLACES))
    chance = random.Random(draw(seeds))
    place = Calendar(zone, country, subdivision, "", (*some_week(chance)[:6], some_windows(chance)))
    midnight = at(f"{draw(st.sampled_from(days))}T00:00+00:00")
    start = midnight + draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=14)))
    leaves = draw(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 100)), max_size=4))
    away = tuple((midnight + hour * HOUR, midnight + (hour + length) * HOUR) for hour, length in leaves)
    return place, away, start


@settings(deadline=None)
@given(places(), spans)
def test_so_much_work_has_elapsed_when_it_is_due_and_never_before(place, work) -> None:
    """R16"""
    calendar_, absences, start = place

    due = due_of(start, work, calendar_, absences)

    assert elapsed(start, due, calendar_, absences) == work
    assert elapsed(start, due - timedelta(microseconds=1), calendar_, absences) < work


@settings(deadline=None)
@given(places(), spans, spans)
def test_work_added_in_two_parts_is_due_as_the_whole(place, one, other) -> None:
    """R16"""
    calendar_, absences, start = place

    whole = due_of(start, one + other, calendar_, absences)
    parts = add_work(add_work(start, one, calendar_, absences), other, calendar_, absences)

    assert parts == whole


@settings(deadline=None)
@given(places(), spans, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)))
def test_whoever_starts_later_is_not_done_earlier(place, work, later) -> None:
    """R16"""
    calendar_, absences, start = place

    due = due_of(start, work, calendar_, absences)

    assert due <= add_work(start + later, work, calendar_, absences)


@settings(deadline=None)
@given(places())
def test_nothing_is_worked_before_the_next_opening(place) -> None:
    calendar_, absences, start = place

    opens = next_open(start, calendar_, absences)

    assert is_working(opens, calendar_, absences)
    assert elapsed(start, opens, calendar_, absences) == timedelta(0)
    assert is_working(start, calendar_, absences) == (opens == start)


def due_of(start: datetime, work: timedelta, place: Calendar, absences: tuple[Absence, ...]) -> datetime:
    """Return the due instant; a case of a calendar too sparse for the work is drawn anew."""
    try:
        due = add_work(start, work, place, absences)
        add_work(start + timedelta(days=30), work, place, absences)
    except NoWorkingTime:
        assume(False)
    return due


# By hand.


def test_work_of_a_saturday_begins_on_monday() -> None:
    """R13"""
    assert add_work(at("2026-06-20T16:00+02:00"), 4 * HOUR, BERLIN) == at("2026-06-22T13:00+02:00")


@pytest.mark.parametrize("start", ["2026-05-25T18:30+02:00", "2026-05-25T16:00+02:00"])
def test_work_of_a_holiday_begins_on_the_day_after(start) -> None:
    """R14, on Whit Monday"""
    assert add_work(at(start), 4 * HOUR, BERLIN) == at("2026-05-26T13:00+02:00")


def test_leave_from_nine_to_three_blocks_only_those_hours() -> None:
    """R19"""
    leave = ((at("2026-06-23T09:00+02:00"), at("2026-06-23T15:00+02:00")),)

    assert not is_working(at("2026-06-23T09:00+02:00"), BERLIN, leave)
    assert not is_working(at("2026-06-23T14:59+02:00"), BERLIN, leave)
    assert is_working(at("2026-06-23T15:00+02:00"), BERLIN, leave)
    assert next_open(at("2026-06-23T08:00+02:00"), BERLIN, leave) == at("2026-06-23T15:00+02:00")
    assert add_work(at("2026-06-22T16:00+02:00"), 2 * HOUR, BERLIN, leave) == at("2026-06-23T16:00+02:00")


def test_a_full_day_of_work_ends_as_the_day_closes() -> None:
    assert add_work(at("2026-06-22T09:00+02:00"), 8 * HOUR, BERLIN) == at("2026-06-22T17:00+02:00")


@pytest.mark.parametrize("work", [timedelta(0), -HOUR])
def test_no_work_is_due_at_once_even_on_a_sunday(work) -> None:
    assert add_work(at("2026-06-21T12:00+02:00"), work, BERLIN) == at("2026-06-21T12:00+02:00")


def test_a_window_the_clocks_skip_vanishes_and_one_they_repeat_counts_twice() -> None:
    night = Calendar("Europe/Berlin", "", week=(((120, 180),),) * 7)

    assert elapsed(at("2026-03-28T12:00Z"), at("2026-03-29T12:00Z"), night) == timedelta(0)
    assert elapsed(at("2026-10-24T12:00Z"), at("2026-10-25T12:00Z"), night) == 2 * HOUR


def test_a_day_that_was_skipped_has_no_working_time() -> None:
    """Samoa went from Thursday 29 to Saturday 31 December 2011."""
    apia = Calendar("Pacific/Apia", "", week=WEEKDAYS)

    assert add_work(at("2011-12-29T16:00-10:00"), 2 * HOUR, apia) == at("2012-01-02T10:00+14:00")


def test_the_clocks_going_back_over_midnight_return_to_the_day_before() -> None:
    """Newfoundland, 7 November 2010: 00:01 on Sunday was 23:01 on Saturday again."""
    saturdays = Calendar("America/St_Johns", "", week=((),) * 5 + (((1380, 1440),), ()))

    worked = elapsed(at("2010-11-06T12:00Z"), at("2010-11-07T12:00Z"), saturdays)

    assert worked == timedelta(minutes=60 + 59)
    assert not is_working(at("2010-11-07T02:30:30Z"), saturdays)
    assert is_working(at("2010-11-07T02:31:00Z"), saturdays)


def test_a_special_day_replaces_weekday_and_holiday() -> None:
    days = (SpecialDay(date(2026, 12, 24)), SpecialDay(date(2026, 12, 25), ((600, 720),)))
    place = Calendar("Europe/Berlin", "DE", "BY", "shop", WEEKDAYS, days)

    worked = elapsed(at("2026-12-24T00:00+01:00"), at("2026-12-26T00:00+01:00"), place)

    assert worked == 2 * HOUR


def test_overlapping_absences_count_once() -> None:
    monday = at("2026-06-22T09:00+02:00")
    away = ((monday + HOUR, monday + 3 * HOUR), (monday, monday + 2 * HOUR), (monday, monday))

    assert elapsed(monday, monday + 8 * HOUR, BERLIN, away) == 5 * HOUR


def test_a_calendar_without_enough_time_says_so_instead_of_searching_for_ever() -> None:
    monday = at("2026-06-22T09:00+02:00")
    closed = Calendar("Europe/Berlin", "", name="closed", week=((),) * 7)
    away = ((monday, monday + timedelta(days=401)),)

    with pytest.raises(NoWorkingTime, match="closed Europe/Berlin"):
        add_work(monday, HOUR, closed)
    with pytest.raises(NoWorkingTime):
        next_open(monday, BERLIN, away)
    with pytest.raises(NoWorkingTime):
        add_work(monday, timedelta(hours=2500), BERLIN)
    with pytest.raises(NoWorkingTime):
        add(monday, Span(1, Unit.BUSINESS_DAYS), closed)
    assert elapsed(monday, monday + timedelta(days=7), closed) == timedelta(0)


def test_business_hours_leave_lunch_and_the_holiday_out() -> None:
    """S2: Corpus Christi is on the Thursday between."""
    place = Calendar("Europe/Berlin", "DE", "BY", week=LUNCH)

    assert add_work(at("2026-06-03T15:00+02:00"), 8 * HOUR, place) == at("2026-06-05T15:30+02:00")


def test_business_hours_over_the_change_to_summer_time() -> None:
    assert add_work(at("2026-03-27T15:00+01:00"), 4 * HOUR, BERLIN) == at("2026-03-30T11:00+02:00")


def test_what_is_kept_of_a_calendar_is_bounded() -> None:
    days = days_of(WARSAW)

    elapsed(at("2000-01-01T00:00Z"), at("2004-01-01T00:00Z"), WARSAW)

    assert days.cache_info().currsize <= 512
