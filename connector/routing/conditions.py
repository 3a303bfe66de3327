"""Does a lead pass a rule's tests?"""

from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from operator import attrgetter

from connector.model.lead import Facets
from connector.model.postal import postal_key
from connector.model.routing import Condition, Rule, Term


def rule_matches(rule: Rule, facets: Facets, today: date) -> bool:
    """Tell whether every test of the rule passes and the rule is in force today."""
    if rule.valid_from and today < rule.valid_from:
        return False
    if rule.valid_to and today > rule.valid_to:
        return False
    return all(condition_holds(rule, condition, facets) for condition in rule.conditions)


def condition_holds(rule: Rule, condition: Condition, facets: Facets) -> bool:
    """Test one condition; NOT never matches an absent value (routing reference, section 6)."""
    if condition.field == "domain":
        return rule.key in facets.domain_rules
    return _value_passes(condition, facet(facets, condition.field))


def passes(conditions: Iterable[Condition], facets: Facets) -> bool:
    """Tell whether a lead passes tests that belong to no rule; none of them tests the domain."""
    return all(_value_passes(condition, facet(facets, condition.field)) for condition in conditions)


def _value_passes(condition: Condition, value: str | int | None) -> bool:
    if value is None:
        return condition.missing
    if any(term_matches(term, value) for term in condition.exclude):
        return False
    if not condition.include:
        return bool(condition.exclude)
    return any(term_matches(term, value) for term in condition.include)


def facet(facets: Facets, field: str) -> str | int | None:
    """Return the facet a condition tests, folded as rules are; None when it is not known."""
    return reader(field)(facets)


def reader(field: str) -> Callable[[Facets], str | int | None]:
    """Return what `facet` does for one field."""
    if field.startswith("custom."):
        return partial(_custom, field.removeprefix("custom."))
    if field == "postal":
        return _postal
    read = attrgetter(field)
    return read if field == "employees" else lambda facets: read(facets).casefold() or None


def _custom(name: str, facets: Facets) -> str | None:
    return facets.custom.get(name, "").casefold() or None


def _postal(facets: Facets) -> str | None:
    key = postal_key(facets.country, facets.postal_code) if facets.postal_code else None
    return key.casefold() if key else None


def term_matches(term: Term, value: str | int) -> bool:
    """Compare one alternative: a number, a prefix, a range, or equality."""
    if isinstance(value, int):
        return int(term.low) <= value <= int(term.high if term.high is not None else term.low)
    low = term.low.casefold()
    if term.prefix:
        return value.casefold().startswith(low)
    if term.high is not None:
        return low <= value.casefold() <= term.high.casefold()
    return value.casefold() == low


def passes_domain(rule: Rule, domain: str) -> bool:
    """Test a rule's domain condition against a company's registrable domain."""
    tests = [condition for condition in rule.conditions if condition.field == "domain"]
    return bool(tests) and all(_value_passes(condition, domain or None) for condition in tests)
