"""Bearer tokens: a service key that stays, or OAuth tokens renewed by their expiry and shared by all threads."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from connector.errors import AuthenticationError

#: Renewed this long before the end, so that no request leaves with a token that dies on the way.
EARLY = 120.0


@dataclass(frozen=True, slots=True)
class Fresh:
    """A token and how long it lives, in seconds."""

    token: str = field(repr=False)
    seconds: float


class Tokens(Protocol):
    """Where the token of a request comes from."""

    def current(self) -> str:
        """Return a token that should be valid."""

    def renew(self, refused: str) -> str:
        """Return another token than the refused one.

        Raises:
            AuthenticationError: there is no other.
        """

    def revoke(self) -> str:
        """Give the token back; return what somebody has to do instead, "" for nothing."""


class ServiceKey:
    """A fixed token: a service key, or a static token of a project app."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        """Return the token."""
        return self._token

    def renew(self, refused: str) -> str:  # noqa: ARG002 - it is the only one
        """Say that there is no other."""
        raise AuthenticationError("HubSpot refuses the token: enter a valid service key")

    def revoke(self) -> str:
        """Say where the key is deleted: no call does it."""
        return "delete this connection's service key: Settings, Integrations, Service Keys"


class OAuth:
    """Tokens of an OAuth app. `ask` exchanges the refresh token, which HubSpot does not rotate; `give_back` revokes it.

    One renewal serves every thread that waits for it.
    """

    def __init__(
        self,
        ask: Callable[[], Fresh],
        give_back: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._give_back = give_back
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def current(self) -> str:
        """Return the token, renewed if it ends soon."""
        with self._lock:
            if not self._token or self._clock() >= self._until:
                self._renew()
            return self._token

    def renew(self, refused: str) -> str:
        """Return another token; whoever comes second with the same refused one gets the first one's."""
        with self._lock:
            if self._token == refused:
                self._renew()
            return self._token

    def revoke(self) -> str:
        """Give the refresh token back."""
        self._give_back()
        return ""

    def _renew(self) -> None:
        fresh = self._ask()
        self._token = fresh.token
        self._until = self._clock() + max(fresh.seconds - EARLY, fresh.seconds / 2)
