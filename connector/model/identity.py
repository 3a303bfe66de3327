"""Identifiers in order of time."""

import random
import time
from uuid import UUID

_MILLISECOND = 1_000_000


def new_id() -> UUID:
    """Return a UUID version 7: milliseconds and a 4,096th of one first, so that ids sort in the order they were made.

    Source: RFC 9562, sections 5.7 and 6.2 (method 3).
    """
    milliseconds, rest = divmod(time.time_ns(), _MILLISECOND)
    # An id is no secret; Python reseeds this generator from the system after a fork.
    chance = random.getrandbits(62)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | (rest * 4096 // _MILLISECOND) << 64 | 0b10 << 62 | chance)
