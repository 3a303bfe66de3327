"""Refusals in the words of whoever asked: a problem document, a page, or one line of text."""

from http import HTTPStatus

from flask import Response, request
from werkzeug.exceptions import HTTPException

from webhooks.pages import message_page
from webhooks.problems import problem_for


def wants_page() -> bool:
    """Tell a browser that shows its answer to a person from a program."""
    return "text/html" in request.headers.get("Accept", "")


def answer_for(error: HTTPException) -> Response:
    """Turn a refusal into an answer: what, and what to do now."""
    code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if request.path.startswith("/api/"):
        response = problem_for(code, error.description or "")
    elif wants_page():
        response = message_page(f"error_{code}", code)
    else:
        response = Response(f"{error.description or HTTPStatus(code).phrase}\n", code, mimetype="text/plain")
    for name, value in error.get_headers(request.environ):
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response
