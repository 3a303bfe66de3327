"""Is anything lost, stuck or late right now?"""

from flask import Blueprint, Response

from webhooks.console.guard import EVERY_ROLE, requires
from webhooks.console.rendering import page

routes = Blueprint("overview", __name__)


@routes.get("/")
@requires(*EVERY_ROLE)
def overview() -> Response:
    """Show what waits for a person."""
    return page("overview.html")
