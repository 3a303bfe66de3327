"""A rule set made ready for many lookups, by the bitmap index of `axis` and `index`.

`conditions` is the plain meaning, and a property test holds this module to it.
"""

from collections.abc import Mapping
from datetime import date

from connector.model.lead import Facets
from connector.model.routing import Rule, RuleSet
from connector.routing.axis import Axis, ranks
from connector.routing.conditions import rule_matches
from connector.routing.domains import DomainRules
from connector.routing.extent import IN_FORCE, tests_of
from connector.routing.index import Index, Tests

#: Countries have indexes of their own as long as these hold, together, at most so many times the rules.
_COPIES = 4
_COUNTRY = "country"


class CompiledRules:
    """First-match lookup over a rule set."""

    def __init__(self, rule_set: RuleSet) -> None:
        self.rule_set = rule_set
        self._named = DomainRules(rule_set.rules)
        tests = [tests_of(rule) for rule in rule_set.rules]
        fields = {field for each in tests for field in each} - {IN_FORCE}
        self.custom_fields = frozenset(name.removeprefix("custom.") for name in fields if name.startswith("custom."))
        # A rule with a domain test concerns few leads: these name it, and it is tested by itself.
        self._countries = _Countries({rank: each for rank, each in enumerate(tests) if not self._named.has(rank)})

    def first(self, facets: Facets, today: date) -> Rule | None:
        """Return the first rule in order that the lead passes."""
        rank = self._countries.index(facets.country).first(facets, today)
        rules = self.rule_set.rules
        if facets.domain_rules:
            for named in self._named.ranks(facets.domain_rules):
                if rank is not None and rank < named:
                    break
                if rule_matches(rules[named], facets, today):
                    return rules[named]
        return None if rank is None else rules[rank]

    def domain_rules(self, domain: str) -> tuple[str, ...]:
        """Return the keys of the rules whose domain test this domain passes."""
        return self._named.passed(domain)


class _Countries:
    """An index for each country rules name, and for the others; one for all where they would be too big."""

    __slots__ = ("_axis", "_indexes")

    def __init__(self, tests: Mapping[int, Tests]) -> None:
        self._axis = _country_axis(tests)
        bitmaps = list(self._axis.bitmaps)
        # Countries with the same rules, above all those that no rule names, share one index.
        distinct = set(bitmaps)
        if sum(bits.bit_count() for bits in distinct) > _COPIES * len(tests):
            self._axis = Axis(0, {})
            self._indexes = [Index(tests)] * 2
        else:
            rules = list(tests.items())
            made = {bits: Index(dict(rules[place] for place in ranks(bits)), settled=_COUNTRY) for bits in distinct}
            self._indexes = [made[bits] for bits in bitmaps]

    def index(self, country: str) -> Index:
        """Return the index of a country, "" where it is not known."""
        return self._indexes[self._axis.place(country.casefold() or None)]


def _country_axis(tests: Mapping[int, Tests]) -> Axis:
    named = {place: each[_COUNTRY] for place, each in enumerate(tests.values()) if _COUNTRY in each}
    return Axis(len(tests), named)
