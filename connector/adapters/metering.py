"""How many calls each connection makes, and what for. Counted where a request leaves, told apart by who asked."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

#: Who calls when nobody said so.
OTHER = "other"

_purpose: ContextVar[str] = ContextVar("purpose", default=OTHER)
_lock = threading.Lock()
_calls: Counter[tuple[str, str]] = Counter()


@contextmanager
def calling_for(purpose: str) -> Iterator[None]:
    """Say what the calls made inside are for."""
    token = _purpose.set(purpose)
    try:
        yield
    finally:
        _purpose.reset(token)


def count(connection: str) -> None:
    """Count one request to a connection's CRM; adapters call it for every request, also those that fail."""
    with _lock:
        _calls[connection, _purpose.get()] += 1


def take() -> Mapping[tuple[str, str], int]:
    """Return the calls counted since the last time, by connection and purpose, and begin anew."""
    with _lock:
        taken = dict(_calls)
        _calls.clear()
    return taken


def put_back(calls: Mapping[tuple[str, str], int]) -> None:
    """Count calls again that were taken and could not be stored."""
    with _lock:
        _calls.update(calls)
