"""Whom each area goes to, as a mixed-integer program for HiGHS; nothing else here knows the solver.

After Kalcsics, Nickel and Schröder, "Towards a unified territorial design approach", TOP 13 (2005). There are no
coordinates, so nearness is nearness on the number line of postal codes: a long way there costs, and so does a border.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from connector.errors import ConfigurationError

#: A largest deviation up to this is fair: counts of leads are not known better than that.
FAIR = 0.05
#: What an excess of 1 over FAIR costs, and each border where there was none; all work is 1. What is given up costs
#: nothing, so nothing is moved for tidiness alone and no deviation grows.
DEVIATION, BORDER = 10.0, 0.02
#: What an area moved costs besides its work, as a part of an average area's.
MOVE = 0.5
#: How many times dearer a move becomes over the whole length of the number line.
FAR = 5.0
#: Seconds after which the best cut found so far counts.
LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Areas along the number line, with their work and who has them now; the share each destination should have.

    `work` and `shares` each sum to 1. `ways` says how far each area is from what each destination has now, as a
    part of the number line.
    """

    work: Sequence[float]
    now: Sequence[int]
    shares: Sequence[float]
    ways: Sequence[Sequence[float]]

    def deviation(self, owners: Sequence[int]) -> float:
        """Return the largest deviation from a fair share, as a part of that share."""
        loads = [0.0] * len(self.shares)
        for work, owner in zip(self.work, owners, strict=True):
            loads[owner] += work
        return max(abs(load / share - 1) for load, share in zip(loads, self.shares, strict=True))

    def price(self, area: int, owner: int) -> float:
        """Return what it costs to give an area to somebody; nothing if they have it."""
        if self.now[area] == owner:
            return 0.0
        return (self.work[area] + MOVE / len(self.work)) * (1 + FAR * self.ways[area][owner])

    def cost(self, owners: Sequence[int]) -> float:
        """Return what the program minimises: deviation, work and areas moved, and borders."""
        moved = [self.price(area, owner) for area, owner in enumerate(owners)]
        borders = sum(owners[area] != owners[area + 1] for area in self.joined)
        return DEVIATION * max(0.0, self.deviation(owners) - FAIR) + sum(moved) + BORDER * borders

    @property
    def joined(self) -> list[int]:
        """Return the areas whose next neighbour is in the same hands."""
        return [area for area, (one, other) in enumerate(pairwise(self.now)) if one == other]


@dataclass(frozen=True, slots=True)
class Solution:
    """Who gets each area. `gap` is how far from the best it may be at most, 0 when it is proved best."""

    owners: tuple[int, ...]
    gap: float = 0.0


def solve(problem: Problem, limit: float = LIMIT) -> Solution:
    """Return the cheapest cut; the present one when that is fair already. Equal problems have equal solutions.

    After `limit` seconds the best cut found so far is returned, with a gap; then another run may find another.

    Raises:
        ConfigurationError: the extra `balance` is not installed.
    """
    now = Solution(tuple(problem.now))
    if problem.deviation(now.owners) <= FAIR:
        return now
    found = _milp(problem, limit)
    if found.x is None:
        return Solution(now.owners, 1.0)
    width = len(problem.shares)
    chosen = found.x[: len(problem.work) * width].reshape(-1, width)
    solution = Solution(
        tuple(int(row.argmax()) for row in chosen), 0.0 if found.status == 0 else min(found.mip_gap, 1.0)
    )
    return min(now, solution, key=lambda each: problem.cost(each.owners))


def _milp(problem: Problem, limit: float) -> Any:
    try:
        # The extra `balance`: whoever balances nothing needs no solver. SciPy brings no types.
        from scipy import optimize, sparse  # type: ignore[import-untyped]  # noqa: PLC0415 (see above)
    except ImportError as err:
        raise ConfigurationError(
            "balancing needs an optimiser: run `pip install 'hearback-connector[balance]'`, then repeat this"
        ) from err
    program = _Program(problem)
    matrix = sparse.csr_array((program.values, (program.rows, program.columns)))
    whole = [1] * program.borders + [0] * (program.count - program.borders)
    upper = [1.0] * (program.count - 1) + [float("inf")]
    return optimize.milp(
        program.costs(),
        integrality=whole,
        bounds=optimize.Bounds(0, upper),
        constraints=optimize.LinearConstraint(matrix, program.low, program.high),
        options={"time_limit": limit},
    )


class _Program:
    """The program's entries: a column for each area and destination, one for each new border, the excess last."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.values: list[float] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.borders = len(problem.work) * len(problem.shares)
        self.count = self.borders + len(problem.joined) + 1
        self._one_owner_each()
        self._fair_shares()
        self._borders()

    def costs(self) -> list[float]:
        problem, owners = self._problem, range(len(self._problem.shares))
        prices = [problem.price(area, owner) for area in range(len(problem.work)) for owner in owners]
        return prices + [BORDER] * len(problem.joined) + [DEVIATION]

    def _row(self, entries: Sequence[tuple[int, float]], low: float, high: float) -> None:
        for column, value in entries:
            self.rows.append(len(self.low))
            self.columns.append(column)
            self.values.append(value)
        self.low.append(low)
        self.high.append(high)

    def _one_owner_each(self) -> None:
        width = len(self._problem.shares)
        for first in range(0, self.borders, width):
            self._row([(first + owner, 1.0) for owner in range(width)], 1, 1)

    def _fair_shares(self) -> None:
        width, excess = len(self._problem.shares), self.count - 1
        for owner, share in enumerate(self._problem.shares):
            load = [(area * width + owner, work) for area, work in enumerate(self._problem.work)]
            self._row([*load, (excess, -share)], -float("inf"), share * (1 + FAIR))
            self._row([*load, (excess, share)], share * (1 - FAIR), float("inf"))

    def _borders(self) -> None:
        width = len(self._problem.shares)
        for column, area in enumerate(self._problem.joined, self.borders):
            for here in range(area * width, area * width + width):
                self._row([(here, 1.0), (here + width, -1.0), (column, -1.0)], -2, 0)
