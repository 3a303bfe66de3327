"""One way to write a document down, so that equal content has equal bytes and an equal hash."""

import hashlib
import json


def canonical(document: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8. Documents hold no floats."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(content: bytes) -> str:
    """Return the SHA-256 of canonical bytes, in hex."""
    return hashlib.sha256(content).hexdigest()
