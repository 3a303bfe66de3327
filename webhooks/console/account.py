"""Signing in and out, and one's own password."""

import logging
from http import HTTPStatus

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as Redirect

from connector.errors import HearbackError
from connector.flows import users as flow
from connector.store import users
from webhooks.console.guard import EVERY_ROLE, anybody, requires
from webhooks.console.rendering import page
from webhooks.console.sessions import PATH, begin, end, signed_in, the_account
from webhooks.edge import edge
from webhooks.limits import Rate, network

log = logging.getLogger(__name__)

routes = Blueprint("account", __name__)

#: Attempts to sign in, from one network and at one account.
FROM_NETWORK = Rate(20, 40)
AT_ACCOUNT = Rate(6, 12)


@routes.get("/login")
@anybody
def login() -> Response | Redirect:
    """Show the form to sign in, or how to make the first account."""
    if signed_in():
        return redirect(_next(), HTTPStatus.SEE_OTHER)
    with edge().services.store.transaction() as tx:
        if not users.exist(tx):
            return page("setup.html")
    return page("login.html", next=_next(), name="", wrong=False)


@routes.post("/login")
@anybody
def sign_in() -> Response | Redirect:
    """Begin a session."""
    name = request.form.get("name", "")
    _slow_down(name)
    user = flow.sign_in(edge().services, name, request.form.get("password", ""))
    if user is None:
        log.warning("login refused")
        return page("login.html", HTTPStatus.UNAUTHORIZED, next=_next(), name=name, wrong=True)
    begin(user)
    log.info("signed in", extra={"account": str(user.id)})
    return redirect(_next(), HTTPStatus.SEE_OTHER)


@routes.post("/logout")
@requires(*EVERY_ROLE)
def logout() -> Redirect:
    """End all sessions of the account, so that a copied cookie is worth nothing either."""
    with edge().services.store.transaction() as tx:
        users.end_sessions(tx, the_account().id)
    end()
    return redirect(url_for("console.account.login"), HTTPStatus.SEE_OTHER)


@routes.get("/password")
@requires(*EVERY_ROLE)
def password() -> Response:
    """Show the form to choose a password."""
    return page("password.html", complaint="")


@routes.post("/password")
@requires(*EVERY_ROLE)
def choose_password() -> Response | Redirect:
    """Replace one's own password and begin a new session."""
    me, services = the_account(), edge().services
    _slow_down(me.name)
    if flow.sign_in(services, me.name, request.form.get("now", "")) is None:
        return page("password.html", HTTPStatus.UNPROCESSABLE_ENTITY, complaint="password_wrong")
    try:
        flow.set_password(services, me, request.form.get("new", ""))
    except HearbackError:
        return page("password.html", HTTPStatus.UNPROCESSABLE_ENTITY, complaint="password_unfit")
    begin(flow.named(services, me.name))
    return redirect(url_for("console.overview.overview"), HTTPStatus.SEE_OTHER)


def _slow_down(name: str) -> None:
    limits, address = edge().limits, request.remote_addr or ""
    # Behind a proxy that is not trusted all come from this machine: they share a bucket.
    wait = limits.wait(FROM_NETWORK, f"login {network(address) or address}")
    wait = max(wait, limits.wait(AT_ACCOUNT, f"login {name[:100].casefold()}"))
    if wait:
        log.warning("too many attempts to sign in")
        raise TooManyRequests(retry_after=wait)


def _next() -> str:
    """Return where to go after signing in: a page of the console, whatever the address says."""
    asked = request.values.get("next", "")
    inside = asked.startswith(f"{PATH}/") and asked.isprintable() and "\\" not in asked
    return asked if inside else url_for("console.overview.overview")
