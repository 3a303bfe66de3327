from datetime import UTC, date, datetime

import pytest

from connector.errors import ConfigurationError
from connector.model.followup import Span, Unit
from connector.worktime import add, calendar, is_working_day, local_date

BERLIN = "Europe/Berlin"


def business(days: int) -> Span:
    return Span(days, Unit.BUSINESS_DAYS)


@pytest.mark.parametrize(
    ("code", "zone", "anchor", "days", "due"),
    [
        ("DE-BY", BERLIN, datetime(2026, 6, 3, 8, tzinfo=UTC), 2, date(2026, 6, 8)),
        ("DE-BE", BERLIN, datetime(2026, 6, 3, 8, tzinfo=UTC), 2, date(2026, 6, 5)),
        ("PL", "Europe/Warsaw", datetime(2026, 12, 23, 8, tzinfo=UTC), 1, date(2026, 12, 28)),
        ("PL", "Europe/Warsaw", datetime(2024, 12, 23, 8, tzinfo=UTC), 1, date(2024, 12, 24)),
        ("DE-BY", BERLIN, datetime(2026, 5, 30, 8, tzinfo=UTC), 1, date(2026, 6, 1)),
        ("DE-BY", BERLIN, datetime(2026, 6, 8, 8, tzinfo=UTC), -1, date(2026, 6, 5)),
    ],
    ids=[
        "corpus christi in Bavaria",
        "none in Berlin",
        "Christmas Eve in Poland, free since 2025",
        "and worked before",
        "anchor on a Saturday",
        "backwards over a weekend",
    ],
)
def test_a_business_day_is_a_working_day_of_the_place(code, zone, anchor, days, due):
    """F4, S2"""
    place = calendar(code, zone)

    assert local_date(add(anchor, business(days), place), place) == due


def test_a_due_day_ends_at_five_on_the_wall_clock_on_both_sides_of_a_clock_change():
    """S2"""
    place = calendar("DE-BY", BERLIN)

    before = add(datetime(2026, 3, 25, 8, tzinfo=UTC), business(1), place)
    after = add(datetime(2026, 3, 27, 8, tzinfo=UTC), business(1), place)

    assert before == datetime(2026, 3, 26, 16, tzinfo=UTC)
    assert after == datetime(2026, 3, 30, 15, tzinfo=UTC)


def test_hours_are_elapsed_time_over_a_clock_change():
    place = calendar("DE-BY", BERLIN)

    due = add(datetime.fromisoformat("2026-03-27T15:00:00+01:00"), Span(48, Unit.HOURS), place)

    assert due == datetime.fromisoformat("2026-03-29T16:00:00+02:00")
    assert due.tzinfo is UTC


def test_calendar_days_count_weekends():
    place = calendar("PL", "Europe/Warsaw")

    assert add(datetime(2026, 6, 5, 8, tzinfo=UTC), Span(2, Unit.DAYS), place) == datetime(2026, 6, 7, 15, tzinfo=UTC)


def test_day_zero_is_the_local_date_of_the_anchor():
    """S2"""
    place = calendar("US", "America/Los_Angeles")

    due = add(datetime(2026, 6, 10, 2, tzinfo=UTC), business(1), place)

    assert due == datetime(2026, 6, 11, 0, tzinfo=UTC)


def test_a_holiday_of_next_year_observed_in_this_one_is_free():
    assert not is_working_day(date(2027, 12, 31), calendar("US", "America/New_York"))


@pytest.mark.parametrize(
    ("code", "zone", "named"),
    [("XX", BERLIN, "'XX'"), ("DE-ZZ", BERLIN, "'DE-ZZ'"), ("DE-BY", "Europe/Nowhere", "'Europe/Nowhere'")],
)
def test_an_unknown_place_or_zone_is_refused_by_name(code, zone, named):
    with pytest.raises(ConfigurationError, match=named):
        calendar(code, zone)
