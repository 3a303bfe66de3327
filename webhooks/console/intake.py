"""What came in, what became of it, and why."""

from flask import Blueprint, Response

from connector.model.console import ConsoleRole
from webhooks.console.guard import requires
from webhooks.console.rendering import page

routes = Blueprint("intake", __name__)


@routes.get("/intake")
@requires(ConsoleRole.MANAGER)
def listing() -> Response:
    """List deliveries, newest first."""
    return page("intake.html")
