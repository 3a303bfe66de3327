"""Named accounts: the rules a company's domain passes."""

from collections import defaultdict
from collections.abc import Iterable

from connector.model.routing import Rule
from connector.routing.conditions import passes_domain


class DomainRules:
    """The rules with a domain test. Those that only list domains, as most do, are found by hash."""

    __slots__ = ("_by_domain", "_others", "_ranks", "_tested")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_domain: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._others: list[tuple[int, Rule]] = []
        self._ranks: dict[str, list[int]] = defaultdict(list)
        self._tested: set[int] = set()
        for rank, rule in enumerate(rules):
            if any(condition.field == "domain" for condition in rule.conditions):
                self._add(rank, rule)

    def passed(self, domain: str) -> tuple[str, ...]:
        """Return the keys of the rules whose domain tests this domain passes, in order."""
        found = list(self._by_domain.get(domain.casefold(), ()))
        found += [(rank, rule.key) for rank, rule in self._others if passes_domain(rule, domain)]
        return tuple(key for _, key in sorted(found))

    def has(self, rank: int) -> bool:
        """Tell whether the rule of this rank has a domain test."""
        return rank in self._tested

    def ranks(self, keys: Iterable[str]) -> list[int]:
        """Return the ranks of the rules with these keys, in order."""
        return sorted(rank for key in keys for rank in self._ranks.get(key, ()))

    def _add(self, rank: int, rule: Rule) -> None:
        self._tested.add(rank)
        self._ranks[rule.key].append(rank)
        listed = _listed(rule)
        for domain in listed:
            self._by_domain[domain].append((rank, rule.key))
        if not listed:
            self._others.append((rank, rule))


def _listed(rule: Rule) -> frozenset[str]:
    """Return the domains the rule asks for, "" for an absent one; empty if it asks for anything else."""
    tests = [condition for condition in rule.conditions if condition.field == "domain"]
    test = tests[0]
    if len(tests) > 1 or test.exclude or any(term.prefix or term.high is not None for term in test.include):
        return frozenset()
    return frozenset([term.low.casefold() for term in test.include] + [""] * test.missing)
