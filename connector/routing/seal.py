"""Seals: one hash over many decisions and the seal before, so that nothing changes unseen."""

import hashlib
from collections.abc import Iterable

#: What the first seal is chained to.
GENESIS = bytes(32)


def seal_of(previous: bytes, digests: Iterable[bytes]) -> bytes:
    """Return SHA-256 over the previous seal and the decisions' digests in order."""
    running = hashlib.sha256(previous)
    for digest in digests:
        running.update(digest)
    return running.digest()
