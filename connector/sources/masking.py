"""What a body says without saying it: values masked, secrets never shown."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from connector.errors import UnreadableDelivery
from connector.model.text import clean
from connector.sources.bodies import json_document, media_type, multipart_pairs, scalar_text, urlencoded_pairs

Mask = Callable[[str], str]

#: Stands where a secret was.
HIDDEN = "(secret)"

# Some senders put their shared key into the body; they spell it in more than one way.
_SECRETIVE = re.compile(
    r"secret|password|passwd|passphrase|token|signature|credential|captcha|authorization|bearer"
    r"|(api|google|handshake|private|access|auth|shared|signing)[-_. ]?key",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"""([A-Za-z0-9_.\-]+)(["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s&;,}]+)""")
_DEEPEST = 40
# Where a secret was, until the rest is masked: no text may hold it.
_GONE = "\0"


def shape(text: str) -> str:
    """Return what a value looks like: letters and digits are replaced, all else stays."""
    return "".join("9" if c.isdecimal() else ("X" if c.isupper() else "x") if c.isalnum() else c for c in text)


def as_it_is(text: str) -> str:
    """Return a value as it was sent."""
    return text


def secretive(name: str) -> bool:
    """Tell whether a field or header of this name may hold a secret."""
    return _SECRETIVE.search(name) is not None


def show_value(name: str, value: str, mask: Mask, secrets: Collection[str]) -> str:
    """Return a value as it may be shown under its name, also one that is a document of its own."""
    if secretive(name):
        return HIDDEN if value else ""
    if value.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(_tree(json_document(value.encode()), mask, secrets, 0), ensure_ascii=False)
        except UnreadableDelivery:
            return _plain(value, mask, secrets)
    return _plain(value, mask, secrets)


def show_body(body: bytes, content_type: str, mask: Mask, secrets: Collection[str]) -> str:
    """Return a body as lines to read; `secrets` never appear in them.

    JSON keeps its form, a form is a line for each field; what cannot be read is shown as text.
    """
    kind, options = media_type(content_type)
    charset = options.get("charset", "utf-8")
    try:
        match kind:
            case "application/x-www-form-urlencoded":
                return _lines(urlencoded_pairs(body, charset), mask, secrets)
            case "multipart/form-data":
                return _lines(multipart_pairs(body, options.get("boundary", "")), mask, secrets)
        tree = _tree(json_document(body, charset), mask, secrets, 0)
    except UnreadableDelivery:
        return _plain(body.decode(errors="replace"), mask, secrets)
    return clean(json.dumps(tree, ensure_ascii=False, indent=2))


def show_pairs(pairs: Mapping[str, str], mask: Mask, secrets: Collection[str]) -> dict[str, str]:
    """Return names and values as they may be shown."""
    return {clean(name): show_value(name, value, mask, secrets) for name, value in pairs.items()}


def _lines(pairs: list[tuple[str, str]], mask: Mask, secrets: Collection[str]) -> str:
    return "\n".join(f"{clean(name)}: {show_value(name, value, mask, secrets)}" for name, value in pairs)


def _tree(node: Any, mask: Mask, secrets: Collection[str], depth: int) -> Any:
    if depth > _DEEPEST:
        raise UnreadableDelivery("the JSON is nested too deeply")
    if isinstance(node, dict):
        return {name: _leaf(name, value, mask, secrets, depth + 1) for name, value in node.items()}
    if isinstance(node, list):
        return [_leaf("", value, mask, secrets, depth + 1) for value in node]
    return _leaf("", node, mask, secrets, depth)


def _leaf(name: str, value: Any, mask: Mask, secrets: Collection[str], depth: int) -> Any:
    if secretive(name) and value not in (None, ""):
        return HIDDEN
    if isinstance(value, dict | list):
        return _tree(value, mask, secrets, depth)
    return value if value is None or isinstance(value, bool) else show_value(name, scalar_text(value), mask, secrets)


def _plain(text: str, mask: Mask, secrets: Collection[str]) -> str:
    """Mask a text; a secret in it goes by its value, or by the name in front of it."""
    text = text.replace(_GONE, "")
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _GONE)
    text = _ASSIGNED.sub(_unassigned, text)
    return HIDDEN.join(clean(mask(part)) for part in text.split(_GONE))


def _unassigned(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{_GONE}" if secretive(found[1]) else found[0]
