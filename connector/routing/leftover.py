"""Is a box covered by others? The search for a lead of it that none of them takes.

Boxes that differ in one field only become one box, and only the cells that tell some of them apart are counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import chain
from operator import or_

from connector.routing.boxes import BUDGET, remainder
from connector.routing.runs import Runs, joined, shared

#: A set of cells in each field.
Area = tuple[Runs, ...]

#: One cell in each field.
Lead = tuple[int, ...]


def highest(area: Area) -> Lead:
    """Return the lead of an area with as little known as it allows."""
    return tuple(runs[-1][1] - 1 for runs in area)


def leftover(area: Area, others: Iterable[Area], *, budget: int = BUDGET) -> Lead | None:
    """Return a lead of the area that none of the others takes, with as little known as may be; None if they cover it.

    Raises:
        OverBudgetError: the area had to be split more often than the budget allows.
    """
    others = merged(others)
    lines = [_Cells(own, {other[field] for other in others}) for field, own in enumerate(area)]
    boxes = [tuple(line.mask(runs) for line, runs in zip(lines, other, strict=True)) for other in others]
    full = tuple(line.mask(own) for line, own in zip(lines, area, strict=True))
    rest = remainder(full, boxes, budget=budget)
    return None if rest is None else tuple(line.last(mask) for line, mask in zip(lines, rest, strict=True))


def merged(areas: Iterable[Area]) -> set[Area]:
    """Return fewer areas that together hold the same leads."""
    found = set(areas)
    for field in reversed(range(len(next(iter(found), ())))):
        if len(found) > 1:
            found = _along(field, found)
    return found


def _along(field: int, areas: Iterable[Area]) -> set[Area]:
    alike: dict[tuple[Area, Area], list[Runs]] = defaultdict(list)
    for area in areas:
        alike[area[:field], area[field + 1 :]].append(area[field])
    return {
        (*before, runs[0] if len(runs) == 1 else joined(chain.from_iterable(runs)), *after)
        for (before, after), runs in alike.items()
    }


class _Cells:
    """The cells of one field of an area, those together that nothing tells apart."""

    def __init__(self, own: Runs, others: Iterable[Runs]) -> None:
        self._own = own
        cut = {runs: shared(own, runs) for runs in others if runs != own}
        points = {point for runs in (own, *cut.values()) for run in runs for point in run}
        self._points: Sequence[int] = sorted(points)
        self._places = {point: place for place, point in enumerate(self._points)}
        self._masks = {runs: self._mask(part) for runs, part in (*cut.items(), (own, own))}

    def mask(self, runs: Runs) -> int:
        """Return the cells of some runs as the bits of a number."""
        return self._masks[runs]

    def last(self, mask: int) -> int:
        """Return the highest cell of a mask."""
        return self._points[mask.bit_length()] - 1

    def _mask(self, runs: Runs) -> int:
        places = self._places
        return reduce(or_, ((1 << places[end]) - (1 << places[first]) for first, end in runs), 0)
