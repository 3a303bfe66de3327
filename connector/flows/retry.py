"""What to do after a failed attempt. One pure function; jitter and clock come from outside."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from connector.errors import (
    AuthenticationError,
    ConnectorError,
    OutcomeUnknown,
    RateLimited,
    TransientError,
    Unavailable,
)


class NextStep(StrEnum):
    """Retry later, look for our key first, ask a person, or let the whole connection rest."""

    RETRY = "retry"
    RECONCILE = "reconcile"
    PARK = "park"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential waits with a ceiling; the CRM's own `retry_after` always wins.

    A rate limit, a CRM that is down and bad credentials are no record's fault: they burn no attempt, and
    the whole connection rests. The attempts of the others last about a day.
    """

    first: timedelta = timedelta(seconds=1)
    ceiling: timedelta = timedelta(hours=1)
    attempts: int = 36
    down: timedelta = timedelta(seconds=10)
    refused: timedelta = timedelta(minutes=5)

    def next_step(self, error: ConnectorError, attempts: int) -> tuple[NextStep, timedelta]:
        """Return what to do after failure number `attempts` (1 is the first) and how long to wait."""
        rest = self._rest(error)
        if rest is not None:
            return NextStep.PAUSE, rest
        if not isinstance(error, TransientError | OutcomeUnknown) or attempts >= self.attempts:
            return NextStep.PARK, timedelta(0)
        wait = min(self.first * 2 ** (attempts - 1), self.ceiling)
        if isinstance(error, OutcomeUnknown):
            return NextStep.RECONCILE, wait
        return NextStep.RETRY, max(wait, error.retry_after or timedelta(0))

    def _rest(self, error: ConnectorError) -> timedelta | None:
        """Return how long the whole connection should rest, None for an error of one record."""
        if isinstance(error, AuthenticationError):
            return self.refused
        if isinstance(error, RateLimited):
            return error.retry_after or self.first
        if isinstance(error, Unavailable):
            return error.retry_after or self.down
        return None
