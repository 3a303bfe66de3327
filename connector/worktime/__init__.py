"""Business calendars: working time over weekends, holidays and clock changes. Pure: no I/O, no clock, no randomness."""

from connector.worktime.calendars import (
    DATASET,
    OFFICE_WEEK,
    Calendar,
    calendar,
    is_working_day,
    local_date,
    windows_on,
)
from connector.worktime.hours import HORIZON, Absence, add_work, elapsed, is_working, next_open
from connector.worktime.spans import DUE_TIME, add

__all__ = [
    "DATASET",
    "DUE_TIME",
    "HORIZON",
    "OFFICE_WEEK",
    "Absence",
    "Calendar",
    "add",
    "add_work",
    "calendar",
    "elapsed",
    "is_working",
    "is_working_day",
    "local_date",
    "next_open",
    "windows_on",
]
