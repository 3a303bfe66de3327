"""The promise after a purchase, as pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.followup import (
    Accepted,
    Candidate,
    Party,
    Refused,
    choose_substitute,
    due_rungs,
    judge_tick,
    next_rung,
    replay,
)
from connector.followup.evidence import Claim
from connector.model.followup import (
    Action,
    CallFact,
    Escalation,
    Evidence,
    History,
    Lack,
    Plan,
    Span,
    Step,
    StepFact,
    StepState,
    Tick,
    Unit,
)
from connector.worktime import calendar

MUNICH = calendar("DE-BY", "Europe/Berlin")
WARSAW = calendar("PL", "Europe/Warsaw")
WON = datetime(2026, 6, 8, 8, tzinfo=UTC)
DELIVERED = WON + timedelta(days=2)
CALL = Evidence("crm_call", 120, "outbound")


def bd(days: int) -> Span:
    return Span(days, Unit.BUSINESS_DAYS)


LADDER = (
    Escalation(bd(0), (Action.MARK_OVERDUE,)),
    Escalation(bd(1), (Action.NOTIFY_MANAGER,)),
    Escalation(bd(2), (Action.REASSIGN,)),
    Escalation(bd(5), (Action.NOTIFY_MANAGER,)),
)


def a_step(key: str, anchor: str, days: int, **changes) -> Step:
    return replace(Step(key, {"en": key}, "sales", anchor, bd(days), True, (CALL,), escalation=LADDER), **changes)


PLAN = Plan(
    "after-sale",
    1,
    {"en": "After the sale"},
    "opportunity.won",
    {"won": "opportunity.won", "delivered": "order.delivered"},
    (a_step("confirm", "won", 1), a_step("check", "delivered", 2, requires=("confirm",))),
)
PARTIES = {step.key: Party(frozenset({"u-anna"}), MUNICH) for step in PLAN.steps}


def a_call(**changes) -> CallFact:
    fact = CallFact("c1", "deal", "u-anna", 180, "outbound", WON + timedelta(hours=1))
    return replace(fact, **changes)


def a_claim(**changes) -> Claim:
    return replace(Claim("deal", frozenset({"u-anna"}), WON, WON + timedelta(hours=2)), **changes)


def a_history(**changes) -> History:
    return replace(History("deal", {"opportunity.won": WON}, won=(WON,)), **changes)


def states(history: History) -> list[StepState]:
    return [progress.state for progress in replay(PLAN, PARTIES, history)]


def test_a_tick_with_its_call_is_accepted_on_that_call():
    assert judge_tick(PLAN.steps[0], a_claim(), [a_call()]) == Accepted(("c1",))


@pytest.mark.parametrize(
    ("call", "lack"),
    [
        (a_call(system=False), Lack.TYPED),
        (a_call(occurred_at=WON - timedelta(minutes=1)), Lack.TOO_EARLY),
        (a_call(occurred_at=WON + timedelta(hours=3)), Lack.TOO_LATE),
        (a_call(deal="another"), Lack.OTHER_RECORD),
        (a_call(user="u-bert"), Lack.OTHER_PERSON),
        (a_call(id="used"), Lack.REUSED),
        (a_call(seconds=119), Lack.TOO_SHORT),
        (a_call(direction="inbound"), Lack.DIRECTION),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_that_breaks_one_rule_of_evidence_is_refused_for_that_rule(call, lack):
    """F2, S6 a-e"""
    assert judge_tick(PLAN.steps[0], a_claim(), [call], used={"used"}) == Refused((lack,))


def test_without_any_call_the_refusal_says_so():
    """F1"""
    assert judge_tick(PLAN.steps[0], a_claim(), []) == Refused((Lack.NO_CALL,))


def test_of_several_calls_the_nearest_miss_is_named():
    calls = [a_call(user="u-bert", seconds=5), a_call(id="c2", seconds=100)]

    assert judge_tick(PLAN.steps[0], a_claim(), calls) == Refused((Lack.TOO_SHORT,))


def test_a_sale_opens_the_first_step_and_promises_it_for_the_next_working_day():
    first, second = replay(PLAN, PARTIES, a_history())

    assert (first.state, first.due) == (StepState.OPEN, datetime(2026, 6, 9, 15, tzinfo=UTC))
    assert (second.state, second.due) == (StepState.WAITING, None)


def test_a_step_waits_for_the_step_it_requires_even_after_its_anchor():
    """S5"""
    delivered = {"opportunity.won": WON, "order.delivered": DELIVERED}

    _, second = replay(PLAN, PARTIES, a_history(anchors=delivered))

    assert second.state is StepState.WAITING
    assert second.due_original == datetime(2026, 6, 12, 15, tzinfo=UTC)


def test_a_step_opened_after_its_due_instant_gets_a_working_day_and_keeps_the_original():
    """S13, F5"""
    late = WON + timedelta(days=7)
    history = a_history(
        anchors={"opportunity.won": WON, "order.delivered": DELIVERED},
        calls=(a_call(occurred_at=late - timedelta(minutes=5)),),
        ticks=(Tick("confirm", late),),
    )

    _, second = replay(PLAN, PARTIES, history)

    assert second.state is StepState.OPEN
    assert second.due_original == datetime(2026, 6, 12, 15, tzinfo=UTC)
    assert second.due == datetime(2026, 6, 16, 15, tzinfo=UTC)


def test_a_promised_due_instant_does_not_move_with_a_new_calendar():
    """S3"""
    promised = datetime(2026, 6, 9, 15, tzinfo=UTC)
    moved = PARTIES | {"confirm": Party(frozenset({"u-ewa"}), WARSAW, promised)}

    assert replay(PLAN, moved, a_history())[0].due == promised


def test_a_call_recorded_late_proves_a_tick_that_was_refused_before():
    tick = Tick("confirm", WON + timedelta(hours=2))
    refused = a_history(ticks=(tick,))

    assert replay(PLAN, PARTIES, refused)[0].lacks == (Lack.NO_CALL,)
    assert states(replace(refused, calls=(a_call(),)))[0] is StepState.DONE


def test_one_call_proves_one_step_only():
    """S6 e"""
    history = a_history(
        anchors={"opportunity.won": WON, "order.delivered": WON},
        calls=(a_call(),),
        ticks=(Tick("confirm", WON + timedelta(hours=2)), Tick("check", WON + timedelta(hours=3))),
    )

    first, second = replay(PLAN, PARTIES, history)

    assert first.evidence == ("c1",)
    assert second.state is StepState.OPEN
    assert Lack.REUSED in second.lacks


def test_a_step_ticked_before_it_opened_stays_waiting():
    """S5"""
    _, second = replay(PLAN, PARTIES, a_history(ticks=(Tick("check", WON + timedelta(hours=1)),)))

    assert (second.state, second.lacks) == (StepState.WAITING, (Lack.NOT_OPEN,))


def test_a_lost_deal_cancels_what_is_open_and_keeps_what_was_done():
    """S10"""
    history = a_history(
        calls=(a_call(),), ticks=(Tick("confirm", WON + timedelta(hours=2)),), lost=(WON + timedelta(days=1),)
    )

    assert states(history) == [StepState.DONE, StepState.CANCELLED]


def test_a_deal_won_again_opens_its_steps_from_that_moment():
    lost, again = WON + timedelta(days=3), WON + timedelta(days=7)

    first, _ = replay(PLAN, PARTIES, a_history(lost=(lost,), won=(WON, again)))

    assert (first.state, first.activated_at) == (StepState.OPEN, again)
    assert first.due == datetime(2026, 6, 16, 15, tzinfo=UTC)
    assert first.due_original == datetime(2026, 6, 9, 15, tzinfo=UTC)


@given(st.data())
def test_any_order_and_repetition_of_the_same_facts_ends_in_the_same_progress(data):
    """F15"""
    instants = st.integers(0, 200).map(lambda hours: WON + timedelta(hours=hours))
    ticks = data.draw(st.lists(st.builds(Tick, st.sampled_from(["confirm", "check"]), instants), max_size=5))
    calls = data.draw(
        st.lists(
            st.builds(a_call, id=st.sampled_from("abcd"), occurred_at=instants),
            max_size=4,
            unique_by=lambda c: c.id,
        )
    )
    lost = data.draw(st.lists(instants, max_size=2))
    won = [WON, *data.draw(st.lists(instants, max_size=1))]
    history = a_history(
        anchors={"opportunity.won": WON, "order.delivered": DELIVERED},
        ticks=tuple(ticks),
        calls=tuple(calls),
        lost=tuple(lost),
        won=tuple(won),
    )
    shuffled = replace(
        history,
        ticks=tuple(data.draw(st.permutations(ticks))),
        calls=tuple(data.draw(st.permutations(calls))),
        lost=tuple(data.draw(st.permutations(lost))),
        won=tuple(data.draw(st.permutations(won))),
    )

    progress = replay(PLAN, PARTIES, history)

    assert replay(PLAN, PARTIES, shuffled) == progress
    evidence = [call for step in progress for call in step.evidence]
    assert len(evidence) == len(set(evidence))


DUE = datetime(2026, 6, 9, 15, tzinfo=UTC)
OPEN = StepFact("confirm", "anna", StepState.OPEN, WON, DUE)


def fired(fact: StepFact, now: datetime) -> list[tuple[int, tuple[Action, ...]]]:
    return [(firing.rung, firing.actions) for firing in due_rungs(PLAN.steps[0], fact, now, MUNICH)]


def test_the_ladder_is_climbed_one_working_day_at_a_time():
    """F6, S7"""
    assert fired(OPEN, DUE - timedelta(seconds=1)) == []
    assert fired(OPEN, DUE) == [(0, (Action.MARK_OVERDUE,))]
    marked = replace(OPEN, rungs_done=frozenset({0}))
    assert fired(marked, DUE + timedelta(hours=23)) == []
    assert fired(marked, DUE + timedelta(days=1)) == [(1, (Action.NOTIFY_MANAGER,))]
    assert next_rung(PLAN.steps[0], marked, MUNICH) == DUE + timedelta(days=1)


def test_after_an_outage_the_missed_rungs_run_in_order_up_to_the_reassignment():
    """S7, S3"""
    assert fired(OPEN, DUE + timedelta(days=30)) == [
        (0, (Action.MARK_OVERDUE,)),
        (1, (Action.NOTIFY_MANAGER,)),
        (2, (Action.REASSIGN,)),
    ]


def test_of_several_missed_notifications_only_the_last_is_sent():
    """S7"""
    ladder = (Escalation(bd(1), (Action.NOTIFY_MANAGER,)), Escalation(bd(2), (Action.NOTIFY_MANAGER,)))
    step = replace(PLAN.steps[0], escalation=ladder)

    firings = due_rungs(step, OPEN, DUE + timedelta(days=30), MUNICH)

    assert [(firing.rung, firing.actions) for firing in firings] == [(0, ()), (1, (Action.NOTIFY_MANAGER,))]


@pytest.mark.parametrize("state", [StepState.WAITING, StepState.DONE, StepState.CANCELLED])
def test_a_step_that_is_not_open_runs_no_ladder(state):
    """S13"""
    still = replace(OPEN, state=state)

    assert fired(still, DUE + timedelta(days=30)) == []
    assert next_rung(PLAN.steps[0], still, MUNICH) is None


@given(st.lists(st.integers(0, 400), max_size=12))
def test_however_often_the_sweep_runs_each_rung_fires_once_and_in_order(hours):
    """F6"""
    fact, rungs = OPEN, []
    for hour in sorted(hours):
        for firing in due_rungs(PLAN.steps[0], fact, DUE + timedelta(hours=hour), MUNICH):
            rungs.append(firing.rung)
            fact = replace(fact, rungs_done=fact.rungs_done | {firing.rung})

    assert rungs == sorted(set(rungs))


def test_the_least_loaded_colleague_takes_over_and_ties_go_by_key():
    team = [Candidate("dora", 1), Candidate("carl", 1), Candidate("bert", 4)]

    assert choose_substitute(team, had={"anna"}).person == "carl"


def test_a_paused_colleague_or_an_earlier_owner_is_passed_over_for_the_manager():
    """S8"""
    team = [Candidate("anna", 0), Candidate("bert", 0, paused=True)]

    assert choose_substitute(team, had={"anna"}, manager="mona").person == "mona"


def test_when_nobody_can_take_it_the_step_stays_and_says_so():
    """S8"""
    choice = choose_substitute([], had={"anna", "mona"}, manager="mona")

    assert choice.person is None
    assert "stays" in choice.reason
