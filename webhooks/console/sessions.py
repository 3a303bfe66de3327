"""Sessions of the console: one signed cookie below `/console`, and the account behind it.

The rest of the edge has no cookie and does not pay for one.
"""

import io
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, current_user, login_user
from flask_wtf.csrf import CSRFProtect

from connector.errors import ConfigurationError
from connector.flows import users
from connector.model.console import ConsoleUser
from connector.services import Services
from webhooks.bodies import FORM_CAP, read_body
from webhooks.edge import edge

PATH = "/console"
#: A session ends after so long without a request, and after so long in any case.
IDLE = timedelta(hours=1)
LONGEST = timedelta(hours=12)

_PURPOSE = "hearback console session"
_SINCE = "since"
_csrf = CSRFProtect()


class Account:
    """A signed-in account as Flask-Login wants it."""

    is_active = is_authenticated = True
    is_anonymous = False

    def __init__(self, user: ConsoleUser) -> None:
        self.user = user

    def get_id(self) -> str:
        """Return what the cookie says: the account, and which of its sessions count."""
        return f"{self.user.id} {self.user.version}"


class ConsoleSessions(SecureCookieSessionInterface):
    """Signed cookies for the console only; sent over https alone when that is where people reach it."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie of a page of the console; anything else has no session."""
        return super().open_session(app, request) if request.path.startswith(f"{PATH}/") else None

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 (Flask's signature)
        """Tell whether the cookie is for https alone."""
        with suppress(ConfigurationError):
            return edge().services.current().settings.public_url.startswith("https:")
        return False


def install(app: Flask, services: Services) -> None:
    """Give the application its console's sessions and its protection against forged forms."""
    key, *older = services.vault.keys(_PURPOSE)
    app.config.update(
        SECRET_KEY=key,
        SECRET_KEY_FALLBACKS=older,
        SESSION_COOKIE_NAME="hearback_console",
        SESSION_COOKIE_PATH=PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=IDLE,
        # Forms from elsewhere are what the other doors are for; the console asks for its token itself.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        # Our pages send no referrer.
        WTF_CSRF_SSL_STRICT=False,
    )
    app.session_interface = ConsoleSessions()
    _csrf.init_app(app)
    manager = LoginManager()
    manager.session_protection = None
    manager.user_loader(_account)
    # What init_app does, less its hook on every answer: nobody is remembered beyond the session.
    app.login_manager = manager  # type: ignore[attr-defined] # the place Flask-Login looks at


def signed_in() -> ConsoleUser | None:
    """Return the account of this request's session, None when there is none."""
    account = current_user._get_current_object()
    return account.user if isinstance(account, Account) else None


def the_account() -> ConsoleUser:
    """Return the account of this request on a page that only signed-in people reach."""
    user = signed_in()
    assert user is not None
    return user


def begin(user: ConsoleUser) -> None:
    """Begin a session for an account; nothing of the one before stays."""
    session.clear()
    session.permanent = True
    session[_SINCE] = int(time.time())
    login_user(cast("Any", Account(user)))


def end() -> None:
    """Forget the session of this request."""
    session.clear()


def check_token() -> None:
    """Refuse a form that was not shown to this session.

    Raises:
        CSRFError: it lacks the session's token.
    """
    if request.method == "POST":
        request.environ["wsgi.input"] = io.BytesIO(read_body(FORM_CAP))
    _csrf.protect()


def _account(claimed: str) -> Account | None:
    user, _, version = claimed.partition(" ")
    if time.time() - session.get(_SINCE, 0) > LONGEST.total_seconds():
        return None
    found = users.in_session(edge().services, UUID(user), int(version))
    return Account(found) if found else None
