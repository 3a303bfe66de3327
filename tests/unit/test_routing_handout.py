"""A plan for leads decided together, and decisions that rely on it as far as it holds."""

import json
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import AT, NAMES, a_book, a_case, a_pool, a_rep, a_rule, a_rule_set, a_test, decided, post

from connector.model.canonical import canonical
from connector.model.lead import Facets
from connector.model.routing import Absence, Cap, OffShift, RuleSet
from connector.model.ruleset_document import from_document, to_document
from connector.routing import replay
from connector.routing.book import Book, Grant, Presence, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, Known, decide
from connector.routing.explain import explain, sentence
from connector.routing.handout import plan
from connector.routing.ledger import TURN
from connector.routing.record import recompute, record_of
from connector.routing.replay import Entry, Replay
from connector.routing.rings import Window

HOUR = timedelta(hours=1)
PEOPLE = ("anna", "bert", "cleo")
LARGE = Cap("large", 1, HOUR, (a_test("employees", "100..999"),))
TWO = a_rule_set(
    a_rule("germany", a_test("country", "de"), pool="north"),
    a_rule("poland", a_test("country", "pl"), pool="east"),
    a_rule("france", a_test("country", "fr"), rep="cleo"),
    pools=[a_pool("north", {"anna": 1, "bert": 1}), a_pool("east", {"bert": 1, "cleo": 1})],
)
#: More than Poland's lead would even out.
CLEO_IS_OWED = a_book(cleo=Standing(balance=3 * TURN))


def leads(*countries: str) -> list[Case]:
    return [a_case(lead=f"lead-{n}", facets=Facets(country=country)) for n, country in enumerate(countries)]


def planned(rule_set: RuleSet, cases: list[Case], book: Book | None = None) -> dict[str, str]:
    return plan(cases, CompiledRules(rule_set), book or a_book())


def limited(**caps: int) -> RuleSet:
    return replace(TWO, reps={**TWO.reps, **{person: a_rep(person, cap=cap) for person, cap in caps.items()}})


def test_a_plan_leaves_room_for_whoever_comes_later() -> None:
    """R42: Bert is kept for Germany, as Poland has Cleo."""
    found = planned(limited(anna=1, bert=1), leads("DE", "PL", "DE"))

    assert set(found) == {"lead-0", "lead-1", "lead-2"}
    assert found["lead-1"] == "cleo"


def test_the_later_leads_are_left_over_when_room_is_short() -> None:
    """R42"""
    assert set(planned(limited(anna=1, bert=1), leads("DE", "DE", "DE", "PL"))) == {"lead-0", "lead-1", "lead-3"}


def test_a_rolling_cap_is_room_too_whoever_has_used_some_of_it() -> None:
    anna = replace(a_rep("anna"), caps=(Cap("day", 3, HOUR),))
    rule_set = replace(limited(bert=0), reps={**limited(bert=0).reps, "anna": anna, "bert": a_rep("bert", cap=1)})
    book = a_book(anna=Standing(windows={"day": Window(2)}))

    assert set(planned(rule_set, leads("DE", "DE", "DE"), book)) == {"lead-0", "lead-1"}


def test_a_lead_that_only_one_can_take_needs_no_plan_but_takes_their_room() -> None:
    found = planned(limited(cleo=1), leads("FR", "PL"), CLEO_IS_OWED)

    assert found == {"lead-1": "bert"}


def test_a_known_owner_takes_room_and_no_turn() -> None:
    known = Known(verdict="exact", kind="account", record="a", owner="cleo", connection="crm")
    first, second = leads("DE", "PL")

    found = planned(limited(cleo=1), [first._replace(known=known), second], CLEO_IS_OWED)

    assert found == {"lead-1": "bert"}


def test_a_lead_that_must_wait_is_not_planned() -> None:
    assert planned(limited(anna=0, bert=0), leads("DE")) == {}


def test_planning_leaves_the_book_as_it_was() -> None:
    book = a_book(anna=Standing(balance=3))

    planned(TWO, leads("DE", "PL"), book)

    assert book.changes() == {}
    assert book.decisions == 0


