"""The values a condition accepts, as stretches of an ordered line.

Equality, prefix, range, list and NOT all become the same thing: text in the order of its code points,
numbers in theirs, and the points where acceptance begins or ends.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from connector.model.routing import Condition, Rule, Term

#: The key under which a rule's dates stand among its tests.
IN_FORCE = "in force"

_LAST = chr(0x10FFFF)


class Ordered(Protocol):
    """A point of a line: texts on one, whole numbers on another."""

    def __lt__(self, other: Any, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Extent:
    """A set of values: whether the very first one belongs to it, and the points where that turns over."""

    begins: bool
    turns: tuple[Ordered, ...] = ()

    def __invert__(self) -> "Extent":
        return Extent(not self.begins, self.turns)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What passes a test: an extent of known values, and perhaps an absent one."""

    extent: Extent
    missing: bool = False


def tests_of(rule: Rule) -> dict[str, Accepted]:
    """Return what the rule accepts in each field it tests, its domain apart, and the days it is in force."""
    tests: dict[str, Accepted] = {}
    for condition in rule.conditions:
        if condition.field != "domain":
            found, earlier = accepted(condition), tests.get(condition.field)
            tests[condition.field] = _both(earlier, found) if earlier else found
    if rule.valid_from or rule.valid_to:
        tests[IN_FORCE] = Accepted(_days(rule.valid_from, rule.valid_to))
    return tests


def accepted(condition: Condition) -> Accepted:
    """Return the values that pass one condition, as `conditions.condition_holds` means it."""
    numeric = condition.field == "employees"
    included = _alternatives(condition.include, numeric)
    if condition.exclude:
        excluded = _alternatives(condition.exclude, numeric)
        included = common([included, ~excluded]) if condition.include else ~excluded
    return Accepted(included, condition.missing)


def union(extents: Sequence[Extent]) -> Extent:
    """Return the values in any of the extents."""
    if len(extents) == 1:  # as nearly always
        return extents[0]
    depth = sum(extent.begins for extent in extents)
    steps: dict[Any, int] = defaultdict(int)
    for extent in extents:
        step = -1 if extent.begins else 1
        for turn in extent.turns:
            steps[turn] += step
            step = -step
    return Extent(depth > 0, tuple(_turns(depth, steps)))


def common(extents: Sequence[Extent]) -> Extent:
    """Return the values in all of the extents."""
    return ~union([~extent for extent in extents])


def _turns(depth: int, steps: dict[Any, int]) -> list[Ordered]:
    turns = []
    for point in sorted(steps):
        before, depth = depth, depth + steps[point]
        if (before > 0) is not (depth > 0):
            turns.append(point)
    return turns


def _both(one: Accepted, other: Accepted) -> Accepted:
    return Accepted(common([one.extent, other.extent]), one.missing and other.missing)


def _alternatives(terms: Sequence[Term], numeric: bool) -> Extent:
    return union([_stretch(term, numeric) for term in terms])


def _stretch(term: Term, numeric: bool) -> Extent:
    last = term.low if term.high is None else term.high
    if numeric:
        return _between(int(term.low), int(last) + 1)
    low = term.low.casefold()
    if term.prefix:
        return _starting_with(low)
    # No text lies between x and x + NUL.
    return _between(low, last.casefold() + "\0")


def _between(low: Ordered, end: Ordered) -> Extent:
    return Extent(False, (low, end) if low < end else ())


def _starting_with(stem: str) -> Extent:
    trimmed = stem.rstrip(_LAST)
    if not stem:
        return Extent(True)
    if not trimmed:
        return Extent(False, (stem,))
    return Extent(False, (stem, trimmed[:-1] + chr(ord(trimmed[-1]) + 1)))


def _days(first: date | None, last: date | None) -> Extent:
    """Return the days of a validity as ordinals."""
    if last is None:
        return Extent(False, (first.toordinal(),)) if first else Extent(True)
    end = last.toordinal() + 1
    return _between(first.toordinal(), end) if first else Extent(True, (end,))
