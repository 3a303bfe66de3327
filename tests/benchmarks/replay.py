"""(f) `hearback rules replay`: how long it takes to try a draft on a hundred thousand leads."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connector.flows import replay, verify
from connector.model.routing import Member, RuleSet
from connector.store import ledger
from tests.benchmarks.rig import Rig, loop
from tests.benchmarks.verify import COUNT, decide_many

ROUNDS = 3
#: The decisions of the benchmark may lie in any year.
EVER = timedelta(days=36_500)


def bench(rig: Rig, *, count: int = COUNT) -> dict[str, Any]:
    """Try what is in force, an edit of one rule, and other weights everywhere, on `count` decisions."""
    services = rig.services()
    decide_many(services, count)
    with services.store.transaction() as tx:
        rule_set = services.active(tx).rules.rule_set
        assert ledger.decisions(tx) == count
    services.store.close()
    figures: dict[str, Any] = {"leads": count}
    for name, draft in {"in_force": rule_set, "one_rule": _one_rule(rule_set), "all_pools": _pools(rule_set)}.items():
        rounds = [_round(rig, draft, count) for _ in range(ROUNDS)]
        figures[f"seconds_{name}"] = ", ".join(f"{seconds:.1f} (loop {ms:.0f} ms)" for seconds, ms, _ in rounds)
        figures[f"moved_{name}"] = rounds[0][2]
    assert figures["moved_in_force"] == 0
    begin = time.perf_counter()
    assert verify.again(rig.url, 1, count, processes=os.cpu_count() or 1) == ()
    figures["seconds_as_recorded"] = round(time.perf_counter() - begin, 1)
    return figures | {"wanted": "100,000 leads in 10 s, without the check as recorded"}


def _round(rig: Rig, draft: RuleSet, count: int) -> tuple[float, float, int]:
    """Return seconds, this machine's clock just before, and how many leads moved."""
    clock, begin = loop(), time.perf_counter()
    report = replay.what_if(rig.url, draft, EVER, kept=20).report
    seconds = time.perf_counter() - begin
    assert report.decisions == count
    return seconds, 1e3 * clock, len(report.moved)


def _one_rule(rule_set: RuleSet) -> RuleSet:
    """Give Hamburg to one person."""
    rules = tuple(
        replace(rule, pool=None, rep="jens.petersen") if rule.key == "de-hamburg" else rule for rule in rule_set.rules
    )
    return replace(rule_set, rules=rules, hash="one-rule")


def _pools(rule_set: RuleSet) -> RuleSet:
    """Change everybody's weight."""
    pools = {
        key: replace(pool, members=tuple(Member(m.person, 7 + n) for n, m in enumerate(pool.members)))
        for key, pool in rule_set.pools.items()
    }
    return replace(rule_set, pools=pools, hash="all-pools")
