"""Sets of numbered cells as runs, each from its first cell up to its end.

Sorted and apart from one another, so that equal sets are equal runs.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

Run = tuple[int, int]
Runs = tuple[Run, ...]


def joined(runs: Iterable[Run]) -> Runs:
    """Return all cells of some runs, which may meet and come in any order."""
    found: list[Run] = []
    for first, end in sorted(runs):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((first, end))
    return tuple(found)


def shared(one: Runs, other: Runs) -> Runs:
    """Return the cells in both."""
    found = ((max(a, c), min(b, d)) for a, b in one for c, d in other if c < b and a < d)
    return tuple(sorted(found))


def cells(runs: Runs) -> Iterator[int]:
    """Return the cells in order."""
    return chain.from_iterable(range(first, end) for first, end in runs)
