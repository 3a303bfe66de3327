"""Request bodies as raw bytes under a cap (requirements I2, I4, I24). Nothing is parsed here."""

from typing import IO, cast

from flask import request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

FORM_CAP = 64 * 1024
JSON_CAP = 1024 * 1024
FILES_CAP = 10 * 1024 * 1024

# Set once nothing of the body is left on the connection; without it the answer says "Connection: close".
READ = "hearback.body_read"
_PIECE = 64 * 1024


def cap_of(media: str) -> int:
    """Return how large a body of this media type may be."""
    if media == "application/x-www-form-urlencoded":
        return FORM_CAP
    return FILES_CAP if media == "multipart/form-data" else JSON_CAP


def read_body(cap: int | None = None) -> bytes:
    """Return the raw body of the current request.

    Raises:
        RequestEntityTooLarge: it is over the cap; a moderate rest is read away, so that the sender hears why.
        BadRequest: it ended before its announced length.
    """
    cap = cap_of(request.mimetype) if cap is None else cap
    environ = request.environ
    stream = cast("IO[bytes]", environ["wsgi.input"])
    declared = request.content_length
    if declared is None and not environ.get("wsgi.input_terminated"):
        declared = 0
    body = _read(stream, min(cap + 1, declared) if declared is not None else cap + 1)
    if len(body) > cap:
        if _drain(stream, None if declared is None else declared - len(body)):
            environ[READ] = True
        raise RequestEntityTooLarge(f"the body is larger than {cap} bytes: send less")
    environ[READ] = True
    if declared is not None and len(body) < declared:
        raise BadRequest("the body ended before its announced length: send it again")
    return body


def _read(stream: IO[bytes], most: int) -> bytes:
    first = stream.read(most)
    if len(first) == most or not first:
        return first
    pieces = [first]
    missing = most - len(first)
    while missing and (piece := stream.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _drain(stream: IO[bytes], left: int | None) -> bool:
    """Read a moderate rest away; return whether nothing is left of it."""
    budget = FILES_CAP
    while budget > 0 and left != 0:
        piece = stream.read(min(_PIECE, budget, budget if left is None else left))
        if not piece:
            return True
        budget -= len(piece)
        left = None if left is None else left - len(piece)
    return left == 0
