"""The blueprint the public pages share."""

from flask import Blueprint

routes = Blueprint("public", __name__, template_folder="templates", static_folder="static", static_url_path="/static")