def test_the_chosen_takes_the_turn_although_somebody_is_owed_more() -> None:
    book = a_book(anna=Standing(balance=TURN))

    decision = decided(TWO, book, chosen="bert")

    assert decision.owner == "bert"
    assert decision.steps == (("rule", "germany"), ("at_once", "north"))
    assert decision.turn.after == (TURN + TURN // 2, -TURN // 2)


def test_a_stale_plan_breaks_no_cap_and_says_so() -> None:
    """R12, R42: Bert is full by now."""
    rule_set, book = limited(bert=1), a_book(bert=Standing(open_leads=1))

    decision = decided(rule_set, book, chosen="bert")

    assert decision.owner == "anna"
    assert decision.steps == (("rule", "germany"), ("at_once_passed", "bert"), ("turn", "north"))


def test_a_plan_that_does_not_see_a_cap_for_some_leads_breaks_it_no_more() -> None:
    """R12: each may have one large lead; the plan counts on more."""
    rule_set = replace(TWO, caps=(LARGE,))
    cases = [a_case(lead=f"lead-{n}", facets=Facets(country="DE", employees=200)) for n in range(4)]
    found = planned(rule_set, cases)
    rules, full = CompiledRules(rule_set), {"large": Window(1)}
    book = a_book()

    owners = []
    for case in cases:
        decision = decide(case._replace(chosen=found[case.lead]), rules, book)
        post(book, decision)
        if decision.owner:
            book.standing(decision.owner).windows = full
        owners.append(decision.owner)

    assert sorted(filter(None, owners)) == ["anna", "bert"]
    assert owners[2:] == [None, None]


_standings = st.builds(
    lambda balance, open_leads, paused, grant, leave, opens, percent: Standing(
        balance,
        0,
        open_leads,
        paused,
        Grant(grant, (AT + HOUR).isoformat() if grant else ""),
        Presence(leave_until=leave, opens=opens, percent=percent),
    ),
    st.integers(-3 * TURN, 3 * TURN),
    st.integers(0, 3),
    st.sampled_from([False, False, True]),
    st.sampled_from([0, 0, TURN]),
    st.sampled_from(["", "", (AT + HOUR).isoformat()]),
    st.sampled_from(["", "", (AT + HOUR).isoformat(), (AT + 2 * HOUR).isoformat()]),
    st.sampled_from([100, 50]),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[RuleSet, Book]:
    reps = [
        a_rep(p, active=draw(st.sampled_from([True, True, False])), cap=draw(st.none() | st.integers(0, 4)))
        for p in PEOPLE
    ]
    members = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 5))
    pools = [
        replace(
            a_pool(key, draw(members), overflow=overflow),
            off_shift=draw(st.sampled_from(list(OffShift))),
            absence=draw(st.sampled_from(list(Absence))),
        )
        for key, overflow in (("north", draw(st.sampled_from([None, "east"]))), ("east", None))
    ]
    rule_set = a_rule_set(*TWO.rules, pools=pools, reps=[*reps, a_rep("mona")])
    return rule_set, Book(draw(st.dictionaries(st.sampled_from(PEOPLE), _standings)), 0)


CHOSEN = st.sampled_from(["", *PEOPLE, "mona", "nobody"])
COUNTRIES = st.sampled_from(["DE", "PL", "FR", "US"])


@given(situations(), st.lists(st.tuples(COUNTRIES, CHOSEN), max_size=12))
def test_whoever_is_chosen_nobody_gets_what_they_may_not_take_and_nothing_is_lost(
    situation: tuple[RuleSet, Book], draws: list[tuple[str, str]]
) -> None:
    """R3, R12, R18, R42: a decision with a plan is held to the same decision without one."""
    rule_set, book = situation
    rules = CompiledRules(rule_set)
    total = sum(book.standing(person).balance for person in PEOPLE)
    for country, chosen in draws:
        case = a_case(facets=Facets(country=country), chosen=chosen)
        decision, plain = decide(case, rules, book), decide(case._replace(chosen=""), rules, book)

        able = set(plain.turn.people)
        assert decision.result == plain.result
        assert decision.passed == plain.passed
        assert decision.turn[:4] == plain.turn[:4]
        assert decision.owner == (chosen if chosen in able else plain.owner)
        post(book, decision)
        assert sum(book.standing(person).balance for person in PEOPLE) == total
        for person in PEOPLE:
            rep, row = rule_set.reps[person], book.standing(person)
            assert person != decision.owner or rep.max_open is None or row.open_leads <= rep.max_open


@given(situations(), CHOSEN, COUNTRIES)
def test_a_decision_with_a_plan_recomputes_from_its_record_to_the_same_bytes(
    situation: tuple[RuleSet, Book], chosen: str, country: str
) -> None:
    """P4"""
    rule_set, book = situation
    document = canonical(to_document(rule_set))

    decision = decided(from_document(json.loads(document)), book, chosen=chosen, facets=Facets(country=country))
    record = record_of(decision, book)

    assert recompute(record, document) == record
    assert ("chosen" in json.loads(record)["case"]) == bool(chosen)


