"""What an owner owes a lead: which promise is broken, what is due, when to look again (R22, R23)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.routing.response import (
    BEFORE,
    OPEN,
    Breach,
    Promise,
    State,
    breach,
    next_at,
    reminders_due,
    speed_to_lead,
)

NOON = datetime(2026, 6, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DUE = NOON + 4 * HOUR
GIVEN = Promise(State.OFFERED, DUE, NOON + HOUR, (NOON + 2 * HOUR, NOON + 3 * HOUR))


@pytest.mark.parametrize(
    ("promise", "after", "expected"),
    [
        (GIVEN, timedelta(minutes=59), None),
        (GIVEN, HOUR, (Breach.NOT_ACCEPTED, NOON + HOUR)),
        (replace(GIVEN, state=State.ACCEPTED), HOUR, None),
        (replace(GIVEN, state=State.ACCEPTED), 4 * HOUR, (Breach.NO_RESPONSE, DUE)),
        (GIVEN, 9 * HOUR, (Breach.NOT_ACCEPTED, NOON + HOUR)),
        (replace(GIVEN, accept_due=None), 4 * HOUR, (Breach.NO_RESPONSE, DUE)),
        (replace(GIVEN, state=State.TOUCHED), 9 * HOUR, None),
        (replace(GIVEN, state=State.REJECTED), 9 * HOUR, None),
        (replace(GIVEN, state=State.CLOSED), 9 * HOUR, None),
        (replace(GIVEN, breached=True), 9 * HOUR, None),
    ],
)
def test_a_promise_is_broken_at_its_first_due_instant_unless_it_was_kept(promise, after, expected) -> None:
    """R22"""
    assert breach(promise, NOON + after) == expected


def test_looking_starts_with_whatever_falls_due_first() -> None:
    accepted = replace(GIVEN, state=State.ACCEPTED)

    assert next_at(GIVEN) == NOON + HOUR
    assert next_at(accepted) == NOON + 2 * HOUR
    assert next_at(replace(accepted, reminded=1)) == NOON + 3 * HOUR
    assert next_at(replace(accepted, reminded=2)) == DUE
    assert next_at(replace(accepted, state=State.TOUCHED)) is None


def test_reminders_that_fell_due_together_count_together() -> None:
    assert reminders_due(GIVEN, NOON) == 0
    assert reminders_due(GIVEN, NOON + 3 * HOUR) == 2
    assert reminders_due(replace(GIVEN, reminded=1, state=State.TOUCHED), DUE) == 1


def test_nothing_leads_back_to_an_earlier_state_but_finding_the_data_bad() -> None:
    ranks = {State.OFFERED: 0, State.ACCEPTED: 1, State.TOUCHED: 2, State.REJECTED: 3, State.CLOSED: 4}

    assert all(ranks[before] < ranks[state] for state, reachable in BEFORE.items() for before in reachable)
    assert BEFORE[State.ACCEPTED] == {State.OFFERED}
    assert State.CLOSED not in BEFORE[State.CLOSED]


def test_speed_to_lead_counts_from_when_the_customer_spoke() -> None:
    """R23: a card that came three days late was answered three days late."""
    assert speed_to_lead(NOON - timedelta(days=3), NOON) == timedelta(days=3)
    assert speed_to_lead(NOON, NOON - HOUR) == timedelta(0)


INSTANTS = st.integers(0, 600).map(lambda minutes: NOON + timedelta(minutes=minutes))
PROMISES = st.builds(
    Promise,
    st.sampled_from(State),
    INSTANTS,
    st.none() | INSTANTS,
    st.lists(INSTANTS, max_size=3).map(lambda found: tuple(sorted(found))),
    st.just(0),
    st.booleans(),
)


@given(PROMISES)
def test_who_looks_when_told_to_finds_something_and_comes_to_an_end(promise: Promise) -> None:
    """A timer that finds nothing would turn for ever; one that never comes would lose a breach."""
    looks = 0
    while (at := next_at(promise)) is not None and breach(promise, at) is None:
        count = reminders_due(promise, at)
        assert count > promise.reminded
        assert breach(promise, at - timedelta(microseconds=1)) is None
        promise, looks = replace(promise, reminded=count), looks + 1

    assert looks <= len(promise.reminders)
    assert (at is not None) == (promise.state in OPEN and not promise.breached)
