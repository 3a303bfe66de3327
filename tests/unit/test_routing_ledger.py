"""The carpool ledger: nobody is ever owed, or owes, more than the proof allows."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import a_book, a_pool, a_rep, a_rule, a_rule_set, decided, post

from connector.routing.book import Book, Standing
from connector.routing.decide import Result
from connector.routing.ledger import TURN, shares, take_turn

WEIGHTS = st.lists(st.integers(1, 1_000), min_size=1, max_size=30)


class Ledger:
    """Balances kept by the rule alone."""

    def __init__(self, people: int) -> None:
        self.balances = [0] * people
        self.last = [0] * people
        self.turns = 0

    def turn(self, weights: dict[int, int]) -> int:
        self.turns += 1
        rows = [(f"p{n:03}", weight, self.balances[n], self.last[n]) for n, weight in sorted(weights.items())]
        owner, turn = take_turn(*zip(*rows, strict=True))
        for person, balance in zip(turn.people, turn.after, strict=True):
            self.balances[int(person[1:])] = balance
        chosen = int(owner[1:])
        self.last[chosen] = self.turns
        return chosen


@given(WEIGHTS)
def test_shares_are_whole_numbers_that_make_up_one_turn(weights: list[int]) -> None:
    split = shares(weights)

    assert sum(split) == TURN
    assert all(abs(share - TURN * weight / sum(weights)) < 1 for share, weight in zip(split, weights, strict=True))


def test_a_unit_left_over_goes_to_the_largest_remainder_then_to_the_first() -> None:
    assert shares([1, 1, 1]) == [333_333_334, 333_333_333, 333_333_333]
    assert shares([1, 2, 4]) == [142_857_143, 285_714_286, 571_428_571]


@given(
    st.integers(2, 30).flatmap(
        lambda n: st.lists(
            st.dictionaries(st.integers(0, n - 1), st.integers(1, 50), min_size=1), min_size=1, max_size=120
        ).map(lambda steps: (n, steps))
    )
)
def test_whoever_could_take_each_lead_every_balance_stays_within_the_bound(case: tuple[int, list]) -> None:
    """R3: |balance| <= (n-1)/2 turns and the sum is zero, after each step."""
    people, steps = case
    ledger = Ledger(people)

    for weights in steps:
        ledger.turn(weights)
        assert sum(ledger.balances) == 0
        assert max(map(abs, ledger.balances)) * 2 <= (people - 1) * TURN


@pytest.mark.parametrize(
    "weights",
    [[45, 15, 15, 30, 60], [5, 1, 1], list(range(10, 0, -1)), [100, *[1] * 20]],
    ids=["five", "lion", "ten-to-one", "one-large"],
)
def test_over_a_thousand_leads_everybody_is_within_one_lead_of_their_share(weights: list[int]) -> None:
    """R2"""
    ledger, got = Ledger(len(weights)), Counter[int]()

    for number in range(1, 1_001):
        got[ledger.turn(dict(enumerate(weights)))] += 1
        for person, weight in enumerate(weights):
            assert abs(got[person] - number * weight / sum(weights)) < 1


@given(st.lists(st.integers(1, 20), min_size=2, max_size=12), st.integers(1, 200))
def test_in_a_fixed_pool_leads_received_and_balance_tell_the_same(weights: list[int], leads: int) -> None:
    """R2: the deviation from the exact share is the balance, within (n-1)/2."""
    ledger, got = Ledger(len(weights)), Counter[int]()

    for _ in range(leads):
        got[ledger.turn(dict(enumerate(weights)))] += 1

    for person, weight in enumerate(weights):
        owed = leads * weight / sum(weights) - got[person]
        assert owed == pytest.approx(ledger.balances[person] / TURN, abs=leads / TURN)
        assert abs(owed) <= (len(weights) - 1) / 2 + leads / TURN


@given(st.permutations(range(6)), st.lists(st.integers(1, 9), min_size=6, max_size=6))
def test_the_order_in_which_members_are_listed_makes_no_difference(order: list[int], weights: list[int]) -> None:
    people = [f"p{n}" for n in range(6)]
    reps = [a_rep(person) for person in (*people, "mona")]
    listed = a_rule_set(pools=[a_pool("north", {people[n]: weights[n] for n in order})], reps=reps)
    in_order = a_rule_set(pools=[a_pool("north", dict(zip(people, weights, strict=True)))], reps=reps)

    assert decided(listed, a_book()).turn == decided(in_order, a_book()).turn


@pytest.mark.parametrize(
    ("weights", "balances", "seqs", "owner"),
    [
        ((1, 1), (-5, 5), (9, 9), "b"),
        ((1, 3), (2 * 10**8, -3 * 10**8), (9, 9), "b"),
        ((1, 1), (0, 0), (7, 3), "b"),
        ((1, 1), (0, 0), (0, 0), "a"),
    ],
    ids=["most-owed", "larger-share-among-equals", "longest-without", "first-by-name"],
)
def test_ties_are_broken_by_share_then_rest_then_name(
    weights: tuple[int, int], balances: tuple[int, int], seqs: tuple[int, int], owner: str
) -> None:
    assert take_turn(("a", "b"), weights, balances, seqs)[0] == owner


def test_every_member_of_a_weighted_pool_is_reached() -> None:
    """R1"""
    rule_set = a_rule_set(pools=[a_pool("north", {"anna": 2, "bert": 1, "cleo": 1})])
    book, owners = a_book(), []

    for _ in range(4):
        decision = decided(rule_set, book)
        post(book, decision)
        owners.append(decision.owner)

    assert Counter(owners) == {"anna": 2, "bert": 1, "cleo": 1}


def test_a_lone_member_takes_every_turn_and_owes_nothing() -> None:
    assert take_turn(("a",), (7,), (0,), (3,))[1].after == (0,)


def test_a_newcomer_without_history_is_chosen_and_namesakes_stay_apart() -> None:
    """R5"""
    pool = a_pool("north", {"anna": 1, "anna.2": 1})
    rule_set = a_rule_set(pools=[pool], reps=[a_rep(person) for person in ("anna", "anna.2", "mona")])

    decision = decided(rule_set, a_book(anna=Standing(balance=0, last_seq=12, open_leads=40)))

    assert decision.owner == "anna.2"
    assert decision.turn.after == (TURN // 2, -TURN // 2)


@given(st.dictionaries(st.sampled_from("bcdef"), st.integers(1, 9), min_size=1))
def test_adding_removing_and_reweighting_members_changes_no_balance(others: dict[str, int]) -> None:
    """R7"""
    before = {person: Standing(balance=n * 7 - 14) for n, person in enumerate("abcde")}
    book = Book(before, 9)
    pool = a_pool("north", {"a": 3, **others})
    rule_set = a_rule_set(a_rule(), pools=[pool], reps=[a_rep(p) for p in ("a", *others, "mona")])

    decision = decided(rule_set, book)

    assert decision.result is Result.ASSIGNED
    assert all(book.standing(person) == standing for person, standing in before.items())
    assert dict(zip(decision.turn.people, decision.turn.before, strict=True)) == {
        person: before.get(person, Standing()).balance for person in ("a", *sorted(others))
    }
    post(book, decision)
    outside = before.keys() - {"a", *others}
    assert all(book.standing(person) == before[person] for person in outside)
