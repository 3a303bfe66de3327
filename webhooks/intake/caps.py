"""How many fields a form may have and how long one may be (requirement I24), told without parsing it.

A person who wrote too much hears so at once. JSON tells its fields only when it is parsed: there the worker sets aside
what is too much.
"""

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from connector.sources.bodies import MAX_FIELDS, MAX_VALUE_BYTES

_HEADS_END = b"\r\n\r\n"
#: A line end before each boundary belongs to the boundary.
_LINE_END = 2


def check_form(body: bytes) -> None:
    """Raise `RequestEntityTooLarge` for a form of the current request with too many fields, or too long a field."""
    multipart = request.mimetype == "multipart/form-data"
    sizes = _parts(body, request.mimetype_params.get("boundary", "")) if multipart else _pairs(body)
    if len(sizes) > MAX_FIELDS:
        raise RequestEntityTooLarge(f"the form has more than {MAX_FIELDS} fields: send less")
    if any(size > MAX_VALUE_BYTES for size in sizes):
        raise RequestEntityTooLarge(f"a field is longer than {MAX_VALUE_BYTES} bytes: send less")


def _pairs(body: bytes) -> list[int]:
    """Return the size of each urlencoded value; three characters of `%41` stand for one byte."""
    values = (pair.partition(b"=")[2] for pair in body.split(b"&", MAX_FIELDS))
    return [len(value) - 2 * value.count(b"%") for value in values]


def _parts(body: bytes, boundary: str) -> list[int]:
    """Return the size of each part; a file counts as a part but may be as large as the body."""
    if not boundary:
        return []
    _, *parts = body.split(b"--" + boundary.encode("latin-1", "replace"), MAX_FIELDS + 1)
    return [_size(part) for part in parts if not part.startswith(b"--")]


def _size(part: bytes) -> int:
    heads, _, content = part.partition(_HEADS_END)
    return 0 if b"filename=" in heads or b"filename*=" in heads else len(content) - _LINE_END
