"""Accounts of the console: made at the command line, checked at the login."""

import secrets
import threading
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from connector.errors import HearbackError
from connector.model.console import ConsoleRole, ConsoleUser
from connector.model.identity import new_id
from connector.model.text import one_line
from connector.services import Services
from connector.store import users

#: Length rather than kinds of characters, as NIST SP 800-63B has it.
SHORTEST, LONGEST = 12, 200
_LONGEST_NAME = 80

# What OWASP's password storage cheat sheet asks for at least: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# A crowd at the login must not take the memory of those who post leads.
_AT_ONCE = threading.BoundedSemaphore(2)
# Verified where the name is unknown, so that the time of an answer tells nothing.
_NOBODY = _HASHER.hash(secrets.token_urlsafe())


def add(
    services: Services, name: str, password: str, role: ConsoleRole, language: str, timezone: str, *, one_time: bool
) -> ConsoleUser:
    """Make an account.

    Raises:
        HearbackError: the name or the password will not do, or the name is taken.
    """
    with services.store.transaction() as tx:
        user = ConsoleUser(new_id(), _name(name), role, language, timezone, 1, one_time, tx.now(), None)
        if not users.add(tx, user, _hashed(user.name, password)):
            raise HearbackError(f"there is an account {user.name!r} already: see `hearback users list`")
    return user


def named(services: Services, name: str) -> ConsoleUser:
    """Return the account of a name.

    Raises:
        HearbackError: there is none.
    """
    with services.store.transaction() as tx:
        found = users.by_name(tx, one_line(name))
    if found is None:
        raise HearbackError(f"no account is called {name!r}: see `hearback users list`")
    return found[0]


def set_password(services: Services, user: ConsoleUser, password: str, *, one_time: bool = False) -> None:
    """Give an account another password; all its sessions end.

    Raises:
        HearbackError: the password will not do.
    """
    hashed = _hashed(user.name, password)
    with services.store.transaction() as tx:
        users.set_password(tx, user.id, hashed, one_time=one_time)


def sign_in(services: Services, name: str, password: str) -> ConsoleUser | None:
    """Return the account these belong to; None, after as much work, when they belong to none."""
    with services.store.transaction() as tx:
        found = users.by_name(tx, one_line(name[:_LONGEST_NAME]))
    user, hashed = found or (None, _NOBODY)
    matches = _matches(hashed, password if len(password) <= LONGEST else "")
    if user is None or not matches or user.disabled_at is not None:
        return None
    if _HASHER.check_needs_rehash(hashed):
        with services.store.transaction() as tx:
            users.rehash(tx, user.id, hashed, _HASHER.hash(password))
    return user


def in_session(services: Services, user: UUID, version: int) -> ConsoleUser | None:
    """Return the account of a session, None when it was ended or the account disabled."""
    with services.store.transaction() as tx:
        found = users.by_id(tx, user)
    return found if found and found.version == version and found.disabled_at is None else None


def one_time_password() -> str:
    """Make a password that only serves to choose another."""
    return secrets.token_urlsafe(15)


def _name(text: str) -> str:
    name = one_line(text)
    if not name or len(name) > _LONGEST_NAME:
        raise HearbackError(f"the name of an account has 1 to {_LONGEST_NAME} characters")
    return name


def _hashed(name: str, password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise HearbackError(f"a password has {SHORTEST} to {LONGEST} characters: a few unrelated words are good")
    if name.casefold() in password.casefold():
        raise HearbackError("the password holds the account's name: choose one that does not")
    with _AT_ONCE:
        return _HASHER.hash(password)


def _matches(hashed: str, password: str) -> bool:
    with _AT_ONCE:
        try:
            return _HASHER.verify(hashed, password)
        except VerificationError:
            return False
