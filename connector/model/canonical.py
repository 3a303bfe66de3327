"""One way to write a document down, so that equal content has equal bytes and an equal hash."""

import hashlib
import json

import orjson


def canonical(document: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8. Documents hold no floats.

    The bytes are those of `plain`, which needs the standard library alone; a property test compares them.
    """
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Numbers beyond 64 bits, which only a configuration may hold.
        return plain(document)


def plain(document: object) -> bytes:
    """Return canonical JSON with the standard library, as an auditor's checker would."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(content: bytes) -> str:
    """Return the SHA-256 of canonical bytes, in hex."""
    return hashlib.sha256(content).hexdigest()
