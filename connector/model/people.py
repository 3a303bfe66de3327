"""People and teams: everyone with a lane, a goal or a step; reps receive leads as well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class Role(StrEnum):
    """What a person does in Hearback."""

    REP = "rep"
    SUPPORTER = "supporter"
    MANAGER = "manager"
    KEYER = "keyer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Person:
    """One row of people.csv. `users` maps a connection to the person's user id there."""

    key: str
    name: str
    email: str
    lane: str
    role: Role
    team: str
    timezone: str
    calendar: str
    languages: tuple[str, ...]
    skills: tuple[str, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict)
    active: bool = True
    weight: int = 1
    max_open: int | None = None
    #: At most so many leads in any hour, day, week or 30 days, by these words; a fraction as text ("14", "1/2").
    rates: Mapping[str, str] = field(default_factory=dict)
    #: First day at work, for the ramp-up.
    starts: date | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """One row of teams.csv: a team, department or the company itself."""

    key: str
    name: str
    parent: str
    manager: str
