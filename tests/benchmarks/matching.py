"""(d) What finding the first matching rule costs: microseconds a lookup against a scan of the rules (R33)."""

import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from connector.model.lead import Facets
from connector.model.routing import Condition, Rule, RuleSet, Term
from connector.routing.analysis import analyse
from connector.routing.compiled import CompiledRules
from connector.routing.conditions import rule_matches

COUNTRIES = ("de", "us", "pl", "fr", "it", "es", "se", "cz", "mx", "tr")
PRODUCTS = ("cordless", "measuring", "benchtop", "storage", "accessory")
INDUSTRIES = ("carpentry", "shipbuilding", "facility", "rental", "other")
SOURCES = ("web", "card", "fair", "partner")
SIZES = (3_000, 20_000, 100_000)
ANALYSED = (2_000, 20_000)
TODAY = date(2026, 6, 9)
LEADS = 2_000
ROUNDS = 5


def bench() -> dict[str, Any]:
    """Look the same leads up in generated territories of ten countries, by index and by scan."""
    figures: dict[str, Any] = {}
    for size in SIZES:
        figures |= {f"{name}_{size}": value for name, value in measure(size).items()}
    named = CompiledRules(rule_set(named_accounts(20_000)))
    domains = [f"firm{number}.example" for number in range(0, 40_000, 20)]
    figures["us_per_domain_20000"] = round(1e6 * best(named.domain_rules, domains), 2)
    figures |= {f"analysis_cpu_seconds_{size}": analysis(size) for size in ANALYSED}
    wanted = "20,000 rules: <= 10 us, build <= 1 s, <= 64 MiB, analysis <= 5 s; 100,000: <= 2x, <= 300 MB"
    return figures | {"wanted": wanted}


def measure(size: int) -> dict[str, float]:
    """Measure one size; index and scan must agree on every lead."""
    rules = territories(size)
    started = time.perf_counter()
    compiled = CompiledRules(rule_set(rules))
    build = time.perf_counter() - started
    some = leads(LEADS)

    def scan(facets: Facets) -> Rule | None:
        return next((rule for rule in rules if rule_matches(rule, facets, TODAY)), None)

    few = some[: 600_000 // size]
    assert [compiled.first(facets, TODAY) for facets in few] == [scan(facets) for facets in few]
    lookup = best(lambda facets: compiled.first(facets, TODAY), some)
    return {
        "us_per_lookup": round(1e6 * lookup, 2),
        "times_faster_than_scan": round(best(scan, few, rounds=1) / lookup),
        "build_seconds": round(build, 2),
        "mib": round(mebibytes(rules), 1),
    }


def analysis(size: int) -> float:
    """Return the CPU seconds the analysis takes, in the best of three rounds."""
    rules, spent = rule_set(territories(size)), []
    for _ in range(3):
        started = time.process_time()
        analyse(rules, TODAY)
        spent.append(time.process_time() - started)
    return round(min(spent), 2)


def best(call: Callable[[Any], object], arguments: Sequence[Any], *, rounds: int = ROUNDS) -> float:
    """Return the seconds a call takes, in the best of the rounds."""
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        for argument in arguments:
            call(argument)
        spent.append(time.perf_counter() - started)
    return min(spent) / len(arguments)


def mebibytes(rules: Sequence[Rule]) -> float:
    """Return what the compiled rules occupy beyond the rules themselves."""
    tracemalloc.start()
    compiled = CompiledRules(rule_set(rules))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert compiled.rule_set.rules
    return used / 2**20


def rule_set(rules: Sequence[Rule]) -> RuleSet:
    return RuleSet(reps={}, pools={}, rules=tuple(rules), fallback="", max_hold=timedelta(hours=4))


def territories(size: int) -> list[Rule]:
    """Generate postal territories that overlap, with products, industries and sizes; some rules for everywhere."""
    draw = random.Random(size)
    return [_rule(draw, number) for number in range(size)]


def _rule(draw: random.Random, number: int) -> Rule:
    tests = []
    if draw.random() < 0.98:
        tests += [_test("country", draw.choice(COUNTRIES)), Condition("postal", (_stretch(draw),))]
    else:
        tests.append(_test("source", draw.choice(SOURCES)))
        tests.append(_test("language", "de"))
    if draw.random() < 0.5:
        tests.append(_test("product", *draw.sample(PRODUCTS, 2)))
    if draw.random() < 0.3:
        tests.append(_test("industry", draw.choice(INDUSTRIES), exclude=draw.random() < 0.3))
    if draw.random() < 0.3:
        tests.append(Condition("employees", (Term(str(draw.randrange(100)), str(draw.randrange(100, 1000))),)))
    days = {"valid_to": TODAY - timedelta(days=draw.randrange(9))} if draw.random() < 0.02 else {}
    return Rule(f"rule-{number}", number, tuple(tests), pool="all", **days)


def _stretch(draw: random.Random) -> Term:
    low = draw.randrange(100_000)
    if draw.random() < 0.2:
        return Term(f"{low:05}"[: draw.choice((3, 4))], prefix=True)
    return Term(f"{low:05}", f"{min(low + draw.randrange(200), 99_999):05}")


def _test(field: str, *values: str, exclude: bool = False) -> Condition:
    terms = tuple(map(Term, values))
    return Condition(field, exclude=terms) if exclude else Condition(field, terms)


def named_accounts(size: int) -> list[Rule]:
    return [Rule(f"account-{n}", n, (_test("domain", f"firm{n}.example"),), rep="anna") for n in range(size)]


def leads(count: int) -> list[Facets]:
    draw = random.Random(count)
    return [
        Facets(
            country=draw.choice(COUNTRIES).upper(),
            postal_code=f"{draw.randrange(100_000):05}",
            product=draw.choice(PRODUCTS),
            industry=draw.choice(("", *INDUSTRIES)),
            employees=draw.choice((None, 5, 50, 500)),
            language=draw.choice(("de", "en")),
            source=draw.choice(SOURCES),
        )
        for _ in range(count)
    ]
