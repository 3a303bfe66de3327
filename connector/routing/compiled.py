"""A rule set made ready for many lookups.

Today the rules of one country are scanned in order, each test a set lookup or a comparison; the bitmap
index takes this module's place without a change for its callers. `conditions` is the plain meaning,
and a property test holds this module to it.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from connector.model.lead import Facets
from connector.model.routing import Condition, Rule, RuleSet, Term
from connector.routing.conditions import facet

Value = str | int | None


class _Terms:
    """Alternatives as a set, prefixes and ranges."""

    __slots__ = ("_exact", "_prefixes", "_ranges")

    def __init__(self, terms: Sequence[Term], *, numeric: bool) -> None:
        bounds = [(_key(t.low, numeric), _key(t.high if t.high is not None else t.low, numeric)) for t in terms]
        plain = [not term.prefix for term in terms]
        self._prefixes = tuple(term.low.casefold() for term in terms if term.prefix)
        self._exact = frozenset(
            low for (low, high), is_plain in zip(bounds, plain, strict=True) if is_plain and low == high
        )
        self._ranges = tuple(
            pair for pair, is_plain in zip(bounds, plain, strict=True) if is_plain and pair[0] != pair[1]
        )

    def match(self, value: str | int) -> bool:
        if value in self._exact:
            return True
        if self._prefixes and isinstance(value, str) and value.startswith(self._prefixes):
            return True
        # Both ends are of the value's own type: numbers only ever meet numbers.
        return any(low <= value <= high for low, high in self._ranges)  # type: ignore[operator]


class _Test:
    """One condition: NOT never matches an absent value."""

    __slots__ = ("_exclude", "_include", "_missing", "field")

    def __init__(self, condition: Condition) -> None:
        numeric = condition.field == "employees"
        self.field = condition.field
        self._include = _Terms(condition.include, numeric=numeric) if condition.include else None
        self._exclude = _Terms(condition.exclude, numeric=numeric) if condition.exclude else None
        self._missing = condition.missing

    def passes(self, value: Value) -> bool:
        if value is None:
            return self._missing
        if self._exclude is not None and self._exclude.match(value):
            return False
        if self._include is None:
            return self._exclude is not None
        return self._include.match(value)


class _Compiled:
    """A rule with its tests."""

    __slots__ = ("domain_tests", "rule", "tests")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        bucketed = _plain_countries(rule)
        # A rule for plain countries stands in their buckets only, so that condition needs no test.
        self.tests = tuple(_Test(c) for c in rule.conditions if c.field != "domain" and c is not bucketed)
        self.domain_tests = tuple(_Test(c) for c in rule.conditions if c.field == "domain")

    def passes(self, values: dict[str, Value], facets: Facets, today: date) -> bool:
        rule = self.rule
        if (rule.valid_from and today < rule.valid_from) or (rule.valid_to and today > rule.valid_to):
            return False
        if self.domain_tests and rule.key not in facets.domain_rules:
            return False
        for test in self.tests:  # noqa: SIM110 (the hottest loop there is: a generator costs twice as much)
            if not test.passes(values[test.field]):
                return False
        return True


class CompiledRules:
    """First-match lookup over a rule set."""

    def __init__(self, rule_set: RuleSet) -> None:
        self.rule_set = rule_set
        compiled = [_Compiled(rule) for rule in rule_set.rules]
        self._fields = tuple({test.field for each in compiled for test in each.tests})
        self._anywhere = [each for each in compiled if not _countries(each.rule)]
        self._by_country = _bucket(compiled)
        self._domain_rules = [each for each in compiled if each.domain_tests]
        self.custom_fields = frozenset(
            name.removeprefix("custom.") for name in self._fields if name.startswith("custom.")
        )

    def first(self, facets: Facets, today: date) -> Rule | None:
        """Return the first rule in order that the lead passes."""
        values = {name: facet(facets, name) for name in self._fields}
        bucket = self._by_country.get(facets.country.casefold(), self._anywhere)
        return next((each.rule for each in bucket if each.passes(values, facets, today)), None)

    def domain_rules(self, domain: str) -> tuple[str, ...]:
        """Return the keys of the rules whose domain test this domain passes."""
        value = domain.casefold() or None
        return tuple(
            each.rule.key for each in self._domain_rules if all(test.passes(value) for test in each.domain_tests)
        )


def _bucket(compiled: Sequence[_Compiled]) -> dict[str, list[_Compiled]]:
    names = {country for each in compiled for country in _countries(each.rule)}
    buckets: dict[str, list[_Compiled]] = defaultdict(list)
    for each in compiled:
        for name in _countries(each.rule) or names:
            buckets[name].append(each)
    return dict(buckets)


def _countries(rule: Rule) -> frozenset[str]:
    """Return the plain countries a rule is limited to; empty when it may match anywhere."""
    condition = _plain_countries(rule)
    return frozenset(term.low.casefold() for term in condition.include) if condition else frozenset()


def _plain_countries(rule: Rule) -> Condition | None:
    """Return the condition that lists countries and nothing else, if the rule has one."""
    for condition in rule.conditions:
        plain = all(term.high is None and not term.prefix for term in condition.include)
        listed = condition.include and not condition.exclude and not condition.missing
        if condition.field == "country" and listed and plain:
            return condition
    return None


def _key(text: str, numeric: bool) -> str | int:
    return int(text) if numeric else text.casefold()
