"""Coming back from a leave: neither flooded nor starved."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import AT, a_pool, a_rep, a_rule_set
from routing_floor import Floor, away

from connector.model.routing import Absence, RuleSet
from connector.routing.book import HERE, Presence
from connector.routing.ledger import TURN
from connector.routing.pacing import GRANT_MAX, LAPSES

PEOPLE = ("anna", "bert", "cleo", "dora", "emil")
STEP = timedelta(minutes=10)


def five(policy: Absence) -> RuleSet:
    pool = replace(a_pool("north", dict.fromkeys(PEOPLE, 1)), absence=policy)
    return a_rule_set(pools=[pool], reps=[a_rep(person) for person in (*PEOPLE, "mona")])


def leads(floor: Floor, count: int, start: datetime) -> list[str | None]:
    return [floor.lead(start + number * STEP).owner for number in range(count)]


def longest_run(owners: list[str | None], person: str) -> int:
    return max((len(list(run)) for owner, run in groupby(owners) if owner == person), default=0)


@pytest.mark.parametrize(("policy", "run", "first_forty"), [(Absence.NONE, 1, 8), (Absence.PACED, 2, 11)])
def test_a_rep_back_after_two_hundred_missed_leads_gets_no_flood(policy: Absence, run: int, first_forty: int) -> None:
    """R6: the figures are those of the routing reference."""
    back = AT + 201 * STEP
    floor = Floor(five(policy), away("anna", until=back))

    assert "anna" not in leads(floor, 200, AT)
    owners = leads(floor, 400, back)

    assert longest_run(owners, "anna") <= run
    assert Counter(owners[:40])["anna"] == first_forty
    if policy is Absence.PACED:
        # What was missed counts up to twenty turns, and is made up for: a hundredth part of a lead aside.
        assert floor.standings["anna"].grant.units == 0
        assert Counter(owners)["anna"] - 80 == pytest.approx(GRANT_MAX / TURN, abs=1)


def test_a_grant_lapses_thirty_days_after_the_last_lead_missed() -> None:
    """R6"""
    floor = Floor(five(Absence.PACED), away("anna", until=AT + 11 * STEP))
    leads(floor, 10, AT)
    assert floor.standings["anna"].grant.units == 2 * TURN

    late = AT + 10 * STEP + LAPSES
    floor.lead(late)

    assert floor.decisions[-1].turn[:2] == (tuple(PEOPLE), (1,) * len(PEOPLE))


@pytest.mark.parametrize("policy", list(Absence))
def test_a_rep_away_half_the_time_gets_the_credited_share(policy: Absence) -> None:
    """R8: over 20,000 leads, within two."""
    presence = away_by_turns("anna", 50)
    floor = Floor(five(policy), presence)

    leads(floor, 20_000, AT)

    turns = [dict(zip(d.turn.people, d.turn.shares, strict=True)) for d in floor.decisions]
    credited = sum(shares.get("anna", 0) for shares in turns) / TURN
    assert abs(Counter(floor.owners)["anna"] - credited) <= 2


def away_by_turns(who: str, leads_each: int):  # type: ignore[no-untyped-def]  # a function of person and instant
    def presence(person: str, at: datetime) -> Presence:
        number = (at - AT) // STEP
        return Presence((at + STEP).isoformat()) if person == who and number // leads_each % 2 else HERE

    return presence


@given(st.lists(st.sets(st.sampled_from(PEOPLE), max_size=4), min_size=1, max_size=150))
def test_balances_keep_their_bound_and_sum_while_people_catch_up(absences: list[set[str]]) -> None:
    """R3, R6: at most (n - 1) / 2 turns, and never more leave-time credit than was missed."""
    floor = Floor(five(Absence.PACED))
    for number, gone in enumerate(absences):
        until = (AT + (number + 1) * STEP).isoformat()
        floor.presence = lambda person, _at, gone=gone, until=until: Presence(until) if person in gone else HERE  # type: ignore[misc]
        floor.lead(AT + number * STEP)
        assert sum(floor.balances.values()) == 0
        assert max(map(abs, floor.balances.values())) <= 2 * TURN
        assert all(0 <= row.grant.units <= GRANT_MAX for row in floor.standings.values())
