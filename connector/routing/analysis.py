"""What is wrong with a rule set before any lead meets it.

Every claim is exact for the leads that can be (`worlds`), and comes with one that shows it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from connector.model.postal import DIGITS
from connector.model.routing import Rule, RuleSet
from connector.routing.axis import ranks
from connector.routing.boxes import BUDGET, Box, OverBudgetError, remainder
from connector.routing.extent import IN_FORCE
from connector.routing.lands import Land, Line, Witness, lands


class Severity(StrEnum):
    """Whether a finding is surely a mistake."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `detail` is a pool or a range of postal codes."""

    code: str
    severity: Severity
    rules: tuple[str, ...] = ()
    detail: str = ""
    witness: Witness | None = None


def analyse(rule_set: RuleSet, today: date, *, budget: int = BUDGET) -> tuple[Finding, ...]:
    """Return what is wrong from today on: rules no lead reaches, rules at odds, codes and pools without anybody.

    The codes are `never`, `shadowed`, `dead`, `unknown`, `overlap`, `uncovered` and `empty_pool`.
    """
    reach, odds = _Reach(rule_set.rules, budget), _Odds()
    gaps: list[Finding] = []
    named = _named_countries(rule_set.rules)
    for land in lands(rule_set.rules, today):
        reach.visit(land)
        odds.visit(land)
        if land.country.upper() in named:
            gaps += _gaps(land, budget)
    return (*reach.findings(), *odds.findings, *gaps, *_empty_pools(rule_set))


class _Reach:
    """Which rules a lead can reach: a rule is dead when it is so in every country."""

    def __init__(self, rules: Sequence[Rule], budget: int) -> None:
        self._rules = rules
        self._budget = budget
        self._alive: set[int] = set()
        self._unknown: set[int] = set()
        self._covers: dict[int, set[int]] = {}
        self._witness: dict[int, Witness] = {}

    def visit(self, land: Land) -> None:
        for place, (rank, box) in enumerate(zip(land.ranks, land.boxes, strict=True)):
            if rank not in self._alive and all(box):
                self._visit(land, place, rank)

    def _visit(self, land: Land, place: int, rank: int) -> None:
        box = land.boxes[place]
        if land.probe(box, place):
            self._alive.add(rank)
            return
        covers = {land.ranks[n] for n in land.covering(place)}
        self._covers[rank] = self._covers.get(rank, covers) & covers
        self._witness.setdefault(rank, land.witness(box))
        if covers:
            return
        try:
            if remainder(box, [land.boxes[n] for n in land.earlier(place)], budget=self._budget):
                self._alive.add(rank)
        except OverBudgetError:
            self._unknown.add(rank)

    def findings(self) -> Iterator[Finding]:
        for rank, rule in enumerate(self._rules):
            if rank not in self._alive:
                yield self._finding(rank, rule.key)

    def _finding(self, rank: int, key: str) -> Finding:
        witness = self._witness.get(rank)
        if witness is None:
            return Finding("never", Severity.WARNING, (key,))
        if rank in self._unknown:
            return Finding("unknown", Severity.WARNING, (key,))
        if covers := self._covers[rank]:
            return Finding("shadowed", Severity.ERROR, (key, self._rules[min(covers)].key), witness=witness)
        return Finding("dead", Severity.ERROR, (key,), witness=witness)


class _Odds:
    """Rules of the same order that lead the same lead to different people."""

    def __init__(self) -> None:
        self._known: set[tuple[int, int]] = set()
        self.findings: list[Finding] = []

    def visit(self, land: Land) -> None:
        since = 0
        for place, (rank, rule, box) in enumerate(zip(land.ranks, land.rules, land.boxes, strict=True)):
            if rule.order != land.rules[since].order:
                since = place
            if place > since and all(box):
                for other in land.earlier(place, since=since):
                    self._compare(land, other, place, rank)

    def _compare(self, land: Land, other: int, place: int, rank: int) -> None:
        one, two = land.rules[other], land.rules[place]
        pair = land.ranks[other], rank
        if (one.pool, one.rep) == (two.pool, two.rep) or pair in self._known:
            return
        self._known.add(pair)
        shared = tuple(a & b for a, b in zip(land.boxes[other], land.boxes[place], strict=True))
        self.findings.append(Finding("overlap", Severity.WARNING, (one.key, two.key), witness=land.witness(shared)))


def _named_countries(rules: Sequence[Rule]) -> frozenset[str]:
    """Return the countries with codes of fixed width that rules ask for."""
    tests = [test for rule in rules for test in rule.conditions if test.field == "country"]
    return frozenset(term.low.upper() for test in tests for term in test.include) & DIGITS.keys()


def _gaps(land: Land, budget: int) -> Iterator[Finding]:
    """Return the ranges of codes in which some lead of today passes no rule."""
    fields = [line.field for line in land.lines]
    postal = fields.index("postal")
    line, found = land.lines[postal], list[tuple[int, Box]]()
    for cell in range(len(line.axis.bounds) + 1):
        box = tuple(_some(each, cell) for each in land.lines)
        try:
            rest = land.probe(box, None) or remainder(box, _at(land, line, cell), budget=budget)
        except OverBudgetError:
            yield Finding("unknown", Severity.WARNING, detail=_range(land, cell, cell))
            continue
        if rest:
            found.append((cell, rest))
    for first, last, rest in _joined(found):
        yield Finding("uncovered", Severity.WARNING, (), _range(land, first, last), land.witness(rest))


def _at(land: Land, line: Line, cell: int) -> list[Box]:
    return [land.boxes[n] for n in ranks(line.axis.at(cell))]


def _some(line: Line, cell: int) -> int:
    """Return the cells to look at: one of postal codes, today, and whatever else may be."""
    if line.field == "postal":
        return 1 << cell
    return 1 if line.field == IN_FORCE else line.full


def _joined(found: Sequence[tuple[int, Box]]) -> Iterator[tuple[int, int, Box]]:
    """Join neighbours, with what is left of the first."""
    start = 0
    for number, (cell, _) in enumerate(found, 1):
        if number == len(found) or found[number][0] != cell + 1:
            yield found[start][0], cell, found[start][1]
            start = number


def _range(land: Land, first: int, last: int) -> str:
    line = next(line for line in land.lines if line.field == "postal")
    width = DIGITS[land.country.upper()]
    low, high = line.bounds(first)[0], line.bounds(last)[1] - 1
    return f"{land.country.upper()} {low:0{width}}..{high:0{width}}"


def _empty_pools(rule_set: RuleSet) -> Iterator[Finding]:
    active = {rep.person for rep in rule_set.reps.values() if rep.active}
    for key, pool in rule_set.pools.items():
        if not any(member.person in active for member in pool.members):
            rules = tuple(rule.key for rule in rule_set.rules if rule.pool == key)
            yield Finding("empty_pool", Severity.ERROR if rules else Severity.WARNING, rules, key)
    for person in dict.fromkeys(rule.rep for rule in rule_set.rules if rule.rep and rule.rep not in active):
        rules = tuple(rule.key for rule in rule_set.rules if rule.rep == person)
        yield Finding("empty_pool", Severity.ERROR, rules, f"rep:{person}")
