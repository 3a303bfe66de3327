"""Whether a delivery came before: the key a configured expression finds in it (requirements I8 to I12)."""

from collections.abc import Sequence
from typing import Any

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.text import clean
from connector.sources.bodies import (
    Pair,
    dotted,
    json_document,
    media_type,
    multipart_pairs,
    scalar_text,
    urlencoded_pairs,
)
from connector.sources.placing import key_text

#: Keys made of an expression have a space of their own beside the senders' ids and the hashes of content.
PREFIX = "key:"
_APART = "|"


def expressed_key(parts: Sequence[str], delivery: Delivery, position: int, leads: int) -> str | None:
    """Return the key that `parts` (`header:NAME`, `body:PATH`, `query:NAME`) find for one lead of a delivery.

    None when there are no parts or one of them finds nothing: then the source's own rule counts. A key that is
    the same for all of several leads gets the lead's position.
    """
    if not parts:
        return None
    root, own = _root(delivery, position, leads) if any(part.startswith("body:") for part in parts) else (None, False)
    found = [_part(part, delivery, root) for part in parts]
    if not all(found):
        return None
    joined = _APART.join(_escaped(text) for text in found)
    if leads > 1 and not own:
        joined += f"#{position + 1}"
    return f"{PREFIX}{key_text(joined)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(_APART, f"\\{_APART}")


def _part(part: str, delivery: Delivery, root: Any) -> str:
    place, _, name = part.partition(":")
    match place:
        case "header":
            text = delivery.headers.get(name.lower(), "").strip().strip('"')
        case "query":
            text = delivery.query.get(name, "")
        case _:
            text = _in_pairs(root, name) if isinstance(root, Pairs) else _in_document(root, name)
    return clean(text).strip()


class Pairs(list[Pair]):
    """Names and values of a form, as opposed to a JSON list."""


def _root(delivery: Delivery, position: int, leads: int) -> tuple[Any, bool]:
    """Return where a path begins, and whether that is this lead's alone: one object of a list."""
    document = content_of(delivery)
    if isinstance(document, list) and not isinstance(document, Pairs) and len(document) == leads:
        return document[position], True
    return document, False


def content_of(delivery: Delivery) -> Any:
    """Return what a body holds, pairs or a JSON document; None when nobody can read it."""
    kind, options = media_type(delivery.content_type)
    charset = options.get("charset", "utf-8")
    try:
        match kind:
            case "application/x-www-form-urlencoded":
                return Pairs(urlencoded_pairs(delivery.body, charset))
            case "multipart/form-data":
                return Pairs(multipart_pairs(delivery.body, options.get("boundary", "")))
        return json_document(delivery.body, charset)
    except UnreadableDelivery:
        return None


def _in_pairs(pairs: Sequence[Pair], path: str) -> str:
    wanted = dotted(path)
    return next((value for name, value in pairs if name == path or dotted(name) == wanted), "")


def _in_document(value: Any, path: str) -> str:
    """Follow a path through objects and lists; the names on the way may hold dots themselves."""
    return _at(value, dotted(path).split("."))


def _at(value: Any, steps: Sequence[str]) -> str:
    if not steps:
        return "" if isinstance(value, dict | list) else scalar_text(value)
    if isinstance(value, list):
        first, *rest = steps
        inside = first.isascii() and first.isdigit() and len(first) < len("10000") and int(first) < len(value)
        return _at(value[int(first)], rest) if inside else ""
    if not isinstance(value, dict):
        return ""
    names = ((".".join(steps[:count]), steps[count:]) for count in range(1, len(steps) + 1))
    return next((text for name, rest in names if name in value and (text := _at(value[name], rest))), "")
