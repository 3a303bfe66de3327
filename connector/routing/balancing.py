"""A fairer cut of a country's postal areas, by few moves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from connector.model.routing import RuleSet
from connector.routing.areas import Area, Cut, Destination, Run, areas_of, codes_in, destination, runs_of
from connector.routing.solving import LIMIT, Problem, solve


@dataclass(frozen=True, slots=True)
class Balance:
    """One destination: the part of all work it should have, has, and would have; and its leads."""

    destination: Destination
    wanted: float
    before: float
    after: float
    leads_before: int
    leads_after: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """Areas in order of their codes and who should have each. `gap` above 0: not proved to be the best."""

    cut: Cut
    areas: tuple[Area, ...]
    owners: tuple[Destination, ...]
    balances: tuple[Balance, ...]
    gap: float

    @property
    def moves(self) -> list[tuple[Area, Destination]]:
        """Return the areas that change hands, each with who gets it."""
        return [pair for pair in zip(self.areas, self.owners, strict=True) if pair[0].destination != pair[1]]

    @property
    def leads(self) -> int:
        """Return how many leads were counted."""
        return sum(area.leads for area in self.areas)

    @property
    def deviation(self) -> tuple[float, float]:
        """Return the largest deviation from a fair share before and after, as a part of that share."""
        before = max(abs(each.before / each.wanted - 1) for each in self.balances)
        return before, max(abs(each.after / each.wanted - 1) for each in self.balances)


def capacities(rule_set: RuleSet, cut: Cut, weights: Mapping[str, int]) -> dict[Destination, Fraction]:
    """Return what each destination of a cut can carry: its people's weights.

    `weights` are those of people.csv, one scale for all; who is missing from it carries nothing. Whoever stands
    behind several destinations shares their weight among them, so that a person's share follows from the weight.
    """
    found = sorted({destination(rule) for rule in cut.rules})
    people = {each: _people(rule_set, each) for each in found}
    times = Counter(person for names in people.values() for person in names)
    return {
        each: sum((Fraction(weights.get(person, 0), times[person]) for person in people[each]), Fraction())
        for each in found
    }


def _people(rule_set: RuleSet, each: Destination) -> list[str]:
    return [member.person for member in rule_set.pools[each.name].members] if each.pool else [each.name]


def propose(
    cut: Cut,
    carried: Mapping[Destination, Fraction],
    leads: Mapping[int, int],
    *,
    digits: int,
    limit: float = LIMIT,
) -> Proposal:
    """Propose who should have which area.

    `carried` is what each destination can carry, all above 0; `leads` is how many came from a code, at least one
    from a code of this cut. `limit` is in seconds.

    Raises:
        ConfigurationError: the extra `balance` is not installed.
    """
    areas = areas_of(cut, digits, leads)
    order = sorted(carried)
    total, capacity = sum(area.work for area in areas), sum(carried.values())
    problem = Problem(
        work=[area.work / total for area in areas],
        now=[order.index(area.destination) for area in areas],
        shares=[float(carried[each] / capacity) for each in order],
        ways=_ways(areas, order, cut.width),
    )
    solution = solve(problem, limit)
    owners = tuple(order[owner] for owner in solution.owners)
    balances = tuple(_balance(each, share, areas, owners) for each, share in zip(order, problem.shares, strict=True))
    return Proposal(cut, areas, owners, balances, solution.gap)


def _ways(areas: Sequence[Area], order: Sequence[Destination], width: int) -> list[list[float]]:
    """Return how many codes lie between each area and the nearest of each destination, as a part of all codes."""
    runs = {each: [run for area in areas if area.destination == each for run in area.runs] for each in order}
    held = [runs_of(codes_in(runs[each], width), width) for each in order]
    return [[_gap(area, theirs) / float(10**width) for theirs in held] for area in areas]


def _gap(area: Area, theirs: Sequence[Run]) -> int:
    first, last = area.runs[0][0], area.runs[-1][1]
    return min((max(low - last, first - high, 1) - 1 for low, high in theirs), default=0)


def _balance(each: Destination, wanted: float, areas: Sequence[Area], owners: Sequence[Destination]) -> Balance:
    total = sum(area.work for area in areas)
    before = [area for area in areas if area.destination == each]
    after = [area for area, owner in zip(areas, owners, strict=True) if owner == each]
    return Balance(
        each,
        wanted,
        sum(area.work for area in before) / total,
        sum(area.work for area in after) / total,
        sum(area.leads for area in before),
        sum(area.leads for area in after),
    )
