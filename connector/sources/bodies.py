"""Bodies as bytes -> names and values, or `UnreadableDelivery` with a plain reason.

A pair is (name, value) in the order sent; a name may come more than once.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from connector.errors import UnreadableDelivery
from connector.model.text import clean

Pair = tuple[str, str]

_BRACKETED = re.compile(r"\[([^\[\]]*)\]")

# Requirement I24. The size of the whole body is capped at the door.
MAX_FIELDS = 200
MAX_VALUE_BYTES = 10 * 1024
MAX_NAME = 200
MAX_DEPTH = 20

# What browsers send, by every label they use for it; other codecs of Python are no character sets of the web.
_CHARSETS: Mapping[str, str] = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-2": "iso8859-2",
    "windows-1250": "cp1250",
    "iso-8859-15": "iso8859-15",
}


def media_type(content_type: str) -> tuple[str, dict[str, str]]:
    """Split a Content-Type header into its lower-case type and its parameters."""
    kind, options = parse_options_header(content_type)
    return kind.lower(), options


def decoded(body: bytes, charset: str = "utf-8") -> str:
    """Decode a body strictly; a byte order mark is dropped."""
    try:
        return body.decode(codec(charset)).removeprefix("\ufeff")
    except UnicodeDecodeError as err:
        raise UnreadableDelivery(f"the body is not {charset}: declare the encoding the sender uses") from err


def codec(charset: str) -> str:
    """Return Python's name of a web character set."""
    try:
        return _CHARSETS[charset.strip().lower()]
    except KeyError as err:
        raise UnreadableDelivery("the declared character set is not supported: send UTF-8") from err


def urlencoded_pairs(body: bytes, charset: str = "utf-8", *, most: int = MAX_FIELDS) -> list[Pair]:
    """Read `application/x-www-form-urlencoded`, at most so many pairs; empty values are kept."""
    text = decoded(body, charset)
    try:
        return parse_qsl(
            text,
            keep_blank_values=True,
            encoding=codec(charset),
            errors="strict",
            max_num_fields=most,
        )
    except UnicodeDecodeError as err:
        raise UnreadableDelivery(f"a value is not {charset}: declare the encoding the sender uses") from err
    except ValueError as err:
        raise UnreadableDelivery(f"the form has more than {most} fields") from err


def multipart_pairs(body: bytes, boundary: str) -> list[Pair]:
    """Read `multipart/form-data`. A file is noted by name, type and size, its content is not kept (I23)."""
    try:
        return list(_parts(body, boundary.encode("latin-1")))
    except RequestEntityTooLarge as err:
        raise UnreadableDelivery(f"the form has more than {MAX_FIELDS} fields") from err
    except ValueError as err:
        raise UnreadableDelivery("the multipart body is damaged or cut off, or not UTF-8") from err


def _parts(body: bytes, boundary: bytes) -> Iterator[Pair]:
    if not boundary:
        raise UnreadableDelivery("the multipart body names no boundary")
    decoder = MultipartDecoder(boundary, max_parts=MAX_FIELDS)
    decoder.receive_data(body)
    decoder.receive_data(None)
    part: Field | File | None = None
    content = bytearray()
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            part, content = event, bytearray()
        elif isinstance(event, Data) and part is not None:
            content += event.data
            if not event.more_data:
                yield _part_pair(part, bytes(content))


def _part_pair(part: Field | File, content: bytes) -> Pair:
    if not isinstance(part.name, str):
        raise UnreadableDelivery("a part of the multipart body has no name")
    if isinstance(part, File):
        return part.name, _file_note(part.filename, part.headers, len(content))
    return part.name, content.decode()


def _file_note(filename: str, headers: Headers, size: int) -> str:
    if not filename and not size:
        return ""
    kind = headers.get("content-type", "unknown type")
    return f"file {filename[:MAX_NAME]!r}, {kind[:MAX_NAME]}, {size} bytes, not stored"


def json_document(body: bytes, charset: str = "utf-8") -> Any:
    """Read JSON without losing anything: exact numbers, no key given twice, no NaN."""
    text = decoded(body, charset)
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except RecursionError as err:
        raise UnreadableDelivery("the JSON is nested too deeply") from err
    except (ValueError, ArithmeticError) as err:
        raise UnreadableDelivery("the body is not JSON") from err


def _no_constant(_: str) -> NoReturn:
    raise UnreadableDelivery("the JSON holds NaN or Infinity, which JSON does not have")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise UnreadableDelivery("a JSON object gives the same key twice")
    return document


def json_pairs(document: Mapping[str, Any]) -> list[Pair]:
    """Flatten an object: `a.b` for objects, `a[0]` for lists of objects, a repeated name for plain lists."""
    pairs: list[Pair] = []
    for name, value in document.items():
        _flatten(name, value, pairs, 1)
    return pairs


def _flatten(name: str, value: Any, pairs: list[Pair], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UnreadableDelivery(f"the JSON is nested deeper than {MAX_DEPTH} levels")
    if len(pairs) > MAX_FIELDS:
        raise UnreadableDelivery(f"the JSON has more than {MAX_FIELDS} values")
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, pairs, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            nested = isinstance(inner, dict | list)
            _flatten(f"{name}[{index}]" if nested else name, inner, pairs, depth + 1)
    else:
        pairs.append((name, scalar_text(value)))


def scalar_text(value: Any) -> str:
    """Write a JSON scalar as text; ids keep every digit (requirement I12), null is empty."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)
    except ValueError as err:
        raise UnreadableDelivery("a number has thousands of digits") from err


def dotted(name: str) -> str:
    """Write a path one way: `fields[email][value]` as `fields.email.value`, `a[0].b` as `a.0.b`, `lines[]` as `lines`.

    Forms and JSON spell the same path differently; a mapping may use either.
    """
    return _BRACKETED.sub(lambda found: f".{found[1]}" if found[1] else "", name).lstrip(".")


def within_caps(pairs: list[Pair]) -> list[Pair]:
    """Clean names and values (I22); `UnreadableDelivery` when there are too many or one is too long (I24)."""
    if len(pairs) > MAX_FIELDS:
        raise UnreadableDelivery(f"more than {MAX_FIELDS} fields")
    cleaned = [(clean(name).strip(), clean(value)) for name, value in pairs]
    for name, value in cleaned:
        if len(name) > MAX_NAME:
            raise UnreadableDelivery(f"the name of a field is longer than {MAX_NAME} characters")
        if len(value) > MAX_VALUE_BYTES or len(value.encode()) > MAX_VALUE_BYTES:
            raise UnreadableDelivery(f"the value of a field is longer than {MAX_VALUE_BYTES} bytes")
    return cleaned
