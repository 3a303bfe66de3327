"""`dedupe_key` of a source: where the sender's own id of a submission stands (requirement I8)."""

import re

from connector.model.delivery import KEY_PLACES, SECRETIVE
from connector.settings.shapes import fault

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def key_part(text: str) -> str:
    """Return one part of a dedupe key: where the sender's own id of a submission stands."""
    place, colon, name = text.partition(":")
    name = name.strip()
    if place not in KEY_PLACES or not colon or not name:
        raise fault(
            f"'{text}' is no part of a key",
            "the same submission would not be known again",
            'write it like "header:x-request-id", "body:entry.id" or "query:id"',
        )
    if place != "header":
        return f"{place}:{name}"
    if not _HEADER.fullmatch(name):
        raise fault(f"'{name}' is no name of a header", "no request could have it", 'write it like "x-request-id"')
    if any(word in name.lower() for word in SECRETIVE):
        raise fault(
            f"the header {name} is never kept", "it may hold a credential", "name another header that holds the id"
        )
    return f"header:{name.lower()}"
