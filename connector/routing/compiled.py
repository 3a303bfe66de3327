"""A rule set made ready for many lookups.

Today the rules of one country are scanned in order; the bitmap index takes this module's place
without a change for its callers.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from connector.model.lead import Facets
from connector.model.routing import Rule, RuleSet
from connector.routing.conditions import passes_domain, rule_matches


class CompiledRules:
    """First-match lookup over a rule set."""

    def __init__(self, rule_set: RuleSet) -> None:
        self.rule_set = rule_set
        self._anywhere = [rule for rule in rule_set.rules if not _countries(rule)]
        self._by_country = self._bucket(rule_set.rules)
        self._custom_fields = frozenset(
            condition.field.removeprefix("custom.")
            for rule in rule_set.rules
            for condition in rule.conditions
            if condition.field.startswith("custom.")
        )
        self._domain_rules = [r for r in rule_set.rules if any(c.field == "domain" for c in r.conditions)]

    @property
    def custom_fields(self) -> frozenset[str]:
        """Return the custom fields some rule tests; no others belong into a decision (promise P4)."""
        return self._custom_fields

    def first(self, facets: Facets, today: date) -> Rule | None:
        """Return the first rule in order that the lead passes."""
        bucket = self._by_country.get(facets.country.casefold(), self._anywhere)
        return next((rule for rule in bucket if rule_matches(rule, facets, today)), None)

    def domain_rules(self, domain: str) -> tuple[str, ...]:
        """Return the keys of the rules whose domain test this domain passes."""
        return tuple(rule.key for rule in self._domain_rules if passes_domain(rule, domain))

    @staticmethod
    def _bucket(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
        names = {country for rule in rules for country in _countries(rule)}
        buckets: dict[str, list[Rule]] = defaultdict(list)
        for name in names:
            buckets[name] = [rule for rule in rules if not _countries(rule) or name in _countries(rule)]
        return dict(buckets)


def _countries(rule: Rule) -> frozenset[str]:
    """Return the plain countries a rule is limited to; empty when it may match anywhere."""
    for condition in rule.conditions:
        plain = all(term.high is None and not term.prefix for term in condition.include)
        if condition.field == "country" and condition.include and plain and not condition.missing:
            return frozenset(term.low.casefold() for term in condition.include)
    return frozenset()
