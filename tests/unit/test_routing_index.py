"""The bitmap index finds what a scan of the rules finds, in every shape a rule can have."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routing_cases import a_rule, a_rule_set, a_test
from routing_fuzz import DOMAINS, TODAY, Fuzz

from connector.model.lead import Facets
from connector.model.routing import Condition, Rule, Term
from connector.routing.axis import BITMAPS, Axis
from connector.routing.compiled import CompiledRules
from connector.routing.conditions import facet, passes_domain, rule_matches
from connector.routing.extent import Accepted, Extent

TEXTS = st.text("aäßAz0\0\U0010ffff", max_size=3)
COUNTRIES = st.sampled_from(["de", "pl", "gb", "fr", "DE", "d", ""])
POSTAL = st.sampled_from(["01001", "1001", "01002", "20095", "sw1a1aa", "00-950", "00950", ""])
NUMBERS = st.integers(0, 4)
DAYS = st.none() | st.integers(-1, 1).map(lambda days: TODAY + timedelta(days=days))


def scan(rules: Sequence[Rule], facets: Facets, today: date = TODAY) -> Rule | None:
    return next((rule for rule in rules if rule_matches(rule, facets, today)), None)


def conditions(field: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Condition]:
    term = st.builds(Term, values, st.none() | values, st.booleans())
    terms = st.lists(term, max_size=2).map(tuple)
    return st.builds(Condition, st.just(field), terms, terms, st.booleans())


CONDITIONS = st.one_of(
    conditions("country", COUNTRIES),
    conditions("postal", POSTAL),
    conditions("product", TEXTS),
    conditions("custom.size", TEXTS),
    conditions("employees", NUMBERS.map(str)),
    conditions("domain", st.sampled_from(DOMAINS)),
)
RULES = st.lists(
    st.builds(
        lambda tests, first, last: a_rule("", *tests, valid_from=first, valid_to=last),
        st.lists(CONDITIONS, max_size=3),
        DAYS,
        DAYS,
    ),
    min_size=1,
    max_size=5,
).map(
    lambda rules: [
        a_rule(f"r{n}", *r.conditions, valid_from=r.valid_from, valid_to=r.valid_to) for n, r in enumerate(rules)
    ]
)
LEADS = st.builds(
    Facets,
    country=COUNTRIES,
    postal_code=POSTAL,
    product=TEXTS,
    custom=st.dictionaries(st.just("size"), TEXTS),
    employees=st.none() | NUMBERS,
    domain_rules=st.lists(st.sampled_from(["r0", "r1", "r4", "gone"]), max_size=2, unique=True).map(tuple),
)


@settings(deadline=None)
@given(RULES, st.lists(LEADS, min_size=1, max_size=6))
def test_the_index_finds_the_first_rule_the_lead_passes(rules: list[Rule], leads: list[Facets]) -> None:
    """R29"""
    compiled = CompiledRules(a_rule_set(*rules))

    for facets in leads:
        assert compiled.first(facets, TODAY) == scan(rules, facets)


@settings(deadline=None)
@given(st.lists(st.lists(conditions("domain", st.sampled_from(DOMAINS)), max_size=2), min_size=1, max_size=5))
def test_a_domain_finds_the_rules_it_passes_in_order(tests: list[list[Condition]]) -> None:
    rules = [a_rule(f"r{number}", *each) for number, each in enumerate(tests)]
    compiled = CompiledRules(a_rule_set(*rules))

    for domain in ("", "ACME.example", *DOMAINS, "other.example"):
        assert compiled.domain_rules(domain) == tuple(r.key for r in rules if passes_domain(r, domain))


@pytest.mark.parametrize("seed", range(4))
def test_the_index_finds_what_a_scan_of_the_rules_finds(seed: int) -> None:
    """R29: 24,000 lookups in all, half of them among up to 60 rules."""
    fuzz = Fuzz(seed)

    for number in range(120):
        rules = fuzz.rules(12 if number % 2 else 60)
        compiled = CompiledRules(a_rule_set(*rules))
        for facets in [fuzz.lead(len(rules)) for _ in range(50)]:
            assert compiled.first(facets, TODAY) == scan(rules, facets)


@pytest.mark.parametrize("everywhere", [0, 3, 40])
def test_rules_for_everywhere_meet_those_of_many_countries_in_order(everywhere: int) -> None:
    """With few rules for everywhere each country has an index, with many there is one."""
    names = [f"{first}{second}" for first in "abcd" for second in "xyz"]
    rules = [a_rule(name, a_test("country", name), a_test("product", "drill")) for name in names]
    rules += [a_rule(f"any-{n}", a_test("product", f"!p{n}", "!drill")) for n in range(everywhere)]
    rules += [a_rule("abroad", a_test("country", "!ax", "!by")), a_rule("nowhere", a_test("country", missing=True))]
    random.Random(everywhere).shuffle(rules)
    compiled = CompiledRules(a_rule_set(*rules))

    for country in ("", "zz", *names):
        for product in ("", "drill", "p0", "p1"):
            facets = Facets(country=country, product=product)
            assert compiled.first(facets, TODAY) == scan(rules, facets)


@pytest.mark.parametrize("spread", [20, 100_000], ids=["same bounds", "own bounds"])
def test_an_axis_of_many_slices_shares_bitmaps_and_loses_no_rule(spread: int) -> None:
    draw = random.Random(spread)
    size = 2 * BITMAPS
    ends = [sorted(draw.sample(range(spread), 2)) for _ in range(size)]
    axis = Axis(size, {n: Accepted(Extent(n % 3 == 0, tuple(ends[n])), n % 5 == 0) for n in range(size)})

    for value in draw.choices(range(spread), k=40):
        inside = [(low <= value < high) is not (n % 3 == 0) for n, (low, high) in enumerate(ends)]
        assert axis.accepting(value) == sum(1 << n for n in range(size) if inside[n])
    assert axis.accepting(None) == sum(1 << n for n in range(0, size, 5))


@given(st.lists(st.integers(1, 99_999), min_size=1, max_size=6, unique=True), st.integers(0, 99_999))
def test_territories_that_meet_leave_no_gap_and_never_overlap(cuts: list[int], code: int) -> None:
    """R30"""
    bounds = [0, *sorted(cuts), 100_000]
    rules = [
        a_rule(f"{low:05}", a_test("country", "de"), a_test("postal", f"{low:05}..{high - 1:05}"))
        for low, high in pairwise(bounds)
    ]

    found = {
        CompiledRules(a_rule_set(*order)).first(Facets(country="DE", postal_code=f"{code:05}"), TODAY)
        for order in (rules, rules[::-1])
    }

    assert [rule and rule.key for rule in found] == [f"{max(b for b in bounds if b <= code):05}"]


@pytest.mark.parametrize("code", ["01001", "1001", "10010", "10011", "010", "SW1A 1AA", "SW1B 1AA", "SW1"])
@pytest.mark.parametrize("country", ["DE", "US", "GB"])
def test_a_prefix_is_the_range_of_the_codes_that_start_with_it(country: str, code: str) -> None:
    """R30: `01001` is not `1001`."""
    stems = ("01001", "1001", "10", "0", "SW1A", "SW1")
    facets = Facets(country=country, postal_code=code)
    key = str(facet(facets, "postal") or "-")

    for stem in stems:
        rule = a_rule(stem, a_test("postal", f"{stem}*"))
        found = CompiledRules(a_rule_set(rule)).first(facets, TODAY)
        assert (found == rule) is key.startswith(stem.casefold())


@pytest.mark.parametrize("away", range(-2, 3))
def test_a_rule_out_of_force_leaves_its_leads_to_the_next(away: int) -> None:
    today = TODAY + timedelta(days=away)
    rules = [
        a_rule("fair", valid_from=TODAY, valid_to=TODAY + timedelta(days=1)),
        a_rule("until", valid_to=TODAY),
        a_rule("never", valid_from=TODAY, valid_to=TODAY - timedelta(days=1)),
        a_rule("always", valid_from=date.min, valid_to=date.max),
    ]

    assert CompiledRules(a_rule_set(*rules)).first(Facets(), today) == scan(rules, Facets(), today)
    assert CompiledRules(a_rule_set(rules[2])).first(Facets(), today) is None


def test_each_of_many_named_accounts_is_found_by_its_domain() -> None:
    rules = [a_rule(f"r{n}", a_test("domain", f"firm{n}.example"), a_test("country", "!pl")) for n in range(5_000)]
    compiled = CompiledRules(a_rule_set(*rules, a_rule("rest")))

    for number in range(0, 5_000, 10):
        keys = compiled.domain_rules(f"FIRM{number}.example")
        assert keys == (f"r{number}",)
        assert compiled.first(Facets(country="DE", domain_rules=keys), TODAY) == rules[number]
        assert compiled.first(Facets(country="PL", domain_rules=keys), TODAY).key == "rest"
