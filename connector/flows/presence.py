"""Who is at work, on leave or new, as decisions need to know it; the calendars stay out of the decision itself."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from connector.errors import NoWorkingTime
from connector.flows.staff import absences_of, calendar_of
from connector.model.working import Leave
from connector.routing.book import HERE, Presence
from connector.services import Active
from connector.settings.values import Settings
from connector.worktime import is_working, next_open

#: Said of somebody whose calendar has no window to come.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def presence_at(active: Active, at: datetime) -> Callable[[str], Presence]:
    """Return what tells, for a person, whether they are there at an instant."""

    def presence(person: str) -> Presence:
        settings = active.settings
        leaves = settings.leaves.get(person, ())
        until, delegate = _leave(leaves, at)
        opens = _opens(settings, person, at) if person in active.shifts else ""
        percent = _percent(settings, person, at)
        found = Presence(until, delegate, opens, percent)
        return HERE if found == HERE else found

    return presence


def _leave(leaves: Sequence[Leave], at: datetime) -> tuple[str, str]:
    """Return the end of a leave and who stands in; leaves that follow one another are one."""
    until, delegate = None, ""
    for leave in sorted(leaves, key=lambda leave: leave.starts):
        if leave.starts <= (until or at) < leave.ends:
            until, delegate = leave.ends, delegate or leave.delegate
    return (until.isoformat(), delegate) if until else ("", "")


def _opens(settings: Settings, person: str, at: datetime) -> str:
    calendar = calendar_of(settings, person)
    if is_working(at, calendar):
        return ""
    try:
        return next_open(at, calendar, absences_of(settings, person)).isoformat()
    except NoWorkingTime:
        return NEVER.isoformat()


def _percent(settings: Settings, person: str, at: datetime) -> int:
    """Return how much of a new person's weight counts: it grows by the day."""
    ramp, known = settings.ramp_up, settings.people.get(person)
    if ramp is None or known is None or known.starts is None:
        return 100
    days = (at.astimezone(ZoneInfo(known.timezone or settings.timezone)).date() - known.starts).days
    return ramp.start + (100 - ramp.start) * min(max(days, 0), ramp.days) // ramp.days
