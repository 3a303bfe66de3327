"""429 for whoever sends too much, in the words of RFC 9110 and of the RateLimit draft (requirements I25, I30)."""

from typing import TYPE_CHECKING

from werkzeug.exceptions import TooManyRequests

from webhooks.edge import edge
from webhooks.limits import Rate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MINUTE = 60


class Throttled(TooManyRequests):
    """A refusal that says how much is allowed and when to come back (draft-ietf-httpapi-ratelimit-headers-11)."""

    def __init__(self, rate: Rate, name: str, wait: int, description: str) -> None:
        super().__init__(description, retry_after=wait)
        self._policy = f'"{name}";q={rate.burst};w={rate.burst * _MINUTE // rate.per_minute}'
        self._state = f'"{name}";r=0;t={wait}'

    def get_headers(
        self, environ: "WSGIEnvironment | None" = None, scope: dict[str, object] | None = None
    ) -> list[tuple[str, str]]:
        """Return the headers of the answer."""
        own = [("RateLimit-Policy", self._policy), ("RateLimit", self._state)]
        return [*super().get_headers(environ, scope), *own]


def throttle(rate: Rate, name: str, who: str, description: str) -> None:
    """Take a token from the bucket of `who`, if anybody; `name` is what the policy is called.

    Raises:
        Throttled: the bucket is empty.
    """
    wait = edge().limits.wait(rate, who) if who else 0
    if wait:
        raise Throttled(rate, name, wait, description)
