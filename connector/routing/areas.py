"""What postal areas a country's rules hand to whom: the raw material of a fairer cut.

Only rules that test nothing but country and postal code take part; all others stay as they are.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from connector.model.lead import Facets
from connector.model.postal import DIGITS
from connector.model.routing import Rule, RuleSet, Term
from connector.routing.conditions import condition_holds
from connector.routing.extent import Extent, accepted, common, union
from connector.routing.worlds import world_of

#: First and last code of a run, as numbers.
Run = tuple[int, int]

#: How many leading digits make an area: German and Polish regions, American sectional centres.
AREA_DIGITS = {"DE": 2, "PL": 2, "US": 3}

#: An area without leads counts as this part of an average one: whoever serves it has some work all the same.
_EMPTY = 0.01


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """Where a rule leads: a pool or a rep, in a connection of its own if the rule names one."""

    name: str
    pool: bool
    connection: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.connection})" if self.connection else self.name


@dataclass(frozen=True, slots=True)
class Cut:
    """The rules that divide a country by postal code alone, in order, and what each of them takes.

    `codes` has no code twice: where two rules want one, it stands with the first.
    """

    country: str
    rules: tuple[Rule, ...]
    codes: Mapping[str, Extent]

    @property
    def width(self) -> int:
        """Return how many digits a code has."""
        return DIGITS[self.country]


@dataclass(frozen=True, slots=True)
class Area:
    """What one rule takes of one stretch of the country: it moves as a whole.

    `work` is its leads, and a little more so that an area without any counts too.
    """

    cell: str
    rule: str
    runs: tuple[Run, ...]
    destination: Destination
    leads: int
    work: float


def destination(rule: Rule) -> Destination:
    """Return where a rule leads."""
    return Destination(rule.pool or rule.rep or "", rule.pool is not None, rule.connection or "")


def cut_of(rule_set: RuleSet, country: str) -> Cut:
    """Return how the rules cut a country whose codes have a fixed width, `model.postal.DIGITS`."""
    rules = tuple(rule for rule in rule_set.rules if _cuts(rule, country))
    taken, codes = Extent(False), {}
    for rule in rules:
        own = codes_of(rule, country)
        codes[rule.key] = common([own, ~taken])
        taken = union([taken, own])
    return Cut(country, rules, codes)


def codes_of(rule: Rule, country: str) -> Extent:
    """Return the codes a rule asks for, as numbers."""
    test = next(each for each in rule.conditions if each.field == "postal")
    return world_of("postal", country, date.min).project(accepted(test)).extent


def areas_of(cut: Cut, digits: int, leads: Mapping[int, int]) -> tuple[Area, ...]:
    """Cut what each rule takes where the first `digits` digits change; areas are in order of their codes.

    `leads` is how many came from a code.
    """
    counted = _Counted(leads)
    pieces: list[tuple[Rule, tuple[Run, ...]]] = [
        (rule, tuple(runs))
        for rule in cut.rules
        for runs in _by_prefix(runs_of(cut.codes[rule.key], cut.width), 10 ** (cut.width - digits))
    ]
    numbers = [sum(counted.within(run) for run in runs) for _, runs in pieces]
    least = _EMPTY * sum(numbers) / max(len(pieces), 1)
    found = [
        Area(cell(runs, cut.width), rule.key, runs, destination(rule), number, number + least)
        for (rule, runs), number in zip(pieces, numbers, strict=True)
    ]
    return tuple(sorted(found, key=lambda area: area.runs))


def runs_of(codes: Extent, width: int) -> list[Run]:
    """Return a set of codes as runs, both ends included."""
    points = [0] * codes.begins + [turn for turn in codes.turns if isinstance(turn, int)]
    points += [10**width] * (len(points) % 2)
    return [(first, end - 1) for first, end in zip(points[::2], points[1::2], strict=True)]


def codes_in(runs: Iterable[Run], width: int) -> Extent:
    """Return the codes of runs as one set."""
    return union([Extent(False), *(_codes(first, last, 10**width) for first, last in runs)])


def _codes(first: int, last: int, end: int) -> Extent:
    turns = (first, last + 1) if first else (last + 1,)
    return Extent(first == 0, tuple(turn for turn in turns if turn != end))


def terms(runs: Sequence[Run], width: int) -> tuple[Term, ...]:
    """Return runs as alternatives of a condition, shortest spelling first."""
    return tuple(_term(first, last, width) for first, last in runs)


def cell(runs: Sequence[Run], width: int) -> str:
    """Return runs as people write them into territories.csv."""
    return ";".join(
        f"{term.low}..{term.high}" if term.high else term.low + "*" * term.prefix for term in terms(runs, width)
    )


def _cuts(rule: Rule, country: str) -> bool:
    tests = {condition.field: condition for condition in rule.conditions}
    dated = rule.valid_from or rule.valid_to
    return set(tests) == {"country", "postal"} and not dated and may_take(rule, country)


def may_take(rule: Rule, country: str) -> bool:
    """Tell whether a rule's test of the country lets its leads pass."""
    facets = Facets(country=country)
    return all(condition_holds(rule, test, facets) for test in rule.conditions if test.field == "country")


def _by_prefix(runs: Iterable[Run], size: int) -> list[list[Run]]:
    found: dict[int, list[Run]] = defaultdict(list)
    for first, last in runs:
        for prefix in range(first // size, last // size + 1):
            found[prefix].append((max(first, prefix * size), min(last, prefix * size + size - 1)))
    return list(found.values())


def _term(first: int, last: int, width: int) -> Term:
    low, high = f"{first:0{width}}", f"{last:0{width}}"
    for digits in range(1, width):
        if high == low[:digits] + "9" * (width - digits) and low[digits:] == "0" * (width - digits):
            return Term(low[:digits], prefix=True)
    return Term(low) if first == last else Term(low, high)


class _Counted:
    """How many leads came from a run of codes."""

    def __init__(self, leads: Mapping[int, int]) -> None:
        self._codes = sorted(leads)
        self._sums = list(accumulate((leads[code] for code in self._codes), initial=0))

    def within(self, run: Run) -> int:
        first, last = run
        return self._sums[bisect_left(self._codes, last + 1)] - self._sums[bisect_left(self._codes, first)]
