"""A batch handed out at once: the balances end as even as any assignment can make them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from connector.model.routing import Member
from connector.routing.ledger import TURN, shares, take_turn
from connector.routing.optimal import Handout, Waiting, hand_out

PEOPLE = [f"p{n}" for n in range(6)]
ELIGIBLE = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 5), max_size=6)
BALANCES = st.dictionaries(st.sampled_from(PEOPLE), st.integers(-3 * TURN, 3 * TURN))


def a_batch(*eligible: Mapping[str, int]) -> list[Waiting]:
    return [
        Waiting(f"lead-{n}", tuple(Member(person, weight) for person, weight in each.items()))
        for n, each in enumerate(eligible)
    ]


def squares(balances: Mapping[str, int]) -> int:
    return sum(balance * balance for balance in balances.values())


def sequential(leads: Sequence[Waiting], balances: Mapping[str, int]) -> dict[str, int]:
    """Return the balances after the ledger took the leads one by one."""
    after, last = dict(balances), Counter[str]()
    for number, lead in enumerate(leads, 1):
        if lead.eligible:
            members = sorted(lead.eligible, key=lambda member: member.person)
            columns = ((m.person, m.weight, after.get(m.person, 0), last[m.person]) for m in members)
            owner, turn = take_turn(*zip(*columns, strict=True))
            after |= zip(turn.people, turn.after, strict=True)
            last[owner] = number
    return after


def posted(leads: Sequence[Waiting], balances: Mapping[str, int], owners: Sequence[str | None]) -> dict[str, int]:
    """Return the balances after these owners took the leads, by the ledger's own shares."""
    after = dict(balances)
    for lead, owner in zip(leads, owners, strict=True):
        if owner is not None:
            members = sorted(lead.eligible, key=lambda member: member.person)
            for member, share in zip(members, shares([m.weight for m in members]), strict=True):
                after[member.person] = after.get(member.person, 0) + share
            after[owner] -= TURN
    return after


def assignments(leads: Sequence[Waiting], room: Mapping[str, int]) -> Iterator[tuple[str | None, ...]]:
    """Yield every way to hand the leads out."""
    for owners in product(*([*(m.person for m in lead.eligible), None] for lead in leads)):
        taken = Counter(owners)
        if all(taken[person] <= limit for person, limit in room.items()):
            yield owners


@given(st.lists(ELIGIBLE, max_size=60), BALANCES)
def test_the_balances_end_at_least_as_even_as_one_by_one(eligible: list[dict[str, int]], balances: dict) -> None:
    """R42: the sum of squared balances is at most the sequential ledger's."""
    leads = a_batch(*eligible)

    done = hand_out(leads, balances, {})

    assert squares(done.balances) <= squares(sequential(leads, balances))


@given(st.lists(ELIGIBLE, max_size=30), BALANCES, st.dictionaries(st.sampled_from(PEOPLE), st.integers(0, 4)))
def test_every_lead_goes_to_somebody_who_may_take_it_and_is_booked(
    eligible: list[dict[str, int]], balances: dict, room: dict
) -> None:
    leads = a_batch(*eligible)

    done = hand_out(leads, balances, room)

    for lead, owner in zip(leads, done.owners, strict=True):
        assert owner is None or owner in {member.person for member in lead.eligible}
    taken = Counter(done.owners)
    assert all(taken[person] <= limit for person, limit in room.items())
    everybody = {person: balances.get(person, 0) for person in PEOPLE}
    assert {**everybody, **done.balances} == posted(leads, everybody, done.owners)
    assert sum(done.balances.values()) == sum(balances.values())


@given(
    st.lists(st.dictionaries(st.sampled_from(PEOPLE[:3]), st.integers(1, 3), max_size=3), max_size=5),
    st.dictionaries(st.sampled_from(PEOPLE[:3]), st.integers(-2 * TURN, 2 * TURN)),
    st.dictionaries(st.sampled_from(PEOPLE[:3]), st.integers(0, 2)),
)
def test_no_other_assignment_is_better(eligible: list[dict[str, int]], balances: dict, room: dict) -> None:
    """R42: the most important leads find an owner, and then nothing is more even; against all assignments."""
    leads = a_batch(*eligible)

    done = hand_out(leads, balances, room)

    served = [owner is not None for owner in done.owners]
    possible = list(assignments(leads, room))
    assert served == max([owner is not None for owner in owners] for owners in possible)
    rivals = [owners for owners in possible if [owner is not None for owner in owners] == served]
    assert squares(done.balances) == min(squares(posted(leads, balances, owners)) for owners in rivals)


