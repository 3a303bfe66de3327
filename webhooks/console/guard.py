"""Who may open which page. A page that declares nobody is open to nobody."""

from collections.abc import Callable
from typing import TypeVar

from flask import current_app, redirect, request, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from connector.model.console import ConsoleRole
from webhooks.console.sessions import check_token, signed_in

View = TypeVar("View", bound=Callable[..., object])

_DECLARED = "console_roles"
#: Before anybody signed in: the login itself and its styles.
ANYBODY: frozenset[ConsoleRole] = frozenset()
#: Whoever is signed in.
EVERY_ROLE = tuple(ConsoleRole)


def requires(*roles: ConsoleRole) -> Callable[[View], View]:
    """Declare who may open a page; an admin may open each."""

    def declare(view: View) -> View:
        setattr(view, _DECLARED, frozenset((*roles, ConsoleRole.ADMIN)))
        return view

    return declare


def anybody(view: View) -> View:
    """Declare that a page is open to people who have not signed in."""
    setattr(view, _DECLARED, ANYBODY)
    return view


def roles_of(endpoint: str) -> frozenset[ConsoleRole] | None:
    """Return who may open a page: ANYBODY, some roles, or None when it declares nothing."""
    declared: frozenset[ConsoleRole] | None = getattr(current_app.view_functions[endpoint], _DECLARED, None)
    return declared


def check() -> Response | None:
    """Refuse whoever may not open the page of this request; runs before each page.

    Raises:
        Forbidden: not with this role.
        BadRequest: a form that was not shown to this session.
    """
    allowed = roles_of(request.endpoint or "")
    if allowed is None:
        raise Forbidden("this page declares no role")
    check_token()
    if allowed == ANYBODY:
        return None
    user = signed_in()
    if user is None:
        here = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("console.account.login", next=here), 303)
    if user.one_time and not (request.endpoint or "").startswith("console.account."):
        return redirect(url_for("console.account.password"), 303)
    if user.role not in allowed:
        raise Forbidden("this page is not for your role")
    return None
