"""One field of a rule set as a line of cells, within one of which the same rules accept."""

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache, reduce
from operator import and_, or_
from typing import Any

from connector.routing.axis import Axis, bitmap
from connector.routing.extent import Accepted
from connector.routing.runs import Runs, joined
from connector.routing.turning import Turning
from connector.routing.worlds import World, sample

#: Rules often accept the same: so many answers a line keeps.
_KEPT = 256


class Line:
    """The cells of a field from its lowest value to its highest, then the one of an absent value."""

    def __init__(self, field: str, world: World, tests: Mapping[int, Accepted], size: int) -> None:
        """Take what the rules that test the field accept, by rank; there are `size` rules in all."""
        self.field = field
        projected = {rank: world.project(test) for rank, test in tests.items()}
        self._world = world
        self._axis = Axis(size, projected)
        self._known = len(self._axis.bounds) + 1
        self.cells = self._known + world.absent
        self.everything: Runs = ((0, self.cells),)
        self._runs = self._runs_of(projected)
        untested = (1 << size) - 1 & ~bitmap(self._runs, size)
        #: The rules that accept all of the field.
        self.always = untested | bitmap((n for n, runs in self._runs.items() if runs == self.everything), size)
        #: The rules that accept none of it.
        self.never = bitmap((n for n, runs in self._runs.items() if not runs), size)
        self._turning = self._turning_of(size)
        self.at = lru_cache(_KEPT)(self._axis.at)
        self.meeting = lru_cache(_KEPT)(self._meeting)
        self.containing = lru_cache(_KEPT)(self._containing)

    def runs(self, rank: int) -> Runs:
        """Return the cells a rule accepts."""
        return self._runs.get(rank, self.everything)

    def value(self, cell: int) -> Any:
        """Return a value out of a cell; None for an absent one."""
        if cell == self._known:
            return None
        low, end = self.bounds(cell)
        return None if low is None else sample(self.field, low, end)

    def bounds(self, cell: int) -> tuple[Any, Any]:
        """Return where a cell of known values begins and ends."""
        bounds = self._axis.bounds
        return (
            bounds[cell - 1] if cell else self._world.first,
            bounds[cell] if cell < len(bounds) else self._world.end,
        )

    def known(self) -> Runs:
        """Return the cells of known values."""
        return ((0, self._known),)

    def _meeting(self, runs: Runs) -> int:
        """Return the bitmap of the rules that accept some of these cells."""
        return reduce(or_, (self._axis.at(first) | self._turning.between(first + 1, end) for first, end in runs), 0)

    def _containing(self, runs: Runs) -> int:
        """Return the bitmap of the rules that accept all of these cells."""
        return reduce(and_, (self._axis.at(first) & ~self._turning.between(first + 1, end) for first, end in runs), -1)

    def _runs_of(self, tests: Mapping[int, Accepted]) -> dict[int, Runs]:
        places = {bound: place for place, bound in enumerate(self._axis.bounds, 1)}
        found = {}
        for rank, test in tests.items():
            points = [0] * test.extent.begins + [places[turn] for turn in test.extent.turns]
            points += [self._known] * (len(points) % 2)
            points += [self._known, self.cells] * test.missing
            found[rank] = joined(zip(points[::2], points[1::2], strict=True))
        return found

    def _turning_of(self, size: int) -> Turning:
        turns: dict[int, list[int]] = defaultdict(list)
        for rank, runs in self._runs.items():
            for first, end in runs:
                turns[first].append(rank)
                turns[end].append(rank)
        return Turning(turns, self.cells, size)
