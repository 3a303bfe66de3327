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

    `attempts` counts failures that burned one: a rate limit or bad credentials are nobody's record's fault.
    """

    first: timedelta = timedelta(seconds=1)
    ceiling: timedelta = timedelta(minutes=15)
    attempts: int = 12
    rest: timedelta = timedelta(minutes=5)

    def next_step(self, error: ConnectorError, attempts: int) -> tuple[NextStep, timedelta]:
        """Return what to do after failure number `attempts` (1 is the first) and how long to wait."""
        if isinstance(error, AuthenticationError):
            return NextStep.PAUSE, self.rest
        if isinstance(error, RateLimited):
            return NextStep.PAUSE, error.retry_after or self.first
        if isinstance(error, TransientError | OutcomeUnknown):
            if attempts >= self.attempts:
                return NextStep.PARK, timedelta(0)
            wait = min(self.first * 2 ** (attempts - 1), self.ceiling)
            if isinstance(error, OutcomeUnknown):
                return NextStep.RECONCILE, wait
            return NextStep.RETRY, max(wait, error.retry_after or timedelta(0))
        return NextStep.PARK, timedelta(0)
