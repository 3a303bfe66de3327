"""What a cell of territories.csv means for a lead."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import a_rule, a_rule_set, a_test

from connector.model.lead import Facets
from connector.model.postal import postal_key
from connector.model.routing import Condition
from connector.routing.compiled import CompiledRules
from connector.routing.conditions import condition_holds, passes_domain, rule_matches

TODAY = date(2026, 6, 9)


def holds(condition: Condition, **facets: object) -> bool:
    return condition_holds(a_rule("x", condition), condition, Facets(**facets))


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        (a_test("product", "cordless"), "cordless", True),
        (a_test("product", "Cordless"), "CORDLESS", True),
        (a_test("product", "cordless"), "cordless drill", False),
        (a_test("product", "cordless*"), "cordless drill", True),
        (a_test("product", "storage", "cordless"), "cordless", True),
        (a_test("product", "!storage"), "cordless", True),
        (a_test("product", "!storage"), "storage", False),
        (a_test("product", "!storage*"), "storage box", False),
        (a_test("product", "cordless*", "!cordless saw"), "cordless saw", False),
        (a_test("product", "cordless*", "!cordless saw"), "cordless drill", True),
        (a_test("product", "b..d"), "c", True),
        (a_test("product", "b..d"), "e", False),
        (a_test("product", missing=True), "cordless", False),
        (a_test("product", "!storage", missing=True), "cordless", True),
        (a_test("product", "Straße"), "STRASSE", True),
    ],
    ids=str,
)
def test_a_text_condition_compares_without_case(condition: Condition, value: str, expected: bool) -> None:
    assert holds(condition, product=value) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (a_test("product", "cordless"), False),
        (a_test("product", "!cordless"), False),
        (a_test("product", "a*"), False),
        (a_test("product", missing=True), True),
        (a_test("product", "cordless", missing=True), True),
        (a_test("product", "!cordless", missing=True), True),
    ],
    ids=str,
)
def test_an_absent_value_passes_only_where_missing_is_asked_for(condition: Condition, expected: bool) -> None:
    """NOT never matches what is not known (routing reference, section 6)."""
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("count", "expected"), [(499, False), (500, True), (1000, True), (1001, False), (0, False), (None, False)]
)
def test_employees_are_compared_as_numbers(count: int | None, expected: bool) -> None:
    assert holds(a_test("employees", "500..1000"), employees=count) is expected


def test_zero_employees_are_a_known_number() -> None:
    assert holds(a_test("employees", "0"), employees=0)
    assert not holds(a_test("employees", "5", missing=True), employees=0)


def test_custom_fields_are_tested_under_their_name() -> None:
    assert holds(a_test("custom.dealer", "yes"), custom={"dealer": "Yes"})
    assert holds(a_test("custom.dealer", missing=True), custom={"dealer": ""})
    assert not holds(a_test("custom.dealer", "!yes"), custom={})


@pytest.mark.parametrize(
    ("country", "code", "terms", "expected"),
    [
        ("DE", "01001", ("01001",), True),
        ("DE", "1001", ("01001",), False),
        ("DE", "01001", ("1001",), False),
        ("US", "01001", ("01000..01999",), True),
        ("US", "01001-1234", ("01001",), True),
        ("DE", "20095", ("20*",), True),
        ("DE", "02009", ("20*",), False),
        ("DE", "21149", ("20000..21149",), True),
        ("DE", "21150", ("20000..21149",), False),
        ("PL", "00-950", ("00950",), True),
        ("PL", "00-950", ("00001..04999",), True),
        ("GB", "sw1a 1aa", ("SW1A*",), True),
        ("GB", "SW1A 1AA", ("sw1a1aa",), True),
        ("NL", "1012 AB", ("1012AA..1012AZ",), True),
        ("DE", "unreadable", ("!01001",), False),
    ],
    ids=str,
)
def test_postal_codes_are_compared_as_fixed_width_keys(
    country: str, code: str, terms: tuple[str, ...], expected: bool
) -> None:
    """R30"""
    rule = a_rule("x", a_test("postal", *terms))
    facets = Facets(country=country, postal_code=code)

    assert rule_matches(rule, facets, TODAY) is expected
    assert (CompiledRules(a_rule_set(rule)).first(facets, TODAY) is not None) is expected


@given(st.integers(1, 99_998), st.integers(0, 99_999))
def test_adjacent_ranges_leave_no_gap_and_never_overlap(cut: int, code: int) -> None:
    """R30"""
    low = a_test("postal", f"00000..{cut:05}")
    high = a_test("postal", f"{cut + 1:05}..99999")
    facets = {"country": "DE", "postal_code": f"{code:05}"}

    assert [holds(low, **facets), holds(high, **facets)] == [code <= cut, code > cut]


@given(st.text(max_size=12), st.sampled_from(["DE", "PL", "US", "GB", ""]))
def test_a_postal_key_is_its_own_key(text: str, country: str) -> None:
    """The facet a decision keeps is read again when it is recomputed."""
    key = postal_key(country, text)

    assert key is None or postal_key(country, key) == key


@pytest.mark.parametrize(
    ("terms", "domain", "missing", "expected"),
    [
        (("acme.example",), "acme.example", False, True),
        (("acme.example",), "ACME.example", False, True),
        (("acme.example",), "other.example", False, False),
        (("acme*",), "acme-west.example", False, True),
        (("!acme.example",), "other.example", False, True),
        (("!acme.example",), "acme.example", False, False),
        (("acme*", "!acme-west.example"), "acme-west.example", False, False),
        (("acme.example",), "", False, False),
        (("!acme.example",), "", False, False),
        (("acme.example",), "", True, True),
    ],
    ids=str,
)
def test_a_domain_is_judged_once_and_only_the_rules_it_passed_are_kept(
    terms: tuple[str, ...], domain: str, missing: bool, expected: bool
) -> None:
    """P4: the decision knows the rules, never the domain."""
    rule = a_rule("named", a_test("domain", *terms, missing=missing))
    rules = CompiledRules(a_rule_set(rule))

    passed = rules.domain_rules(domain)

    assert passes_domain(rule, domain) is expected
    assert passed == (("named",) if expected else ())
    assert (rules.first(Facets(domain_rules=passed), TODAY) == rule) is expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, True),
        (0, None, True),
        (None, 0, True),
        (1, None, False),
        (None, -1, False),
        (-1, 1, True),
        (0, 0, True),
    ],
)
def test_a_rule_is_in_force_from_its_first_to_its_last_day(first: int | None, last: int | None, expected: bool) -> None:
    days = {"valid_from": first, "valid_to": last}
    dated = {name: TODAY + timedelta(days=day) for name, day in days.items() if day is not None}

    assert rule_matches(a_rule("x", **dated), Facets(), TODAY) is expected


def test_only_custom_fields_that_rules_test_belong_into_a_decision() -> None:
    """P4"""
    rules = CompiledRules(a_rule_set(a_rule("x", a_test("custom.dealer", "yes"), a_test("country", "de"))))

    assert rules.custom_fields == {"dealer"}
