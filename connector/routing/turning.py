"""Which rules turn over anywhere between two cells of a line: a tree of bitmaps over blocks of cells."""

from collections.abc import Mapping, Sequence
from itertools import chain

from connector.routing.axis import bitmap

#: About so many blocks. More answer faster, and each is a bitmap of all rules.
_BLOCKS = 1024


class Turning:
    """The ranks that turn at each cell, ready for many questions."""

    __slots__ = ("_blocks", "_size", "_step", "_tree", "_turns")

    def __init__(self, turns: Mapping[int, Sequence[int]], cells: int, size: int) -> None:
        """Take the ranks, all below `size`, by the cell at which they begin or cease to accept."""
        self._turns, self._size = turns, size
        self._step = cells // _BLOCKS + 1
        self._blocks = cells // self._step + 1
        leaves = [self._few(first, first + self._step) for first in range(0, self._blocks * self._step, self._step)]
        self._tree = [0] * self._blocks + leaves
        for node in range(self._blocks - 1, 0, -1):
            self._tree[node] = self._tree[2 * node] | self._tree[2 * node + 1]

    def between(self, first: int, end: int) -> int:
        """Return the bitmap of the ranks that turn at a cell from `first` up to `end`."""
        low, high = -(-first // self._step), end // self._step
        if low >= high:
            return self._few(first, end)
        found = self._few(first, low * self._step) | self._few(high * self._step, end)
        low, high = low + self._blocks, high + self._blocks
        while low < high:
            if low & 1:
                found |= self._tree[low]
            if high & 1:
                found |= self._tree[high - 1]
            low, high = low + 1 >> 1, high >> 1
        return found

    def _few(self, first: int, end: int) -> int:
        found = [self._turns[cell] for cell in range(first, end) if cell in self._turns]
        return bitmap(chain.from_iterable(found), self._size) if found else 0
