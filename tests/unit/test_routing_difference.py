"""Two versions side by side: nothing without a difference, everything with one, and the fewest moves."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import a_pool, a_rep, a_rule, a_rule_set, a_test

from connector.model.routing import RuleSet, Step
from connector.routing.difference import About, Change, difference, takers

POOLS = [a_pool("north", {"anna": 1, "bert": 2}, overflow="east"), a_pool("east", {"cleo": 1})]
BASE = a_rule_set(a_rule("one", a_test("country", "de")), a_rule("two"), a_rule("three", rep="mona"), pools=POOLS)


def ordered(keys: str) -> RuleSet:
    return a_rule_set(*(a_rule(key) for key in keys))


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (
            replace(BASE, rules=(a_rule("one", a_test("country", "pl")), *BASE.rules[1:])),
            Change(About.RULE, "one", "country", a_test("country", "de"), a_test("country", "pl")),
        ),
        (
            replace(BASE, rules=(a_rule("one"), *BASE.rules[1:])),
            Change(About.RULE, "one", "country", a_test("country", "de"), None),
        ),
        (
            replace(BASE, pools={**BASE.pools, "east": a_pool("east", {"cleo": 1, "mona": 4})}),
            Change(About.POOL, "east", "member mona", None, 4),
        ),
        (
            replace(BASE, reps={**BASE.reps, "anna": a_rep("anna", active=False)}),
            Change(About.REP, "anna", "active", True, False),
        ),
        (replace(BASE, fallback="anna"), Change(About.SETTING, "", "fallback", "mona", "anna")),
        (
            replace(BASE, steps=BASE.steps[1:]),
            Change(About.SETTING, "", "steps", tuple(map(str, Step)), tuple(map(str, BASE.steps[1:]))),
        ),
    ],
)
def test_one_edit_is_one_change_and_back_again(new: RuleSet, change: Change) -> None:
    assert difference(BASE, new).changes == (change,)
    back = replace(change, before=change.after, after=change.before)
    assert difference(new, BASE).changes == (back,)
    assert difference(new, new).changes == ()


def test_what_came_and_what_went_is_told_whole() -> None:
    new = replace(BASE, rules=(BASE.rules[0], a_rule("four", rep="mona"), BASE.rules[2]))

    removed, added = difference(BASE, new).changes

    assert (removed.key, removed.after) == ("two", None)
    assert (added.key, added.before) == ("four", None)
    assert added.after == {"order": 10, "rep": "mona"}


@given(st.permutations("abcdefg"))
def test_as_few_rules_as_can_be_are_told_to_have_moved(keys: list[str]) -> None:
    changes = difference(ordered("abcdefg"), ordered("".join(keys))).changes
    moved = {change.key for change in changes}

    assert all(change.field == "after" for change in changes)
    stayed = [key for key in keys if key not in moved]
    assert stayed == sorted(stayed)
    more = combinations(keys, len(stayed) + 1)
    assert not any(list(some) == sorted(some) for some in more)


def test_a_moved_rule_is_told_with_its_neighbours() -> None:
    assert difference(ordered("abc"), ordered("cab")).changes == (Change(About.RULE, "c", "after", "b", ""),)


def test_who_gets_leads_is_who_some_rule_reaches_and_can_take_them() -> None:
    assert takers(BASE) == {"anna", "bert", "cleo", "mona"}
    closed = replace(BASE, pools={**BASE.pools, "north": a_pool("north", {"anna": 1})})
    away = replace(closed, reps={**closed.reps, "anna": a_rep("anna", active=False)})

    assert difference(BASE, away).left == ("anna", "bert", "cleo")
    assert difference(away, BASE).joined == ("anna", "bert", "cleo")