@pytest.mark.parametrize("seed", range(5))
def test_a_solver_finds_nothing_better(seed: int) -> None:
    """R42: against the same flow as a linear program, solved by HiGHS."""
    draw = np.random.default_rng(seed)
    people = [f"p{n:02}" for n in range(8)]
    kinds = [
        {str(person): int(draw.integers(1, 6)) for person in draw.choice(people, size=int(draw.integers(1, 6)))}
        for _ in range(6)
    ]
    leads = a_batch(*(kinds[int(draw.integers(6))] for _ in range(40)))
    balances = {person: int(draw.integers(-TURN, TURN)) for person in people}
    room = dict.fromkeys(people, 40)

    done = hand_out(leads, balances, room)

    assert None not in done.owners
    assert squares(done.balances) / TURN**2 == pytest.approx(solved(leads, balances, room), abs=1e-6)


def solved(leads: Sequence[Waiting], balances: Mapping[str, int], room: Mapping[str, int]) -> float:
    """Return the least sum of squares in turns: arcs lead -> person, and a person's k-th lead at 2k-1-2q."""
    people = sorted(balances)
    owed = posted(leads, balances, [lead.eligible[0].person for lead in leads])
    for lead in leads:
        owed[lead.eligible[0].person] += TURN
    arcs = [(n, person) for n, lead in enumerate(leads) for person in {m.person for m in lead.eligible}]
    sinks = [(person, k) for person in people for k in range(1, room[person] + 1)]
    cost = [0.0] * len(arcs) + [2 * k - 1 - 2 * owed[person] / TURN for person, k in sinks]
    rows = np.zeros((len(leads) + len(people), len(cost)))
    for column, (lead, person) in enumerate(arcs):
        rows[lead, column] = 1
        rows[len(leads) + people.index(person), column] = 1
    for column, (person, _) in enumerate(sinks, len(arcs)):
        rows[len(leads) + people.index(person), column] = -1
    found = linprog(cost, A_eq=rows, b_eq=[1] * len(leads) + [0] * len(people), bounds=(0, 1))
    assert found.success
    return float(found.fun) + sum((owed[person] / TURN) ** 2 for person in people)


def test_the_least_important_lead_is_left_over_when_room_is_short() -> None:
    """R42: a lead that is nobody else's moves the earlier one aside, a later one stays without an owner."""
    leads = a_batch({"anna": 1, "bert": 1}, {"anna": 1}, {"anna": 1, "bert": 1})

    done = hand_out(leads, {}, {"anna": 1, "bert": 1})

    assert done.owners == ("bert", "anna", None)
    assert done.balances == {"anna": TURN // 2, "bert": -TURN // 2}


def test_a_later_lead_changes_who_gets_an_earlier_one() -> None:
    """One by one, Anna takes the first lead by name, and Bert and Cleo are left with one between them."""
    leads = a_batch({"anna": 1, "bert": 1, "cleo": 1}, {"bert": 1, "cleo": 1})

    done = hand_out(leads, {}, {})

    assert done.owners == ("bert", "cleo")
    assert squares(done.balances) < squares(sequential(leads, {}))


def test_whoever_takes_no_part_keeps_their_balance() -> None:
    assert hand_out([], {"anna": 5, "bert": -5}, {}) == Handout((), {"anna": 5, "bert": -5})
    assert hand_out(a_batch({}), {"anna": 5}, {}) == Handout((None,), {"anna": 5})


@given(st.lists(ELIGIBLE, max_size=20), BALANCES, st.randoms())
def test_the_order_in_which_people_are_named_changes_nothing(eligible: list[dict], balances: dict, random) -> None:
    mixed = [dict(random.sample(list(each.items()), len(each))) for each in eligible]

    assert hand_out(a_batch(*eligible), balances, {}) == hand_out(a_batch(*mixed), balances, {})
