"""Vendors' JSON documents, read without trust: a part of another type counts as absent."""

from datetime import UTC, datetime
from typing import Any

from connector.errors import UnreadableDelivery
from connector.model.lead import Consent
from connector.model.text import clean
from connector.signatures import unix_time
from connector.sources.bodies import json_document, scalar_text, within_caps

#: A document this code does not look for further down.
Document = dict[str, Any]


def object_of(body: bytes, what: str = "the body") -> Document:
    """Read a JSON object; `UnreadableDelivery` when it is none."""
    document = json_document(body)
    if not isinstance(document, dict):
        raise UnreadableDelivery(f"{what} is not a JSON object")
    return document


def inner(document: Document, *path: str) -> Document:
    """Return the object at the end of a path, an empty one when there is none."""
    for name in path:
        found = document.get(name)
        document = found if isinstance(found, dict) else {}
    return document


def objects(document: Document, name: str) -> list[Document]:
    """Return the objects of a list."""
    found = document.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(document: Document, *names: str) -> str:
    """Return the first of these members that is a scalar with something in it, as text."""
    for name in names:
        value = document.get(name)
        if not isinstance(value, dict | list) and (said := clean(scalar_text(value)).strip()):
            return said
    return ""


def texts(value: Any) -> list[str]:
    """Return the scalars of a list as text, or a scalar as the only one."""
    values = value if isinstance(value, list) else [value]
    return [clean(scalar_text(each)) for each in values if not (each is None or isinstance(each, dict | list))]


def consent(purpose: str, given: bool, shown: str = "") -> Consent:
    """Return a consent within the caps on names and values (I24)."""
    [(purpose, shown)] = within_caps([(purpose, shown)])
    return Consent(purpose, given, shown)


def instant(said: str) -> datetime | None:
    """Read an ISO 8601 time with its offset, or milliseconds since 1970; None when it is neither."""
    if said.isdigit():
        return unix_time(said, per_second=1000)
    try:
        read = datetime.fromisoformat(said)
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo else None
