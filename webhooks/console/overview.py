"""Is anything lost, stuck or late right now?"""

from flask import Blueprint, Response

from connector.model.console import ConsoleRole
from connector.store import commands, inbox, reading
from webhooks.console.guard import EVERY_ROLE, requires
from webhooks.console.rendering import page
from webhooks.console.sessions import the_account
from webhooks.edge import edge

routes = Blueprint("overview", __name__)


@routes.get("/")
@requires(*EVERY_ROLE)
def overview() -> Response:
    """Show what waits for a person; who keys cards sees where to go."""
    if the_account().role == ConsoleRole.KEYER:
        return page("keyer.html")
    with edge().services.store.transaction() as tx:
        return page(
            "overview.html",
            states=reading.unfinished(tx),
            oldest=inbox.oldest_stored(tx),
            dead=commands.count_dead(tx),
            pending=sum(commands.backlog(tx).values()),
            held=inbox.held_leads(tx),
        )
