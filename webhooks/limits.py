"""Token buckets in this process's memory: the cheapest layer against abuse (requirement I25)."""

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a minute for ever, and so many at once after a quiet time."""

    per_minute: int
    burst: int


#: Form posts from one network; an office full of visitors stays far below.
FORMS = Rate(60, 120)
#: Posts to one form, from anywhere: more than a campaign brings, less than would fill a disk unseen.
ONE_FORM = Rate(3_000, 6_000)
#: Looks at the page of a response card: a house full of recipients stays far below, and guessing tokens is hopeless.
CARD_PAGES = Rate(30, 60)
#: Posts under an oid nobody configured.
UNKNOWN_OID = Rate(6, 12)
#: Deliveries of one source that failed verification and still are kept (requirement I14).
REJECTED = Rate(60, 120)

# Buckets that are full again are forgotten once there are more than this.
_MOST_BUCKETS = 20_000


class Limits:
    """Counts what each network or source did lately. Each process counts for itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[Rate, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, rate: Rate, who: str) -> int:
        """Take one token; return 0, or after how many seconds to come back."""
        now = self._clock()
        with self._lock:
            left, seen = self._buckets.get((rate, who), (float(rate.burst), now))
            left = min(rate.burst, left + (now - seen) * rate.per_minute / 60)
            if left < 1:
                self._buckets[rate, who] = (left, now)
                return math.ceil((1 - left) * 60 / rate.per_minute)
            self._buckets[rate, who] = (left - 1, now)
            if len(self._buckets) > _MOST_BUCKETS:
                self._forget(now)
        return 0

    def _forget(self, now: float) -> None:
        kept = {
            key: (left, seen)
            for key, (left, seen) in self._buckets.items()
            if left + (now - seen) * key[0].per_minute / 60 < key[0].burst
        }
        self._buckets = kept if len(kept) <= _MOST_BUCKETS else {}


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Return the network that shares a bucket: /24 or /48; "" for this machine and for what is no address.

    This machine is a proxy, the demo or a benchmark: nobody is behind it whom a bucket could tell apart.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return ""
    prefix = 24 if ip.version == 4 else 48  # noqa: PLR2004 (IP versions)
    return str(ipaddress.ip_network((ip, prefix), strict=False))
