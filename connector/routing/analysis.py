"""What is wrong with a rule set before any lead meets it.

Every claim is exact for the leads that can be (`worlds`), and comes with one that shows it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby

from connector.model.postal import DIGITS
from connector.model.routing import Rule, RuleSet
from connector.routing.axis import ranks
from connector.routing.boxes import BUDGET, OverBudgetError
from connector.routing.gaps import gaps
from connector.routing.lands import Land, Witness, lands
from connector.routing.leftover import highest


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
    rules = rule_set.rules
    every = tuple(lands(rules, today))
    where: list[list[Land]] = [[] for _ in rules]
    for land in every:
        for rank in ranks(land.rules):
            where[rank].append(land)
    unreached = [found for rank in range(len(rules)) if (found := _unreached(rank, rules, where[rank], budget))]
    named = _named_countries(rules)
    uncovered = [found for land in every if land.country.upper() in named for found in _uncovered(land, budget)]
    return (*unreached, *_odds(rules, where), *uncovered, *_empty_pools(rule_set))


def _unreached(rank: int, rules: Sequence[Rule], where: Sequence[Land], budget: int) -> Finding | None:
    """Return why no lead reaches a rule, which must be so wherever it takes some."""
    key, covers, unknown = rules[rank].key, -1, False
    for land in where:
        try:
            if _reached(land, rank, budget):
                return None
        except OverBudgetError:
            unknown = True
            continue
        covers &= land.covering(rank)
        land.telling ^= 1 << rank
    if not where:
        return Finding("never", Severity.WARNING, (key,))
    if unknown:
        return Finding("unknown", Severity.WARNING, (key,))
    witness = where[0].example(where[0].area(rank))
    if covers:
        return Finding("shadowed", Severity.ERROR, (key, rules[next(ranks(covers))].key), witness=witness)
    return Finding("dead", Severity.ERROR, (key,), witness=witness)


def _reached(land: Land, rank: int, budget: int) -> bool:
    met = land.meeting(rank, land.telling)
    if not land.taking(highest(land.area(rank)), met):
        return True
    return not land.covering(rank) and land.untaken(rank, met, budget=budget) is not None


def _odds(rules: Sequence[Rule], where: Sequence[Sequence[Land]]) -> Iterator[Finding]:
    """Return the rules of the same order that lead the same lead to different people."""
    for _, group in groupby(range(len(rules)), key=lambda rank: rules[rank].order):
        before, alike = 0, defaultdict[object, int](int)
        for rank in group:
            target = rules[rank].pool, rules[rank].rep
            yield from _at_odds(rank, before & ~alike[target], rules, where[rank])
            before |= 1 << rank
            alike[target] |= 1 << rank


def _at_odds(rank: int, others: int, rules: Sequence[Rule], where: Sequence[Land]) -> Iterator[Finding]:
    for land in where:
        if met := land.meeting(rank, others & land.rules):
            others ^= met
            for other in ranks(met):
                keys, both = (rules[other].key, rules[rank].key), land.overlap(other, rank)
                yield Finding("overlap", Severity.WARNING, keys, witness=land.example(both))


def _named_countries(rules: Sequence[Rule]) -> frozenset[str]:
    """Return the countries with codes of fixed width that rules ask for."""
    tests = [test for rule in rules for test in rule.conditions if test.field == "country"]
    return frozenset(term.low.upper() for test in tests for term in test.include) & DIGITS.keys()


def _uncovered(land: Land, budget: int) -> Iterator[Finding]:
    for gap in gaps(land, budget):
        code = "uncovered" if gap.witness else "unknown"
        yield Finding(
            code, Severity.WARNING, detail=f"{land.country.upper()} {gap.low}..{gap.high}", witness=gap.witness
        )


def _empty_pools(rule_set: RuleSet) -> Iterator[Finding]:
    active = {rep.person for rep in rule_set.reps.values() if rep.active}
    for key, pool in rule_set.pools.items():
        if not any(member.person in active for member in pool.members):
            rules = tuple(rule.key for rule in rule_set.rules if rule.pool == key)
            yield Finding("empty_pool", Severity.ERROR if rules else Severity.WARNING, rules, key)
    for person in dict.fromkeys(rule.rep for rule in rule_set.rules if rule.rep and rule.rep not in active):
        rules = tuple(rule.key for rule in rule_set.rules if rule.rep == person)
        yield Finding("empty_pool", Severity.ERROR, rules, f"rep:{person}")
