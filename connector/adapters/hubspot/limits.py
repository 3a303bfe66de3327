"""What HubSpot's answers say of its limits, so that calls stop before a limit and not at it.

Searches have a limit of their own, five a second for the whole account, which no header tells.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta

from connector.errors import RateLimited
from connector.model.crm import Budget

#: Calls of the short window that are left to others of the same app.
RESERVE = 5
#: Of the day's calls this share is left to people and other programs.
DAILY_SHARE = 0.01
#: One of the five searches a second is left to the rest of the account.
SEARCHES = 4
_SECOND = 1.0
_DAY = 86_400.0
#: How long to leave an account alone whose day is used up; its midnight is in its own time zone.
_DAILY_PAUSE = timedelta(hours=1)
_PREFIX = "X-HubSpot-RateLimit-"


class Limits:
    """The limits of one connection as last told. Safe to use from several threads."""

    def __init__(self, *, searches: int = SEARCHES, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._searches = searches
        self._searched: deque[float] = deque()
        self._window: tuple[int, int, float, float] | None = None
        self._day: tuple[int, int, float] | None = None

    def note(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer."""
        now = self._clock()
        limit, left, span = (_number(headers, name) for name in ("Max", "Remaining", "Interval-Milliseconds"))
        daily, rest = _number(headers, "Daily"), _number(headers, "Daily-Remaining")
        with self._lock:
            if limit and left is not None and span:
                self._window = limit, left, now, span / 1000
            if daily and rest is not None:
                self._day = daily, rest, now

    def reserve(self, call: str, *, search: bool, ahead: int = 0) -> None:
        """Raise `RateLimited` instead of sending a call that, with so many others, would use up what is left."""
        now = self._clock()
        with self._lock:
            wait = self._wait(now, ahead) or (self._search_wait(now) if search else None)
            if search and wait is None:
                self._searched.append(now)
        if wait is not None:
            raise RateLimited(f"{call}: nearly at HubSpot's limit, so not sent", retry_after=wait)

    def _wait(self, now: float, ahead: int) -> timedelta | None:
        if self._day is not None:
            daily, rest, at = self._day
            if rest <= daily * DAILY_SHARE and now - at < min(_DAY, _DAILY_PAUSE.total_seconds()):
                return _DAILY_PAUSE
        if self._window is not None:
            limit, left, at, span = self._window
            if left <= min(RESERVE + ahead, limit // 10) and now - at < span:
                return timedelta(seconds=span - (now - at))
        return None

    def _search_wait(self, now: float) -> timedelta | None:
        while self._searched and now - self._searched[0] >= _SECOND:
            self._searched.popleft()
        if len(self._searched) < self._searches:
            return None
        return timedelta(seconds=_SECOND - (now - self._searched[0]))

    def budget(self) -> Budget | None:
        """Return the day's use, or that of the short window where HubSpot tells no day (it does not to OAuth apps)."""
        with self._lock:
            if self._day is not None:
                daily, rest, _ = self._day
                return Budget(daily - rest, daily, "24 hours")
            if self._window is not None:
                limit, left, _, span = self._window
                return Budget(limit - left, limit, f"{span:g} seconds")
        return None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = str(headers.get(_PREFIX + name) or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None  # noqa: PLR2004 (no real limit)
