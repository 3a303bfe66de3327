"""Due instants in days and elapsed hours, as follow-up plans write them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connector.errors import NoWorkingTime
from connector.model.followup import Span, Unit
from connector.worktime.calendars import Calendar, is_working_day
from connector.worktime.hours import HORIZON

#: The local wall time at which a day's work is due.
DUE_TIME = time(17, 0)


def add(anchor: datetime, span: Span, calendar: Calendar) -> datetime:
    """Return the UTC instant `span` after (before, if negative) an aware instant (aftersales S1, S2).

    Hours are elapsed time. Days end at 17:00 local wall time; day 0 is the anchor's local date,
    working day or not, and business day n is the n-th working day after it.

    Raises:
        NoWorkingTime: the calendar has no working day in 400 days.
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


def _working_day(start: date, count: int, calendar: Calendar) -> date:
    step = timedelta(days=1 if count > 0 else -1)
    day, last, left = start, start, abs(count)
    while left:
        day += step
        if is_working_day(day, calendar):
            last, left = day, left - 1
        elif abs(day - last) > HORIZON:
            raise NoWorkingTime(f"calendar {calendar} has no working day for {HORIZON.days} days: give it windows")
    return day
