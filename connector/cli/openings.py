"""Pools with nobody at work in the days to come, as complaints."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from connector.cli.findings import POOLS
from connector.errors import NoWorkingTime
from connector.flows.staff import absences_of, calendar_of
from connector.settings.complaints import Complaint, Severity
from connector.settings.values import Settings
from connector.worktime import next_open

DAYS = 14


def closed_pools(settings: Settings, at: datetime) -> Iterator[Complaint]:
    """Yield a warning for each pool whose active members all have no working hour within 14 days of an instant.

    Calendars, leave and first days at work count. Pools without active members are left to the analysis of the rules.
    """
    for pool in settings.rule_set.pools.values():
        active = [each.person for each in pool.members if (who := settings.people.get(each.person)) and who.active]
        if active and not any(_works(settings, person, at) for person in active):
            yield Complaint(
                POOLS,
                1,
                f"nobody in pool '{pool.key}' is at work in the next {DAYS} days",
                "no member has an hour in their calendar that is neither leave nor before their first day",
                "add somebody who works then, or correct calendar and starts in people.csv, or absences.csv",
                Severity.WARNING,
            )


def _works(settings: Settings, person: str, at: datetime) -> bool:
    try:
        begins = max(at, _begins(settings, person, at))
        opens = next_open(begins, calendar_of(settings, person), absences_of(settings, person))
    except NoWorkingTime:
        return False
    return opens < at + timedelta(days=DAYS)


def _begins(settings: Settings, person: str, at: datetime) -> datetime:
    """Return the beginning of a person's first day at work, `at` for those who have been there long."""
    who = settings.people[person]
    zone = ZoneInfo(who.timezone or settings.timezone)
    return datetime.combine(who.starts, time(), zone) if who.starts else at
