"""Accounts of the console, and what people did with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connector.model.console import ConsoleRole, ConsoleUser
from connector.store.database import Transaction

_COLUMNS = "id, name, role, language, timezone, session_version, one_time, created_at, disabled_at"


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did in the console, by ids."""

    at: datetime
    user: str
    action: str
    subject: str


def add(tx: Transaction, user: ConsoleUser, password: str) -> bool:
    """Store an account under the hash of its password; return False when the name is taken."""
    stored = tx.run(
        "INSERT INTO console_user (id, name, password, one_time, role, language, timezone) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        user.id,
        user.name,
        password,
        user.one_time,
        user.role,
        user.language,
        user.timezone,
    )
    return stored == 1


def by_id(tx: Transaction, user: UUID) -> ConsoleUser | None:
    """Return an account, None when there is none."""
    row = tx.one(f"SELECT {_COLUMNS} FROM console_user WHERE id = %s", user)  # noqa: S608 (constants only)
    return _user(row) if row else None


def by_name(tx: Transaction, name: str) -> tuple[ConsoleUser, str] | None:
    """Return an account and the hash of its password; case makes no difference to the name."""
    row = tx.one(
        f"SELECT {_COLUMNS}, password FROM console_user WHERE lower(name) = lower(%s)",  # noqa: S608 (constants only)
        name,
    )
    return (_user(row[:-1]), row[-1]) if row else None


def everyone(tx: Transaction) -> list[ConsoleUser]:
    """Return all accounts by name."""
    return [_user(row) for row in tx.all(f"SELECT {_COLUMNS} FROM console_user ORDER BY lower(name)")]  # noqa: S608


def exist(tx: Transaction) -> bool:
    """Tell whether anybody could sign in."""
    return tx.one("SELECT 1 FROM console_user WHERE disabled_at IS NULL LIMIT 1") is not None


def set_password(tx: Transaction, user: UUID, password: str, *, one_time: bool) -> None:
    """Replace the hash of a password; all sessions of the account end."""
    tx.run(
        "UPDATE console_user SET password = %s, one_time = %s, session_version = session_version + 1 WHERE id = %s",
        password,
        one_time,
        user,
    )


def rehash(tx: Transaction, user: UUID, before: str, password: str) -> None:
    """Store the same password under a newer kind of hash, unless it was changed meanwhile."""
    tx.run("UPDATE console_user SET password = %s WHERE id = %s AND password = %s", password, user, before)


def disable(tx: Transaction, user: UUID) -> None:
    """Lock an account out; all its sessions end."""
    tx.run(
        "UPDATE console_user SET disabled_at = coalesce(disabled_at, hearback_now()), "
        "session_version = session_version + 1 WHERE id = %s",
        user,
    )


def end_sessions(tx: Transaction, user: UUID) -> None:
    """End all sessions of an account."""
    tx.run("UPDATE console_user SET session_version = session_version + 1 WHERE id = %s", user)


def note(tx: Transaction, user: UUID, action: str, subject: str) -> None:
    """Remember that somebody did something to something: ids only, never what they saw."""
    tx.run("INSERT INTO console_event (user_id, action, subject) VALUES (%s, %s, %s)", user, action, subject)


def note_many(tx: Transaction, user: UUID, action: str, subjects: Sequence[str]) -> None:
    """Remember that somebody did the same to many things."""
    tx.run(
        "INSERT INTO console_event (user_id, action, subject) SELECT %s, %s, unnest(%s::text[])",
        user,
        action,
        list(subjects),
    )


def deeds(tx: Transaction, subject: str, limit: int = 50) -> list[Deed]:
    """Return what was done to a subject, newest first."""
    rows = tx.all(
        "SELECT e.at, u.name, e.action, e.subject FROM console_event e JOIN console_user u ON u.id = e.user_id "
        "WHERE e.subject = %s ORDER BY e.id DESC LIMIT %s",
        subject,
        limit,
    )
    return [Deed(*row) for row in rows]


def _user(row: tuple[object, ...]) -> ConsoleUser:
    user, name, role, *rest = row
    return ConsoleUser(user, name, ConsoleRole(str(role)), *rest)  # type: ignore[arg-type] # as the columns are
