"""Errors of the API as problem documents (RFC 9457): a stable type, what is wrong, where, and what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from flask import Response
from werkzeug.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, its name for people, and what to do about it."""

    status: int
    title: str
    action: str


KINDS: Mapping[str, Kind] = {
    "bad-request": Kind(400, "The request cannot be understood", "Correct the request and send it again."),
    "invalid-json": Kind(400, "The body is not JSON", "Send one JSON object in UTF-8, without duplicate keys or NaN."),
    "invalid-idempotency-key": Kind(
        400, "The Idempotency-Key cannot be used", "Send 1 to 255 printable ASCII characters, bare or in double quotes."
    ),
    "unauthorized": Kind(
        401, "No valid API key", "Send `Authorization: Bearer KEY` with a key the configuration names in api_keys."
    ),
    "not-found": Kind(404, "There is no such thing", "Check the address and the id."),
    "method-not-allowed": Kind(405, "The address does not take this method", "See the Allow header."),
    "request-in-flight": Kind(
        409, "A request with this Idempotency-Key is still running", "Send the same request again in a moment."
    ),
    "too-large": Kind(413, "The body is too large", "Send one lead of at most 1 MB."),
    "unsupported-media-type": Kind(
        415, "The body is of a kind not read here", "Send `Content-Type: application/json`."
    ),
    "invalid-lead": Kind(
        422, "The lead is not valid", "Correct every field named in `errors` and send the request again."
    ),
    "idempotency-key-reused": Kind(
        422, "The Idempotency-Key was used for another body", "Use a new key for every new lead."
    ),
    "too-many-requests": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "internal-error": Kind(
        500,
        "Something went wrong here",
        "Send the same request again with the same Idempotency-Key; tell the operator.",
    ),
    "unavailable": Kind(
        503, "Nothing can be stored right now", "Send the same request again after Retry-After seconds."
    ),
}

# What a status means when nothing more is known.
_BY_STATUS: Mapping[int, str] = {
    401: "unauthorized",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
    503: "unavailable",
}


def problem(name: str, detail: str = "", *, errors: Iterable[tuple[str, str]] = ()) -> Response:
    """Build the answer for a kind of problem; `errors` are fields with what each must be."""
    kind = KINDS[name]
    return _document(name, kind, kind.status, detail, errors)


def problem_for(status: int, detail: str = "") -> Response:
    """Build the answer for a status nobody gave a kind of its own."""
    name = _BY_STATUS.get(status, "bad-request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal-error")
    return _document(name, KINDS[name], status, detail, ())


class Problem(HTTPException):
    """A problem as an exception, for code that cannot go on."""

    def __init__(self, name: str, detail: str = "", *, errors: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(detail, problem(name, detail, errors=errors))


def _document(name: str, kind: Kind, status: int, detail: str, errors: Iterable[tuple[str, str]]) -> Response:
    document: dict[str, object] = {
        "type": f"/problems/{name}",
        "title": kind.title,
        "status": status,
        "detail": detail or kind.title,
        "action": kind.action,
    }
    faults = [{"field": field, "message": message} for field, message in errors]
    if faults:
        document["errors"] = faults
    response = Response(orjson.dumps(document), status, content_type=MEDIA_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
