"""One field of a form, read from the raw bytes without parsing the rest."""

from urllib.parse import unquote_plus

from flask import request

from connector.errors import UnreadableDelivery
from connector.sources.bodies import multipart_pairs


def peek(body: bytes, name: str) -> str:
    """Return the first value of a field of the current request's form, "" when it has none."""
    if request.mimetype == "multipart/form-data":
        return _peek_multipart(body, name)
    start = name.encode() + b"="
    for pair in body.split(b"&"):
        if pair.startswith(start):
            return unquote_plus(pair[len(start) :].decode("latin-1"), errors="replace")
    return ""


def _peek_multipart(body: bytes, name: str) -> str:
    if f'name="{name}"'.encode() not in body:
        return ""
    try:
        pairs = multipart_pairs(body, request.mimetype_params.get("boundary", ""))
    except UnreadableDelivery:
        return ""
    return next((value for given, value in pairs if given == name), "")
