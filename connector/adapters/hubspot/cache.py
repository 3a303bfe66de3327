"""What is read of an account once and then remembered for a while."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")

#: Admins change pipelines and properties seldom; what they change is seen after this many seconds.
_SECONDS = 900.0


class Cached(Generic[Kept]):
    """A value that is loaded when it is first needed; a failed load leaves nothing behind."""

    def __init__(self, load: Callable[[], Kept], *, seconds: float = _SECONDS) -> None:
        self._load = load
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: tuple[Kept, float] | None = None

    def get(self) -> Kept:
        """Return the value, loaded anew when it is old."""
        with self._lock:
            if self._kept is None or time.monotonic() - self._kept[1] > self._seconds:
                self._kept = self._load(), time.monotonic()
            return self._kept[0]

    def forget(self) -> None:
        """Have the next call load it anew."""
        with self._lock:
            self._kept = None
