"""One field of a rule set: for every value, the bitmap of the rules that accept it.

After Lakshman & Stiliadis, SIGCOMM 1998: the bounds of all accepted stretches cut the line into slices,
within one of which the same rules accept. Bit i stands for the rule of rank i.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from connector.routing.extent import Accepted, Ordered

#: About so many bitmaps an axis keeps. Below, each slice has its own, which is fastest to read.
BITMAPS = 4096


class Axis:
    """The rules that accept a value of one field, or its absence.

    Where there are many slices, neighbours share the bitmap of the rules that accept all of them, and
    each keeps a list of the few others: no list is longer than the turns per bitmap.
    """

    __slots__ = ("_absent", "_bitmaps", "_bounds", "_others")

    def __init__(self, size: int, tests: Mapping[int, Accepted]) -> None:
        untested = ~bitmap(tests, size) & ((1 << size) - 1)
        turning: dict[Any, list[int]] = defaultdict(list)
        for rank, test in tests.items():
            for point in test.extent.turns:
                turning[point].append(rank)
        self._bounds: list[Ordered] = sorted(turning)
        self._absent = untested | bitmap((rank for rank, test in tests.items() if test.missing), size)
        self._bitmaps: list[int] = []
        self._others: list[tuple[int, ...]] = []
        begun = bitmap((rank for rank, test in tests.items() if test.extent.begins), size)
        self._sweep(untested | begun, [turning[point] for point in self._bounds])

    @property
    def bitmaps(self) -> Iterator[int]:
        """Return the bitmap of every slice in order of value, then that of an absent value."""
        return map(self.at, range(len(self._bitmaps) + 1))

    def accepting(self, value: Ordered | None) -> int:
        """Return the bitmap of the rules this value passes; None is an absent one."""
        if value is None:
            return self._absent
        place = bisect_right(self._bounds, value)
        others = self._others[place]
        return _with(self._bitmaps[place], others) if others else self._bitmaps[place]

    def place(self, value: Ordered | None) -> int:
        """Return where the value's bitmap stands among `bitmaps`."""
        return len(self._bitmaps) if value is None else bisect_right(self._bounds, value)

    def at(self, place: int) -> int:
        """Return the bitmap of a place, the last one being that of an absent value."""
        if place == len(self._bitmaps):
            return self._absent
        return _with(self._bitmaps[place], self._others[place])

    @property
    def bounds(self) -> Sequence[Ordered]:
        """Return where the second and all later slices begin."""
        return self._bounds

    def _sweep(self, accepting: int, turns: Sequence[Sequence[int]]) -> None:
        known: dict[int, int] = {}
        for first, end in _runs(turns):
            turning = set(chain.from_iterable(turns[first : end - 1]))
            others = {rank for rank in turning if accepting >> rank & 1}
            steady = _flipped(accepting, others)
            self._bitmaps += [known.setdefault(steady, steady)] * (end - first)
            self._others.append(tuple(others))
            for turned in turns[first : end - 1]:
                others.symmetric_difference_update(turned)
                self._others.append(tuple(others))
            accepting = _with(steady, others)
            if end <= len(turns):
                accepting = _flipped(accepting, turns[end - 1])


def _with(bits: int, ranks: Iterable[int]) -> int:
    for rank in ranks:
        bits |= 1 << rank
    return bits


def _flipped(bits: int, ranks: Iterable[int]) -> int:
    for rank in ranks:
        bits ^= 1 << rank
    return bits


def bitmap(ranks: Iterable[int], size: int) -> int:
    """Return the number whose bits at these ranks, all below `size`, are set."""
    data = bytearray(size + 7 >> 3)
    for rank in ranks:
        data[rank >> 3] |= 1 << (rank & 7)
    return int.from_bytes(data, "little")


def ranks(bits: int) -> Iterator[int]:
    """Return the ranks whose bits are set, in order."""
    digits = f"{bits:b}"[::-1]
    rank = digits.find("1")
    while rank >= 0:
        yield rank
        rank = digits.find("1", rank + 1)


def _runs(turns: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Cut the slices into runs with few turns inside; slice i + 1 begins with turns[i]."""
    limit = sum(map(len, turns)) // BITMAPS
    first = inside = 0
    for number, turning in enumerate(turns, 1):
        inside += len(turning)
        if inside > limit:
            yield first, number
            first, inside = number, 0
    yield first, len(turns) + 1
