"""What the analysis says of a rule set is what trying every lead says."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import a_pool, a_rep, a_rule, a_rule_set, a_test

from connector.model.lead import Facets
from connector.model.routing import Condition, Rule
from connector.routing.analysis import Finding, Severity, analyse
from connector.routing.axis import ranks
from connector.routing.boxes import OverBudgetError, remainder
from connector.routing.conditions import passes_domain, rule_matches
from connector.routing.extent import Accepted, Extent
from connector.routing.lands import Witness
from connector.routing.leftover import Area, leftover, merged
from connector.routing.lines import Line
from connector.routing.runs import Runs, cells, joined, shared
from connector.routing.turning import Turning
from connector.routing.worlds import world_of

TODAY = date(2026, 6, 9)

TERMS = {
    "postal": ("00000..49999", "50000..99999", "10000..10009", "10010", "1001*", "1*", "!10005", "!50000..99999"),
    "product": ("drill", "drill*", "saw", "!drill", "!saw", "!drill*"),
    "employees": ("0", "0..9", "10..99", "!5", "10..1000"),
    "custom.dealer": ("yes", "no", "!yes"),
    "domain": ("acme.example", "!acme.example", "budomax.example"),
}
CODES = ("00000", "09999", "10000", "10004", "10005", "10006", "10009", "10010")
CODES += ("10011", "10019", "10020", "19999", "20000", "49999", "50000", "99999")
#: Where codes have no fixed width, some lie between these.
LETTERS = ("0", "000000", "499990", "500000", "999990", "1", "10", "100050", "100090", "1001", "100100", "1002", "2")
VALUES = {
    "postal": ("", *CODES),
    "product": ("", "drill", "drill bit", "saw", "zzz"),
    "employees": (None, 0, 4, 5, 9, 10, 99, 100, 1000, 1001),
    "custom.dealer": ("", "yes", "no", "zzz"),
    "domain": ("", "acme.example", "budomax.example", "other.example"),
}
COUNTRIES = ("", "DE", "US", "GB")


class Small:
    """Small rule sets over a few fields, and every lead that can tell their rules apart."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.fields = self._random.sample(sorted(TERMS), self._random.choice([1, 2, 2]))
        self.dated = self._random.random() < 0.2
        self.rules = [self._rule(number) for number in range(self._random.randint(2, 7))]

    def _rule(self, number: int) -> Rule:
        pick = self._random.choice
        tests = [a_test("country", *pick([("de",), ("us",), ("de", "us"), ("!us",)]))] * pick([0, 1, 1])
        tests += [self._condition(field) for field in self.fields if self._random.random() < 0.7]
        days = [TODAY + timedelta(days=pick([-1, 0, 1])) if self.dated else None for _ in range(2)]
        rule = a_rule(f"r{number}", *tests, pool=pick(["north", "south"]), valid_from=days[0], valid_to=days[1])
        return replace(rule, order=10 + number // 3)

    def _condition(self, field: str) -> Condition:
        terms = self._random.sample(TERMS[field], self._random.choice([1, 1, 2, 3]))
        return a_test(field, *terms, missing=self._random.random() < 0.3)

    def leads(self) -> Iterator[tuple[Facets, date]]:
        days = [TODAY, TODAY + timedelta(days=1), TODAY + timedelta(days=2)] if self.dated else [TODAY]
        tested = "postal" in self.fields
        others = [field for field in self.fields if field != "postal"]
        for country, day, values in product(COUNTRIES, days, product(*(VALUES[field] for field in others))):
            codes = (*VALUES["postal"], *(LETTERS if country in ("", "GB") else ())) if tested else ("", "12345")
            for code in codes:
                yield self._lead(country, code, dict(zip(others, values, strict=True))), day

    def _lead(self, country: str, code: str, values: dict[str, object]) -> Facets:
        domain = str(values.pop("domain", ""))
        custom = {"dealer": str(values.pop("custom.dealer"))} if "custom.dealer" in values else {}
        keys = tuple(rule.key for rule in self.rules if passes_domain(rule, domain))
        return Facets(country=country, postal_code=code, custom=custom, domain_rules=keys, **values)


class Tried:
    """What trying every lead says."""

    def __init__(self, rules: Sequence[Rule], leads: Sequence[tuple[Facets, date]]) -> None:
        self.rules = rules
        self.takes = [{n for n, lead in enumerate(leads) if rule_matches(rule, *lead)} for rule in rules]
        self.leads = leads

    def reach(self) -> dict[str, str]:
        """Return the verdict on every rule that no lead reaches."""
        verdicts, taken = {}, set[int]()
        for number, takes in enumerate(self.takes):
            if takes <= taken:
                shadowed = any(takes <= earlier for earlier in self.takes[:number])
                verdicts[self.rules[number].key] = "never" if not takes else "shadowed" if shadowed else "dead"
            taken |= takes
        return verdicts

    def overlaps(self) -> set[tuple[str, str]]:
        return {
            (one.key, two.key)
            for n, two in enumerate(self.rules)
            for m, one in enumerate(self.rules[:n])
            if one.order == two.order and one.pool != two.pool and self.takes[m] & self.takes[n]
        }

    def uncovered(self, countries: set[str]) -> set[tuple[str, str]]:
        taken = set().union(*self.takes)
        return {
            (facets.country, facets.postal_code)
            for n, (facets, day) in enumerate(self.leads)
            if n not in taken and day == TODAY and facets.country in countries and facets.postal_code
        }


def named(rules: Sequence[Rule]) -> set[str]:
    tests = [test for rule in rules for test in rule.conditions if test.field == "country"]
    return {term.low.upper() for test in tests for term in test.include}


def first(rules: Sequence[Rule], witness: Witness) -> str | None:
    keys = tuple(rule.key for rule in rules if passes_domain(rule, witness.domain))
    assert witness.facets.domain_rules == keys
    return next((rule.key for rule in rules if rule_matches(rule, witness.facets, witness.day)), None)


def check_witness(rules: Sequence[Rule], finding: Finding) -> None:
    by_key = {rule.key: rule for rule in rules}
    witness = finding.witness
    if finding.code == "never":
        assert witness is None
        return
    assert witness is not None
    matched = [key for key in finding.rules if rule_matches(by_key[key], witness.facets, witness.day)]
    assert matched == list(finding.rules), finding
    taker = first(rules, witness)
    if finding.code == "uncovered":
        country, _, codes = finding.detail.partition(" ")
        low, _, high = codes.partition("..")
        assert witness.facets.country == country
        assert low <= witness.facets.postal_code <= high
        assert taker is None
    elif finding.code != "overlap":
        assert taker not in (None, finding.rules[0])


def covers(findings: Sequence[Finding], country: str, code: str) -> bool:
    ranges = [f.detail[3:].split("..") for f in findings if f.code == "uncovered" and f.detail.startswith(country)]
    return any(low <= code <= high for low, high in ranges)


@pytest.mark.parametrize("part", range(4))
def test_the_analysis_says_what_trying_every_lead_says(part: int) -> None:
    """R32: 1,000 random rule sets in all; every witness is true."""
    for seed in range(part * 250, part * 250 + 250):
        small = Small(seed)
        tried = Tried(small.rules, list(small.leads()))
        pools = [a_pool("north", {"anna": 1}), a_pool("south", {"bert": 1})]

        found = analyse(a_rule_set(*small.rules, pools=pools), TODAY)

        reach = {f.rules[0]: f.code for f in found if f.code in ("never", "shadowed", "dead", "unknown")}
        assert reach == tried.reach(), seed
        assert {f.rules for f in found if f.code == "overlap"} == tried.overlaps(), seed
        gaps = tried.uncovered(named(small.rules) & {"DE", "US"})
        for country, code in product(("DE", "US"), CODES):
            if "postal" in small.fields or (code == "00000" and country in named(small.rules)):
                expected = (country, code if "postal" in small.fields else "12345") in gaps
                assert covers(found, country, code) is expected, (seed, country, code)
        for finding in found:
            check_witness(small.rules, finding)


def test_a_rule_between_two_adjacent_ranges_is_dead() -> None:
    """R30, R32: no code lies between 49999 and 50000."""
    rules = [
        a_rule("low", a_test("country", "de"), a_test("postal", "00000..49999", missing=True)),
        a_rule("high", a_test("country", "de"), a_test("postal", "50000..99999")),
        a_rule("rest", a_test("country", "de")),
    ]

    assert [(f.code, f.rules) for f in analyse(a_rule_set(*rules), TODAY)] == [("dead", ("rest",))]


def test_uncovered_codes_are_told_as_ranges_with_a_lead() -> None:
    rules = [a_rule("some", a_test("country", "pl"), a_test("postal", "10000..19999", "20000..20999", "99*"))]

    found = analyse(a_rule_set(*rules), TODAY)

    assert [(f.detail, f.witness and f.witness.facets.postal_code) for f in found] == [
        ("PL 00000..09999", "00000"),
        ("PL 21000..98999", "21000"),
    ]


def test_a_pool_without_an_active_member_is_an_error_once_a_rule_leads_there() -> None:
    reps = [a_rep("anna"), a_rep("bert", active=False), a_rep("mona")]
    pools = [a_pool("north", {"anna": 1, "bert": 1}), a_pool("south", {"bert": 1}), a_pool("spare", {"bert": 1})]
    rules = [
        a_rule("s", a_test("product", "saw"), pool="south"),
        a_rule("b", a_test("product", "bit"), rep="bert"),
        a_rule("n"),
    ]

    found = analyse(a_rule_set(*rules, pools=pools, reps=reps), TODAY)

    assert [(f.severity, f.rules, f.detail) for f in found if f.code == "empty_pool"] == [
        (Severity.ERROR, ("s",), "south"),
        (Severity.WARNING, (), "spare"),
        (Severity.ERROR, ("b",), "rep:bert"),
    ]


def test_over_budget_is_unknown_and_never_fine() -> None:
    """R32"""
    draw = random.Random(3)
    names = [f"custom.f{number}" for number in range(6)]
    rules = [
        a_rule(f"r{number}", *(a_test(name, draw.choice(["a", "!a"]), missing=True) for name in draw.sample(names, 3)))
        for number in range(80)
    ]

    found = {
        budget: {
            f.code for f in analyse(a_rule_set(*rules, a_rule("rest")), TODAY, budget=budget) if f.rules[0] == "rest"
        }
        for budget in (3, 50_000)
    }

    assert found == {3: {"unknown"}, 50_000: {"dead"}}


@pytest.mark.parametrize("sides", [2, 4, 6])
def test_many_small_rules_that_together_take_all_are_seen_to_at_once(sides: int) -> None:
    """R32: boxes that fill a bigger one are merged, so that no budget is spent."""
    names = [f"custom.f{number}" for number in range(sides)]
    halves = ([a_test(name, "a", missing=True), a_test(name, "!a")] for name in names)
    rules = [a_rule(f"r{number}", *tests) for number, tests in enumerate(product(*halves))]

    found = {
        end: {f.code: f.rules for f in analyse(a_rule_set(*rules[:end], a_rule("rest")), TODAY, budget=64)}
        for end in (None, -1)
    }

    assert found == {None: {"dead": ("rest",)}, -1: {}}


def test_a_remainder_lies_in_its_box_and_in_no_other() -> None:
    draw = random.Random(7)
    for _ in range(1_000):
        box, *others = [tuple(draw.randrange(1, 16) for _ in range(3)) for _ in range(draw.randint(1, 8))]
        points = {
            point for point in product(*(range(4),) * 3) if all(m >> p & 1 for m, p in zip(box, point, strict=True))
        }
        for other in others:
            points -= {point for point in points if all(m >> p & 1 for m, p in zip(other, point, strict=True))}

        rest = remainder(box, others)

        assert (rest is None) is (not points)
        assert rest is None or all(
            point in points for point in product(*([n for n in range(4) if m >> n & 1] for m in rest))
        )


def test_a_search_that_splits_too_often_gives_up() -> None:
    with pytest.raises(OverBudgetError):
        remainder((7, 7), [(1, 7), (2, 7), (4, 7)], budget=1)


NUMBERS = st.integers(0, 9)
RUNS = st.sets(st.integers(0, 6)).map(lambda cells: joined((cell, cell + 1) for cell in cells))
AREAS = st.tuples(RUNS.filter(bool), RUNS.filter(bool), RUNS.filter(bool))


@given(AREAS, st.lists(AREAS, max_size=8))
def test_what_is_left_of_an_area_is_what_enumeration_leaves(area: Area, others: list[Area]) -> None:
    """R32"""
    left = set(product(*map(cells, area)))
    for other in others:
        left -= set(product(*map(cells, other)))

    lead = leftover(area, others)

    assert lead in left if left else lead is None
    assert {lead for each in merged(others) for lead in product(*map(cells, each))} == {
        lead for each in others for lead in product(*map(cells, each))
    }


@given(RUNS, RUNS)
def test_shared_runs_are_the_cells_in_both(one: Runs, other: Runs) -> None:
    assert set(cells(shared(one, other))) == set(cells(one)) & set(cells(other))


@given(st.lists(st.none() | st.builds(lambda *ends: tuple(sorted(ends)), NUMBERS, NUMBERS), max_size=12), RUNS)
def test_a_line_finds_the_rules_that_meet_or_contain_some_cells(
    ranges: list[tuple[int, int] | None], asked: Runs
) -> None:
    """R32: as a look at every rule does."""
    tests = {
        rank: Accepted(Extent(False, (ends[0], ends[1] + 1)), missing=ends[0] % 2 == 0)
        for rank, ends in enumerate(ranges)
        if ends
    }
    line = Line("employees", world_of("employees", "", TODAY), tests, len(ranges))
    runs = shared(asked, line.everything)
    every = {rank: set(cells(line.runs(rank))) for rank in range(len(ranges))}
    wanted = set(cells(runs))

    assert set(ranks(line.meeting(runs))) == {rank for rank, own in every.items() if own & wanted}
    if runs:
        assert set(ranks(line.containing(runs))) == {rank for rank, own in every.items() if wanted <= own}
    assert [set(ranks(line.at(cell))) for cell in cells(runs)] == [
        {rank for rank, own in every.items() if cell in own} for cell in cells(runs)
    ]


@pytest.mark.parametrize("number", [1, 40, 5_000])
def test_what_turns_between_two_cells_is_what_a_walk_over_them_finds(number: int) -> None:
    draw = random.Random(number)
    turns = {cell: [draw.randrange(50)] for cell in draw.sample(range(number + 1), min(number, 200))}
    turning = Turning(turns, number, 50)

    for _ in range(200):
        first, end = sorted(draw.choices(range(number + 1), k=2))
        walked = {rank for cell in range(first, end) for rank in turns.get(cell, ())}
        assert set(ranks(turning.between(first, end))) == walked
