"""All pages below `/console`, behind one guard."""

from flask import Blueprint, Response, send_from_directory
from werkzeug.exceptions import HTTPException

from webhooks.console import account, cards, intake, leads, overview
from webhooks.console.guard import anybody, check
from webhooks.console.rendering import refusal
from webhooks.console.sessions import PATH

routes = Blueprint("console", __name__, url_prefix=PATH, template_folder="templates", static_folder=None)
routes.before_request(check)
routes.register_error_handler(HTTPException, refusal)


@routes.get("/static/<path:filename>")
@anybody
def static(filename: str) -> Response:
    """Send a style or a script of our own."""
    return send_from_directory(f"{routes.root_path}/static", filename)


for part in (account, cards, intake, leads, overview):
    routes.register_blueprint(part.routes)
