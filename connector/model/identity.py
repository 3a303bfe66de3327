"""Identifiers in order of time."""

import random
import time
from uuid import UUID


def new_id() -> UUID:
    """Return a UUID version 7 (RFC 9562): milliseconds first, so that indexes grow at one end."""
    stamp = time.time_ns() // 1_000_000
    # An id is no secret; Python reseeds this generator from the system after a fork.
    chance = random.getrandbits(74)
    return UUID(int=stamp << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & ((1 << 62) - 1))
