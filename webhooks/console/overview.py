"""Is anything lost, stuck or late right now?"""

from http import HTTPStatus

from flask import Blueprint, Response, redirect, url_for
from werkzeug.wrappers import Response as Redirect

from connector.flows import connection_status
from connector.model.console import ConsoleRole
from connector.store import commands, inbox, keying, reading
from webhooks.console.guard import EVERY_ROLE, requires
from webhooks.console.rendering import page
from webhooks.console.sessions import the_account
from webhooks.edge import edge

routes = Blueprint("overview", __name__)

#: The icon and the colour of what a connection is doing; red is for what needs a person.
CONDITIONS = {
    "writing": ("check", "good"),
    "observed": ("copy", "plain"),
    "resting": ("clock", "wait"),
    "paused": ("flag", "alarm"),
}


@routes.get("/")
@requires(*EVERY_ROLE)
def overview() -> Response | Redirect:
    """Show what waits for a person; who keys cards sees where to go."""
    if the_account().role == ConsoleRole.KEYER:
        return redirect(url_for("console.cards.batches"), HTTPStatus.SEE_OTHER)
    connections = connection_status.status(edge().services, counted=False)
    with edge().services.store.transaction() as tx:
        states, cards = reading.unfinished(tx), keying.waiting(tx)
        return page(
            "overview.html",
            states={**states, "waiting": states.get("waiting", 0) - cards},
            cards=cards,
            oldest=inbox.oldest_stored(tx),
            dead=commands.count_dead(tx),
            pending=sum(commands.backlog(tx).values()),
            held=inbox.held_leads(tx),
            connections=connections,
            conditions=CONDITIONS,
        )
