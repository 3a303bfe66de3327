"""Who may use the console."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ConsoleRole(StrEnum):
    """What an account may do: an admin everything, a manager read and release, a keyer key cards."""

    ADMIN = "admin"
    MANAGER = "manager"
    KEYER = "keyer"


@dataclass(frozen=True, slots=True)
class ConsoleUser:
    """A local account. `version` names the sessions that count: a new one ends all older sessions.

    `language` is that of the pages; an empty `timezone` is the organisation's. A `one_time` password only serves
    to choose another.
    """

    id: UUID
    name: str
    role: ConsoleRole
    language: str
    timezone: str
    version: int
    one_time: bool
    created_at: datetime
    disabled_at: datetime | None
