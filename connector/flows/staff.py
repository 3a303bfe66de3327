"""Who is who: people by their CRM users, their calendars, languages and managers. Pure."""

from connector.followup import texts
from connector.settings.values import Settings
from connector.worktime import Absence, Calendar, calendar


def person_of(settings: Settings, connection: str, user: str) -> str | None:
    """Return the person behind a CRM user, None for a user we do not know."""
    if not user:
        return None
    return next((key for key, person in settings.people.items() if person.users.get(connection) == user), None)


def calendar_of(settings: Settings, person: str) -> Calendar:
    """Return a person's calendar, the organisation's for somebody who left."""
    known = settings.people.get(person)
    if known is None:
        return calendar(settings.country, settings.timezone)
    timezone = known.timezone or settings.timezone
    named = settings.calendars.get(known.calendar)
    if named is not None:
        return Calendar(timezone, named.country, named.subdivision, named.key, named.week, named.special_days)
    return calendar(known.calendar or settings.country, timezone)


def absences_of(settings: Settings, person: str) -> list[Absence]:
    """Return when a person is on leave."""
    return [(leave.starts, leave.ends) for leave in settings.leaves.get(person, ())]


def language_of(settings: Settings, person: str) -> str:
    """Return the language to address a person in."""
    known = settings.people.get(person)
    return texts.pick([*(known.languages if known else ()), *settings.languages])


def colleagues(settings: Settings, connection: str) -> list[str]:
    """Return everybody active who has a user in a connection."""
    return [key for key, person in settings.people.items() if person.active and person.users.get(connection)]


def manager_of(settings: Settings, person: str) -> str | None:
    """Return the nearest manager above a person, never the person themselves."""
    known = settings.people.get(person)
    team = settings.teams.get(known.team) if known else None
    while team is not None:
        if team.manager and team.manager != person:
            return team.manager
        team = settings.teams.get(team.parent)
    return None
