"""The values leads can have in a field, so that what holds for all of them can be told.

An extent is projected onto such a world: between the codes 49999 and 50000 there are texts but no codes.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import product
from string import ascii_lowercase
from typing import Any

from connector.model.postal import DIGITS
from connector.routing.extent import IN_FORCE, Accepted, Extent

_ALPHABET = "0123456789" + ascii_lowercase
_PAIRS = tuple(map("".join, product(ascii_lowercase, repeat=2)))


@dataclass(frozen=True, slots=True)
class World:
    """The values from `first` up to `end`; `move` finds the first value at or after a point."""

    first: Any
    end: Any
    move: Callable[[Any], Any]
    absent: bool = True

    def project(self, test: Accepted) -> Accepted:
        """Return the part of a test that lies in this world."""
        if self._holds(test):
            return test
        begins, turns = test.extent.begins, set[Any]()
        for point in map(self.move, test.extent.turns):
            if not self.first < point:
                begins = not begins
            elif self.end is None or point < self.end:
                turns ^= {point}
        return Accepted(Extent(begins, tuple(sorted(turns))), test.missing and self.absent)

    def _holds(self, test: Accepted) -> bool:
        """Tell whether a test is in this world what it is everywhere, as in most fields it is."""
        if self.move is not _itself or not self.absent:
            return False
        turns = test.extent.turns
        return not turns or (self.first < turns[0] and (self.end is None or turns[-1] < self.end))


def world_of(field: str, country: str, today: date) -> World:
    """Return the world of a field; postal codes are those of the country, days start today."""
    if field == IN_FORCE:
        return World(today.toordinal(), date.max.toordinal() + 1, _itself, absent=False)
    if field == "employees":
        return World(0, None, _itself)
    if field != "postal":
        return World("\0", None, _itself)
    width = DIGITS.get(country.upper())
    if width is None:
        return World("0", "{", _letters)
    return World(0, 10**width, lambda point: _digits(point, width))


def sample(field: str, low: Any, high: Any) -> Any:
    """Return a value from `low` to before `high`; None is the end of a world without one."""
    if not isinstance(low, str) or field == "postal":
        return low
    candidates = [pair for pair in _PAIRS if low <= pair] if field == "country" else []
    if low.endswith("\0"):
        candidates += [low.rstrip("\0") + more for more in ("other", "-other", "0")]
    return next((text for text in candidates if low <= text and (high is None or text < high)), low)


def _itself(point: Any) -> Any:
    return point


def _digits(point: str, width: int) -> int:
    """Return the first code, as a number, that does not come before the point."""
    start = point[:width]
    if start.isdecimal() and start.isascii():
        return int(start.ljust(width, "0")) + (len(point) > width)
    return bisect_left(range(10**width), point, key=lambda number: f"{number:0{width}}")


def _letters(point: str) -> str:
    """Return the first text of digits and letters that does not come before the point."""
    if point.endswith("\0"):
        return point[:-1] + "0"
    while point and point[-1] not in _ALPHABET:
        last, point = point[-1], point[:-1]
        if last < "a":
            return point + ("0" if last < "0" else "a")
        point = point[:-1] + chr(ord(point[-1]) + 1) if point else ""
    return point or "{"