def squares(book: Book) -> int:
    return sum(book.standing(person).balance ** 2 for person in PEOPLE)


@given(
    st.lists(COUNTRIES, max_size=20),
    st.dictionaries(st.sampled_from(PEOPLE), st.integers(-2 * TURN, 2 * TURN)),
)
def test_the_decisions_of_a_plan_end_at_least_as_even_as_one_by_one(countries: list[str], owed: dict[str, int]) -> None:
    """R42: through `decide` and the book, and the plan holds to the last lead."""
    rules, cases = CompiledRules(TWO), leads(*countries)
    together, one_by_one = (Book({p: Standing(units) for p, units in owed.items()}, 0) for _ in range(2))
    found = plan(cases, rules, together)

    for case in cases:
        decision = decide(case._replace(chosen=found.get(case.lead, "")), rules, together)
        assert not any(code == "at_once_passed" for code, _ in decision.steps)
        post(together, decision)
        post(one_by_one, decide(case, rules, one_by_one))

    assert squares(together) <= squares(one_by_one)


@given(
    st.lists(st.sampled_from(["DE", "PL", "FR"]), max_size=14),
    st.dictionaries(st.sampled_from(PEOPLE), st.integers(0, 5)),
)
def test_no_fewer_leads_are_placed_than_one_by_one_and_no_plan_goes_stale_in_its_own_transaction(
    countries: list[str], caps: dict[str, int]
) -> None:
    """R42, R12"""
    rules, cases = CompiledRules(limited(**caps)), leads(*countries)
    together, one_by_one = a_book(), a_book()
    found, placed = plan(cases, rules, together), [0, 0]

    for case in cases:
        decision = decide(case._replace(chosen=found.get(case.lead, "")), rules, together)
        assert not any(code == "at_once_passed" for code, _ in decision.steps)
        post(together, decision)
        plain = decide(case, rules, one_by_one)
        post(one_by_one, plain)
        placed = [placed[0] + (decision.owner is not None), placed[1] + (plain.owner is not None)]

    assert placed[0] >= placed[1]


def recorded(chosen: str, book: Book | None = None, rule_set: RuleSet = TWO) -> dict:
    used = book or a_book()
    return json.loads(record_of(decided(rule_set, used, chosen=chosen), used))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "A batch was handed out at once, and this lead of pool north fell to you (territory germany)."),
        ("de", "Ein Stapel wurde auf einmal verteilt; dieser Lead im Pool north kam zu Ihnen (Gebiet germany)."),
        ("pl", "Całą partię rozdzielono naraz; ten lead z puli north przypadł Tobie (obszar germany)."),
    ],
)
def test_the_owner_reads_that_the_batch_was_handed_out_at_once(language: str, words: str) -> None:
    assert sentence(recorded("bert"), language) == words


def test_the_plan_is_told_with_the_turn() -> None:
    assert explain(recorded("bert"), NAMES)[1] == (
        "Pool north: the batch was handed out at once, so that all balances end as even as they can."
    )


def test_a_stale_plan_is_told_with_the_name_and_reads_as_an_ordinary_turn() -> None:
    record = recorded("bert", a_book(bert=Standing(open_leads=1)), limited(bert=1))

    assert explain(record, NAMES)[1:3] == [
        "The batch was handed out at once and gave it to Bert Nowicki, who cannot take it any more.",
        "Pool north: whoever is owed most takes the lead.",
    ]
    assert sentence(record, "en") == "It was your turn in pool north (territory germany)."


def test_under_a_draft_a_planned_lead_stays_with_the_one_chosen_if_they_may_take_it() -> None:
    """R40, R41: the version in force moves nothing, and a draft without Bert gives his leads to Anna."""
    rules, book, cases = CompiledRules(TWO), a_book(), leads("DE", "PL", "DE", "DE")
    found, records = plan(cases, rules, book), []
    for case in cases:
        decision = decide(case._replace(chosen=found[case.lead]), rules, book)
        records.append(orjson.loads(record_of(decision, book)))
        post(book, decision)
    berts = {record["case"]["lead"] for record in records if record["owner"] == "bert"}

    def moved(draft: RuleSet) -> dict[str, str | None]:
        made = Replay(CompiledRules(draft), replay.beginnings(records), {})
        for record in records:
            made.take(Entry(record))
        return {each.lead: each.after for each in made.report().moved}

    assert berts
    assert moved(TWO) == {}
    without = moved(replace(TWO, reps={**TWO.reps, "bert": a_rep("bert", active=False)}))
    assert set(without) == berts
