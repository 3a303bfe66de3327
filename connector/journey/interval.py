"""An estimate with its 95 % interval."""

from dataclasses import dataclass
from math import inf, sqrt

#: The 97.5 % point of the standard normal distribution.
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the limits of its 95 % interval; infinite where the data do not limit it."""

    value: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Tell whether zero is outside the interval."""
        return self.low > 0 or self.high < 0


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first less second of two independent estimates, from their own intervals.

    Source: the method of variance estimates recovery, G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008),
    1693-1702; it keeps the limits as uneven as those it is made of.
    """
    value = first.value - second.value
    down = _recovered(first.value - first.low, second.high - second.value)
    up = _recovered(first.high - first.value, second.value - second.low)
    return Estimate(value, value - down, value + up)


def _recovered(one: float, other: float) -> float:
    return inf if inf in (one, other) else sqrt(one * one + other * other)
