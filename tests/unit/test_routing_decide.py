"""Existing owner, then territory, then a fair turn, else hold or fall back."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import AT, a_book, a_pool, a_rep, a_rule, a_rule_set, a_test, decided, post

from connector.model.canonical import canonical
from connector.model.lead import Facets
from connector.model.routing import RuleSet
from connector.model.ruleset_document import from_document, to_document
from connector.routing.book import Book, Standing
from connector.routing.decide import Known, Result
from connector.routing.eligible import Passed, pool_has_room
from connector.routing.ledger import NO_TURN
from connector.routing.record import recompute, record_of

FULL = Standing(open_leads=1)
OWNED = Known(verdict="exact", kind="account", record="ac-1", owner="cleo", connection="crm")


def two_pools() -> RuleSet:
    reps = [a_rep("anna", cap=1), a_rep("bert", cap=1), a_rep("cleo", cap=1), a_rep("mona")]
    pools = [a_pool("north", {"anna": 1, "bert": 1}, overflow="south"), a_pool("south", {"cleo": 1}, overflow="north")]
    return a_rule_set(a_rule(pool="north"), pools=pools, reps=reps)


def test_the_first_rule_that_fits_leads_to_its_pool() -> None:
    rule_set = a_rule_set(a_rule("pl", a_test("country", "pl")), a_rule("de", a_test("country", "de")))

    decision = decided(rule_set)

    assert (decision.result, decision.rule, decision.pool) == (Result.ASSIGNED, "de", "north")
    assert decision.steps == (("rule", "de"), ("turn", "north"))


def test_a_rule_may_name_a_rep_who_owes_nobody_a_turn_for_it() -> None:
    decision = decided(a_rule_set(a_rule("vip", rep="cleo")), a_book(cleo=Standing(balance=5)))

    assert (decision.owner, decision.pool) == ("cleo", "rep:cleo")
    assert (decision.turn.people, decision.turn.after) == (("cleo",), (5,))


def test_without_a_rule_the_fallback_owner_takes_the_lead_and_no_balance_moves() -> None:
    decision = decided(a_rule_set(a_rule("pl", a_test("country", "pl"))))

    assert (decision.owner, decision.rule, decision.pool, decision.turn) == ("mona", None, None, NO_TURN)
    assert decision.steps == (("no_rule", ""), ("fallback", "mona"))


def test_a_known_record_keeps_its_owner_without_a_turn() -> None:
    """R21"""
    decision = decided(a_rule_set(), known=OWNED)

    assert (decision.owner, decision.turn) == ("cleo", NO_TURN)
    assert decision.steps == (("existing_owner", "account:ac-1"),)


def test_kinds_of_record_the_organisation_does_not_ask_keep_nobody() -> None:
    assert decided(a_rule_set(matching=("contact",)), known=OWNED).owner == "anna"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"active": False}, "inactive"),
        ({"connections": ()}, "crm_unlinked"),
        ({"max_open": 1}, "cap_open"),
    ],
    ids=str,
)
def test_an_owner_who_cannot_take_it_is_passed_over_with_the_reason(change: dict[str, object], code: str) -> None:
    """R18, R21"""
    reps = [a_rep("anna"), a_rep("bert"), replace(a_rep("cleo"), **change), a_rep("mona")]

    decision = decided(a_rule_set(reps=reps), a_book(cleo=FULL), known=OWNED)

    assert decision.owner == "anna"
    assert decision.steps[0] == ("existing_owner_passed", f"cleo:{code}")
    assert [passed.code for passed in decision.passed] == [code]


def test_an_owner_who_left_the_organisation_is_passed_over() -> None:
    decision = decided(a_rule_set(), known=replace(OWNED, owner="gone"))

    assert decision.owner == "anna"
    assert decision.passed == (Passed("gone", "not_a_rep"),)


def test_previous_owners_are_not_chosen_again() -> None:
    """R24"""
    decision = decided(a_rule_set(), excluded=("anna",), known=replace(OWNED, owner="anna"))

    assert decision.owner == "bert"
    assert decision.passed == (Passed("anna", "excluded_prior_owner"),)


def test_a_paused_rep_gets_no_new_lead_and_neither_earns_nor_owes() -> None:
    """F13"""
    decision = decided(a_rule_set(), a_book(anna=Standing(balance=9, paused=True)))

    assert decision.owner == "bert"
    assert decision.passed == (Passed("anna", "paused", "overdue follow-up"),)
    assert decision.turn.people == ("bert",)


def test_a_full_pool_overflows_into_the_next() -> None:
    decision = decided(two_pools(), a_book(anna=FULL, bert=FULL))

    assert (decision.owner, decision.pool, decision.rule) == ("cleo", "south", "all")
    assert decision.steps == (("rule", "all"), ("nobody_eligible", "north"), ("turn", "south"))
    assert {p.person: p.fact for p in decision.passed} == {"anna": "1/1", "bert": "1/1"}


def test_pools_that_overflow_into_each_other_end_in_the_holding_queue() -> None:
    decision = decided(two_pools(), a_book(anna=FULL, bert=FULL, cleo=FULL))

    assert (decision.result, decision.owner, decision.pool) == (Result.HELD, None, "north")
    assert decision.steps[-1] == ("hold", "north")
    assert decision.connection is None


def test_whoever_waited_out_goes_to_the_fallback_owner_unless_somebody_has_room() -> None:
    full = a_book(anna=FULL, bert=FULL, cleo=FULL)

    late = decided(two_pools(), full, waited_out=True)
    lucky = decided(two_pools(), a_book(anna=FULL, bert=FULL), waited_out=True)

    assert (late.result, late.owner) == (Result.ASSIGNED, "mona")
    assert late.steps[-2:] == (("waited_out", "14400s"), ("fallback", "mona"))
    assert lucky.owner == "cleo"


def test_an_empty_pool_holds_the_lead() -> None:
    """R1"""
    rule_set = a_rule_set(pools=[a_pool("north", {})])

    assert decided(rule_set).result is Result.HELD
    assert not pool_has_room("north", rule_set, a_book())


def test_an_inactive_rep_is_never_chosen_even_if_sole() -> None:
    """R18"""
    rule_set = a_rule_set(pools=[a_pool("north", {"anna": 1})], reps=[a_rep("anna", active=False), a_rep("mona")])

    decision = decided(rule_set)

    assert (decision.result, decision.passed) == (Result.HELD, (Passed("anna", "inactive"),))


@pytest.mark.parametrize(
    ("rule", "matched", "expected"),
    [("second", "first", "second"), (None, "second", "second"), (None, "elsewhere", "first"), (None, "", "first")],
    ids=["the rule's", "the record's", "not theirs", "their first"],
)
def test_the_connection_is_the_rules_else_the_records_else_the_reps_first(
    rule: str | None, matched: str, expected: str
) -> None:
    reps = [a_rep("cleo", connections=("first", "second")), a_rep("mona")]
    rule_set = a_rule_set(a_rule("vip", rep="cleo", connection=rule), pools=[], reps=reps)

    assert decided(rule_set, known=Known(connection=matched)).connection == expected


def test_a_rule_counts_on_its_first_and_last_day_in_utc() -> None:
    day = AT.date()
    rule_set = a_rule_set(a_rule("fair", rep="cleo", valid_from=day, valid_to=day))

    owners = [decided(rule_set, at=AT + timedelta(days=shift)).owner for shift in (-1, 0, 1)]

    assert owners == ["mona", "cleo", "mona"]


def test_room_is_seen_in_the_pool_and_wherever_it_overflows_to() -> None:
    rule_set = two_pools()

    assert pool_has_room("north", rule_set, a_book(anna=FULL, bert=FULL))
    assert not pool_has_room("north", rule_set, a_book(anna=FULL, bert=FULL, cleo=FULL))
    assert pool_has_room("rep:cleo", rule_set, a_book())
    assert not pool_has_room("rep:cleo", rule_set, a_book(cleo=Standing(paused=True)))
    assert not pool_has_room("rep:gone", rule_set, a_book())
    assert not pool_has_room("dissolved", rule_set, a_book())


PEOPLE = ("anna", "bert", "cleo", "dora")
_standings = st.builds(
    lambda balance, open_leads, paused: Standing(balance, 0, open_leads, paused),
    st.integers(-9, 9),
    st.integers(0, 3),
    st.sampled_from([False, False, True]),
)


@st.composite
def _situations(draw: st.DrawFn) -> tuple[RuleSet, Book]:
    reps = [
        a_rep(p, active=draw(st.sampled_from([True, True, False])), cap=draw(st.none() | st.integers(0, 4)))
        for p in PEOPLE
    ]
    members = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 5))
    south = a_pool("south", draw(members))
    north = a_pool("north", draw(members), overflow=draw(st.sampled_from([None, "south"])))
    rule_set = a_rule_set(a_rule(pool="north"), pools=[north, south], reps=[*reps, a_rep("mona")])
    return rule_set, Book(draw(st.dictionaries(st.sampled_from(PEOPLE), _standings)), 0)


@given(_situations(), st.integers(1, 30))
def test_nobody_is_ever_given_more_than_their_cap_or_while_they_are_out(
    situation: tuple[RuleSet, Book], leads: int
) -> None:
    """R12, R18: and the sum of all balances never changes."""
    rule_set, book = situation
    total = sum(book.standing(person).balance for person in PEOPLE)

    for _ in range(leads):
        before = {person: book.standing(person) for person in PEOPLE}
        decision = decided(rule_set, book)
        has_room = pool_has_room("north", rule_set, book)
        post(book, decision)

        assert (decision.result is Result.ASSIGNED) == has_room
        assert sum(book.standing(person).balance for person in PEOPLE) == total
        if decision.owner is not None:
            rep = rule_set.reps[decision.owner]
            assert rep.active
            assert not before[decision.owner].paused
            assert rep.max_open is None or book.standing(decision.owner).open_leads <= rep.max_open


@given(_situations())
def test_everybody_asked_either_shares_the_turn_or_is_passed_over_with_one_reason(
    situation: tuple[RuleSet, Book],
) -> None:
    rule_set, book = situation

    decision = decided(rule_set, book)

    asked = {m.person for key in ("north", decision.pool or "north") for m in rule_set.pools[key].members}
    told = [*decision.turn.people, *(p.person for p in decision.passed)]
    assert asked <= set(told)
    assert len(told) == len(set(told))


@given(_situations())
def test_the_same_lead_book_and_instant_lead_to_the_same_decision(situation: tuple[RuleSet, Book]) -> None:
    """P4"""
    rule_set, book = situation

    assert decided(rule_set, book) == decided(rule_set, book)


@given(_situations(), st.booleans(), st.sampled_from([Known(), OWNED, replace(OWNED, owner="gone")]))
def test_every_decision_recomputes_from_its_record_to_the_same_bytes(
    situation: tuple[RuleSet, Book], waited_out: bool, known: Known
) -> None:
    """P4: although the record holds only the standings of those concerned."""
    rule_set, book = situation
    document = canonical(to_document(rule_set))

    stored = from_document(json.loads(document))
    record = record_of(decided(stored, book, waited_out=waited_out, known=known), book)

    assert recompute(record, document) == record


def test_deciding_leaves_the_book_as_it_was() -> None:
    book = a_book(anna=Standing(balance=3))

    decided(a_rule_set(), book, facets=Facets(country="DE"))

    assert book.changes() == {}
    assert book.decisions == 0
