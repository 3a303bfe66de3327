"""How long until something happens, where for some it has not happened yet."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt

from connector.journey.interval import Estimate, Z

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Wait:
    """How long somebody has waited, in seconds; `over`: until it happened, else until now."""

    seconds: float
    over: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The share still waiting after an instant, with its 95 % interval."""

    at: float
    waiting: Estimate


def curve(waits: Sequence[Wait]) -> Iterator[Step]:
    """Yield the Kaplan-Meier curve at each instant something happened.

    The interval is Greenwood's on the log-log scale, so that it stays between none and all.
    Source: J. D. Kalbfleisch and R. L. Prentice, The Statistical Analysis of Failure Time Data, 2nd ed., 1.4.
    """
    left = len(waits)
    ended, over = Counter(wait.seconds for wait in waits), Counter(wait.seconds for wait in waits if wait.over)
    share, spread = 1.0, 0.0
    for at in sorted(ended):
        events = over[at]
        if events:
            share *= 1 - events / left
            spread += events / (left * (left - events)) if events < left else inf
            yield Step(at, _limits(share, spread))
        left -= ended[at]


def _limits(share: float, spread: float) -> Estimate:
    if share <= 0:
        # Nobody is left to tell how sure that is.
        return Estimate(0.0, 0.0, 1.0)
    width = Z * sqrt(spread) / -log(share)
    return Estimate(share, share ** exp(width), share ** exp(-width))


def median(waits: Sequence[Wait]) -> Estimate | None:
    """Return after how many seconds half of all waits are over; None while fewer are.

    The interval holds the instants at which the curve may be at a half (R. Brookmeyer and J. Crowley, Biometrics 38
    (1982), 29-41, on the log-log scale); its upper end is infinite while the data do not limit it.
    """
    steps = list(curve(waits))
    value = next((step.at for step in steps if step.waiting.value <= _HALF), None)
    if value is None:
        return None
    low = next(step.at for step in steps if step.waiting.low <= _HALF)
    high = next((step.at for step in steps if step.waiting.high <= _HALF), inf)
    return Estimate(value, low, high)
