"""Rolling caps, tags, shifts, leave, delegates, skills and the order of the steps."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import AT, a_pool, a_rep, a_rule, a_rule_set, a_test
from routing_floor import Floor

from connector.model.canonical import canonical
from connector.model.lead import Facets
from connector.model.routing import SPANS, Absence, Cap, OffShift, Pool, Rep, RuleSet, Step
from connector.model.ruleset_document import from_document, to_document
from connector.routing.book import HERE, Book, Grant, Presence, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Known, Result, decide
from connector.routing.eligible import pool_of
from connector.routing.ledger import NO_TURN
from connector.routing.record import recompute, record_of
from connector.routing.rings import Rings, Window, microseconds

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ENTERPRISE = Cap("enterprise", 2, SPANS["week"], (a_test("segment", "enterprise"),))
DUE = Facets(country="DE", segment="enterprise")


def capped(*caps: Cap, person: str = "anna") -> Rep:
    return replace(a_rep(person), caps=caps)


def alone(*caps: Cap) -> RuleSet:
    return a_rule_set(pools=[a_pool("north", {"anna": 1})], reps=[capped(*caps), a_rep("mona")])


# Rolling caps.


def test_ten_an_hour_are_ten_in_any_hour_also_across_the_full_hour() -> None:
    """R10"""
    floor = Floor(alone(Cap("hour", 10, HOUR)))
    clock_hour = datetime(2026, 6, 9, 9, tzinfo=UTC)

    for arrival in range(20):
        floor.lead(clock_hour + (arrival - 10) * MINUTE)

    assert floor.owners.count("anna") == 10
    assert floor.decisions[-1].passed[0].code == "cap_window:hour"
    assert floor.decisions[-1].wake_at == clock_hour + 50 * MINUTE


def test_room_comes_back_to_the_microsecond() -> None:
    """R10: the window is (t - span, t]."""
    floor = Floor(alone(Cap("hour", 1, HOUR)))
    floor.lead(AT)

    assert floor.lead(AT + HOUR - timedelta(microseconds=1)).result is Result.HELD
    assert floor.lead(AT + HOUR).owner == "anna"


@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=60),
    st.integers(1, 6),
    st.integers(1, 1200),
)
def test_rolling_caps_equal_counting_by_hand(arrivals: list[int], limit: int, span: int) -> None:
    """R10"""
    floor = Floor(alone(Cap("some", limit, timedelta(seconds=span))))
    given_at: list[int] = []

    for arrival in sorted(arrivals):
        decision = floor.lead(AT + timedelta(seconds=arrival))
        inside = [at for at in given_at if arrival - span < at <= arrival]
        assert (decision.owner == "anna") == (len(inside) < limit)
        if decision.owner:
            given_at.append(arrival)
        else:
            assert decision.wake_at == AT + timedelta(seconds=inside[-limit] + span)


@pytest.mark.parametrize("capacity", [1, 14, 15, 45])
def test_a_monthly_cap_gives_just_that_many_in_thirty_days_of_surplus(capacity: int) -> None:
    """R11"""
    floor = Floor(alone(Cap("month", capacity, SPANS["month"])))

    for arrival in range(30 * 24):
        floor.lead(AT + arrival * HOUR)

    assert floor.owners.count("anna") == capacity


def test_a_rep_in_three_pools_has_one_cap_in_a_batch_and_after_it() -> None:
    """R12"""
    pools = [a_pool(key, {"anna": 1}) for key in ("north", "south", "west")]
    rules = [a_rule(key, a_test("product", key), pool=key) for key in ("north", "south", "west")]
    rule_set = a_rule_set(*rules, pools=pools, reps=[capped(Cap("day", 5, SPANS["day"])), a_rep("mona")])
    rules_of = CompiledRules(rule_set)
    taken = {"anna": [(microseconds(AT - HOUR), ())] * 2}

    for _ in range(3):
        book, owners = Book({}, 0, presence=lambda _: HERE, rings=Rings(rule_set, taken, microseconds(AT))), []
        for number, key in enumerate(("north", "south", "west") * 3):
            decision = decide(_case(f"lead-{number}", product=key), rules_of, book)
            book.post(decision.turn, decision.owner, decision.seq, tags=decision.tags)
            owners.append(decision.owner)
        assert owners == ["anna"] * 3 + [None] * 6


def _case(lead: str, **facets: str):  # type: ignore[no-untyped-def]  # a Case, named in the module under test
    from routing_cases import a_case  # noqa: PLC0415 (the one use)

    return a_case(lead=lead, facets=Facets(country="DE", **facets))


def test_a_cap_with_a_tag_counts_and_stops_only_leads_it_is_about() -> None:
    rule_set = a_rule_set(pools=[a_pool("north", {"anna": 1})], caps=(ENTERPRISE,))
    floor = Floor(rule_set)

    for facets in (DUE, Facets(country="DE"), DUE, DUE, Facets(country="DE")):
        floor.lead(facets=facets)

    assert floor.owners == ["anna", "anna", "anna", None, "anna"]
    assert [decision.tags for decision in floor.decisions[:2]] == [("enterprise",), ()]
    assert floor.decisions[3].passed[0].code == "cap_window:enterprise"


def test_the_owner_of_a_known_record_keeps_the_lead_beyond_a_rate_but_not_beyond_the_open_cap() -> None:
    owned = Known(verdict="same_person", kind="contact", record="c1", owner="anna", connection="crm")
    floor = Floor(alone(Cap("day", 1, SPANS["day"])))
    floor.lead()

    assert floor.lead(known=owned).owner == "anna"

    full = a_rule_set(reps=[a_rep("anna", cap=1), a_rep("bert"), a_rep("mona")])
    floor = Floor(full)
    floor.lead(known=owned)
    assert floor.lead(known=owned).owner == "bert"


# Leave, shifts, skills.


def test_on_leave_nobody_gets_leads_and_if_all_are_the_lead_waits_for_the_first_back() -> None:
    """R19"""
    back = {"anna": AT + 6 * HOUR, "bert": AT + 9 * HOUR}
    floor = Floor(
        a_rule_set(),
        lambda person, at: Presence(back[person].isoformat()) if at < back.get(person, at) else HERE,
    )

    waiting = floor.lead(AT)

    assert (waiting.result, waiting.wake_at) == (Result.HELD, back["anna"])
    assert {(each.person, each.code) for each in waiting.passed} == {("anna", "on_leave"), ("bert", "on_leave")}
    assert floor.lead(back["anna"]).owner == "anna"


def shifts(**opens: datetime):  # type: ignore[no-untyped-def]  # a function of person and instant
    def presence(person: str, at: datetime) -> Presence:
        begins = opens.get(person)
        return Presence(opens=begins.isoformat()) if begins and at < begins else HERE

    return presence


def north(off_shift: OffShift) -> RuleSet:
    return a_rule_set(pools=[replace(a_pool("north", {"anna": 1, "bert": 1, "cleo": 1}), off_shift=off_shift)])


def test_whoever_is_off_shift_is_passed_over_while_a_colleague_works() -> None:
    for policy in (OffShift.HOLD, OffShift.NEXT_OPEN):
        floor = Floor(north(policy), shifts(anna=AT + HOUR, bert=AT + HOUR))
        assert [floor.lead().owner for _ in range(3)] == ["cleo"] * 3
    floor = Floor(north(OffShift.IGNORE), shifts(anna=AT + HOUR, bert=AT + HOUR))
    assert sorted(str(floor.lead().owner) for _ in range(3)) == ["anna", "bert", "cleo"]


def test_when_all_are_off_shift_a_pool_that_holds_waits_for_the_first() -> None:
    """R27"""
    floor = Floor(north(OffShift.HOLD), shifts(anna=AT + 3 * HOUR, bert=AT + 2 * HOUR, cleo=AT + 9 * HOUR))

    assert floor.lead().wake_at == AT + 2 * HOUR
    assert floor.lead(AT + 2 * HOUR).owner == "bert"


def test_when_all_are_off_shift_the_lead_may_go_to_whoever_begins_next() -> None:
    begins = {"anna": AT + 2 * HOUR, "bert": AT + 2 * HOUR, "cleo": AT + 9 * HOUR}
    floor = Floor(north(OffShift.NEXT_OPEN), shifts(**begins))

    decision = floor.lead()

    assert [code for code, _ in decision.steps] == ["rule", "next_open", "turn"]
    assert decision.turn.people == ("anna", "bert")
    assert [p.person for p in decision.passed] == ["cleo"]


def test_a_rule_may_ask_for_skills() -> None:
    reps = [replace(a_rep("anna"), skills=("welding",)), a_rep("bert"), a_rep("mona")]
    floor = Floor(a_rule_set(a_rule(skills=("welding",)), reps=reps))

    decision = floor.lead()

    assert decision.owner == "anna"
    assert [(each.person, each.code, each.fact) for each in decision.passed] == [("bert", "skill", "welding")]


@pytest.mark.parametrize("kind", ["rule", "owner"])
def test_a_delegate_stands_in_for_the_owner_of_a_territory_or_of_a_known_record(kind: str) -> None:
    gone = Presence((AT + HOUR).isoformat(), delegate="bert")
    rule = a_rule("vip", rep="anna") if kind == "rule" else a_rule()
    owned = Known(verdict="same_person", kind="contact", record="c1", owner="anna", connection="crm")
    floor = Floor(a_rule_set(rule), lambda person, _at: gone if person == "anna" else HERE)

    decision = floor.lead(known=owned if kind == "owner" else Known())

    assert decision.owner == "bert"
    assert ("delegate", "anna:bert") in decision.steps
    assert decision.turn == NO_TURN


def test_a_delegate_who_is_full_does_not_stand_in() -> None:
    gone = Presence((AT + HOUR).isoformat(), delegate="bert")
    reps = [a_rep("anna"), a_rep("bert", cap=0), a_rep("mona")]
    floor = Floor(a_rule_set(a_rule("vip", rep="anna"), reps=reps), lambda p, _at: gone if p == "anna" else HERE)

    decision = floor.lead()

    assert decision.result is Result.HELD
    assert {(each.person, each.code) for each in decision.passed} == {("anna", "on_leave"), ("bert", "cap_open")}


# The order of the steps.

NAMED = a_rule("named", a_test("domain", "acme.example"), rep="cleo")
OWNED = Known(verdict="same_person", kind="contact", record="c1", owner="bert", connection="crm")


@pytest.mark.parametrize(
    ("steps", "owner"),
    [
        ("existing_owner named_accounts territories", "bert"),
        ("named_accounts existing_owner territories", "cleo"),
        ("territories existing_owner", "anna"),
        ("existing_owner", "bert"),
        ("holding", "mona"),
    ],
)
def test_steps_are_taken_in_the_order_given_and_may_be_left_out(steps: str, owner: str) -> None:
    order = tuple(map(Step, steps.split()))
    rules = (NAMED, a_rule()) if Step.NAMED_ACCOUNTS in order else (a_rule(),)
    floor = Floor(a_rule_set(*rules, pools=[a_pool("north", {"anna": 1})], steps=order))

    assert floor.lead(known=OWNED, facets=Facets(country="DE", domain_rules=("named",))).owner == owner


FULL = {"anna": Standing(open_leads=1)}
FALL = (Step.TERRITORIES, Step.OVERFLOW, Step.HOLDING)


@pytest.mark.parametrize(
    ("steps", "waited", "ends"),
    [
        (FALL, False, "bert"),
        ((Step.TERRITORIES, Step.HOLDING, Step.OVERFLOW), False, None),
        ((Step.TERRITORIES, Step.HOLDING, Step.OVERFLOW), True, "bert"),
        ((Step.TERRITORIES, Step.HOLDING), True, "mona"),
        ((Step.TERRITORIES,), False, "mona"),
    ],
)
def test_overflow_and_holding_may_change_places_or_be_left_out(
    steps: tuple[Step, ...], waited: bool, ends: str | None
) -> None:
    pools = [a_pool("north", {"anna": 1}, overflow="south"), a_pool("south", {"bert": 1})]
    reps = [a_rep("anna", cap=1), a_rep("bert"), a_rep("mona")]
    floor = Floor(a_rule_set(pools=pools, reps=reps, steps=steps))
    floor.standings = dict(FULL)

    assert floor.lead(waited_out=waited).owner == ends


# P4 with everything at once.

PEOPLE = ("anna", "bert", "cleo", "dora")
_instants = st.sampled_from(["", (AT + HOUR).isoformat(), (AT + 30 * HOUR).isoformat()])
_presences = st.builds(Presence, _instants, st.sampled_from(["", *PEOPLE]), _instants, st.sampled_from([100, 100, 40]))
_grants = st.builds(Grant, st.integers(0, 10**9), st.sampled_from([(AT - HOUR).isoformat(), (AT + HOUR).isoformat()]))
_windows = st.dictionaries(
    st.sampled_from(["day", "enterprise"]), st.builds(Window, st.integers(1, 3), st.sampled_from([0, 10**15]))
)
_standings = st.builds(
    Standing,
    balance=st.integers(-(10**9), 10**9),
    last_seq=st.integers(0, 9),
    open_leads=st.integers(0, 3),
    paused=st.booleans(),
    grant=_grants,
    presence=_presences,
    windows=_windows,
)


@st.composite
def _floors(draw: st.DrawFn) -> tuple[RuleSet, Book]:
    reps = [
        Rep(p, True, draw(st.none() | st.integers(1, 3)), ("crm",), caps, skills)
        for p in PEOPLE
        for caps, skills in [
            (
                draw(st.sampled_from([(), (Cap("day", 2, SPANS["day"]),)])),
                draw(st.sampled_from([(), ("welding",)])),
            )
        ]
    ]
    pools = [
        Pool(
            key,
            a_pool(key, draw(st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 5), min_size=1))).members,
            draw(st.sampled_from([None, "south"])) if key == "north" else None,
            draw(st.sampled_from(OffShift)),
            draw(st.sampled_from(Absence)),
        )
        for key in ("north", "south")
    ]
    target = draw(st.sampled_from([{"pool": "north"}, {"rep": "anna"}]))
    rule = a_rule(skills=draw(st.sampled_from([(), ("welding",)])), **target)
    steps = tuple(draw(st.permutations(list(Step))))[: draw(st.integers(0, 5))]
    caps = draw(st.sampled_from([(), (ENTERPRISE,)]))
    rule_set = a_rule_set(rule, pools=pools, reps=[*reps, a_rep("mona")], steps=steps, caps=caps)
    return rule_set, Book({p: draw(_standings) for p in PEOPLE}, 7)


@given(_floors(), st.sampled_from([Known(), replace(OWNED, owner="anna")]), st.booleans(), st.booleans())
def test_every_decision_recomputes_to_the_same_bytes(
    situation: tuple[RuleSet, Book], known: Known, waited_out: bool, enterprise: bool
) -> None:
    """P4"""
    rule_set, book = situation
    document = canonical(to_document(rule_set))
    stored = from_document(json.loads(document))
    facets = DUE if enterprise else Facets(country="DE")
    case = _case("lead-1")._replace(known=known, waited_out=waited_out, facets=facets)

    decision = decide(case, CompiledRules(stored), book)
    record = record_of(decision, book)

    assert stored == rule_set
    assert recompute(record, document) == record
    for person in decision.turn.people:
        standing = book.standing(person)
        assert not standing.paused
        assert not standing.presence.leave_until
    assert sum(decision.turn.after) == sum(decision.turn.before)


TRUE_REASONS = {
    "paused": lambda _, row: row.paused,
    "on_leave": lambda _, row: row.presence.leave_until,
    "off_shift": lambda _, row: row.presence.opens,
    "skill": lambda rep, _: "welding" not in rep.skills,
    "cap_open": lambda rep, row: row.open_leads >= rep.max_open,
    "cap_window": lambda _, row: any(window.used >= 2 for window in row.windows.values()),
}


@given(_floors(), st.booleans())
def test_a_lead_that_waits_says_a_true_reason_for_everybody_who_could_have_had_it(
    situation: tuple[RuleSet, Book], enterprise: bool
) -> None:
    """R44"""
    rule_set, book = situation
    case = _case("lead-1")._replace(facets=DUE if enterprise else Facets(country="DE"))

    decision = decide(case, CompiledRules(rule_set), book)

    if decision.result is Result.ASSIGNED:
        return
    passed = {each.person: each.code.partition(":")[0] for each in decision.passed}
    asked = [detail for code, detail in decision.steps if code == "nobody_eligible"]
    assert asked[0] == decision.pool
    for key in asked:
        pool = pool_of(key, rule_set)
        assert pool is not None
        assert set(pool.people) <= passed.keys()
    for person, code in passed.items():
        assert TRUE_REASONS[code](rule_set.reps[person], book.standing(person))


def test_a_rule_set_without_any_of_this_is_written_as_before() -> None:
    """Hashes of rule sets published by earlier versions stay what they are."""
    document = to_document(a_rule_set())

    assert set(document) == {"schema", "fallback", "max_hold_seconds", "matching", "reps", "pools", "rules"}
    assert set(document["reps"]["anna"]) == {"active", "connections", "max_open"}
    assert set(document["pools"]["north"]) == {"members"}
