"""What one whole decision costs (R39): matching, eligibility, ledger, record, digest; microseconds of CPU."""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.model.lead import Facets
from connector.model.routing import SPANS, Cap, Member, Pool, Rep, RuleSet
from connector.routing.book import Book, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, decide
from connector.routing.record import record_of
from connector.routing.rings import Rings, microseconds
from tests.benchmarks.matching import leads, rule_set, territories

AT = datetime(2026, 6, 9, 8, tzinfo=UTC)
RULES = 20_000
LEADS = 1_000
ROUNDS = 5


def bench() -> dict[str, Any]:
    """Decide leads of 20,000 territories for pools of 20 and 50, plain and with rolling caps."""
    figures = {f"us_{count}_candidates": measure(count, ()) for count in (20, 50)}
    caps = tuple(Cap(span, 10_000, SPANS[span]) for span in ("day", "week"))
    figures["us_20_candidates_with_two_caps_each"] = measure(20, caps)
    return {**figures, "rules": RULES, "wanted": "20 candidates: <= 100 us; 50: <= 1,000 us"}


def measure(count: int, caps: tuple[Cap, ...]) -> float:
    people = [f"rep-{number:03d}" for number in range(count)]
    territory = rule_set(territories(RULES))
    members = tuple(Member(person, 1) for person in people)
    pools = {rule.pool: Pool(rule.pool, members) for rule in territory.rules if rule.pool}
    reps = {person: Rep(person, True, None, ("crm",), caps) for person in [*people, territory.fallback]}
    rules = CompiledRules(
        RuleSet(reps=reps, pools=pools, rules=territory.rules, fallback=territory.fallback, max_hold=timedelta(hours=4))
    )
    cases = [Case(f"lead-{number}", 1, AT, facets) for number, facets in enumerate(matched(rules))]
    return round(min(spent(rules, cases, people) for _ in range(ROUNDS)) * 1e6 / len(cases), 1)


def matched(rules: CompiledRules) -> list[Facets]:
    return [facets for facets in leads(3 * LEADS) if rules.first(facets, AT.date())][:LEADS]


def spent(rules: CompiledRules, cases: list[Case], people: list[str]) -> float:
    book = Book({person: Standing() for person in people}, 0, rings=Rings(rules.rule_set, {}, microseconds(AT)))
    begin = time.process_time()
    for case in cases:
        decision = decide(case, rules, book)
        hashlib.sha256(record_of(decision, book)).digest()
        book.post(decision.turn, decision.owner, decision.seq, tags=decision.tags)
    return time.process_time() - begin
