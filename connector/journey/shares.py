"""Shares and their difference, with score intervals that hold for small counts and for none at all."""

from math import sqrt

from connector.journey.interval import Estimate, Z


def share(count: int, of: int) -> Estimate | None:
    """Return count/of with Wilson's score interval; None of nothing.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212.
    """
    if of <= 0:
        return None
    rate, spread = count / of, Z * Z / of
    middle = (rate + spread / 2) / (1 + spread)
    half = Z * sqrt(rate * (1 - rate) / of + spread / (4 * of)) / (1 + spread)
    return Estimate(rate, max(0.0, middle - half), min(1.0, middle + half))


def paired_difference(both: int, only_first: int, only_second: int, neither: int) -> Estimate | None:
    """Return the difference of two shares of the same people, first less second; None of nobody.

    Everybody who was mailed could answer by either way, so the two shares are not independent.
    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650, method 10 (square and add, continuity
    corrected correlation).
    """
    people = both + only_first + only_second + neither
    first, second = share(both + only_first, people), share(both + only_second, people)
    if first is None or second is None:
        return None
    phi = _correlation(both, only_first, only_second, neither)
    value = (only_first - only_second) / people
    down = _together(first.value - first.low, second.high - second.value, phi)
    up = _together(first.high - first.value, second.value - second.low, phi)
    return Estimate(value, value - down, value + up)


def _together(one: float, other: float, phi: float) -> float:
    return sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    scale = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if not scale:
        return 0.0
    excess = float(both * neither - only_first * only_second)
    if excess > 0:
        excess = max(0.0, excess - (both + only_first + only_second + neither) / 2)
    return excess / sqrt(scale)
