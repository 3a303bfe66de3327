"""A lead decided anew: nobody has it twice, a manager takes what nobody else can, and the record says why."""

import json
import string
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_cases import NAMES, a_book, a_pool, a_rep, a_rule, a_rule_set, a_test, decided

from connector.flows import nudges
from connector.model.canonical import canonical
from connector.model.ruleset_document import to_document
from connector.routing.book import Book, Standing
from connector.routing.decide import Again, Decision, Result
from connector.routing.explain import cause_texts, explain, sentence
from connector.routing.ledger import TURN
from connector.routing.record import recompute, record_of
from connector.routing.response import Breach, Verdict

BREACH = ("breach", "anna:2026-06-09T08:30:00+00:00")
POOL = [a_pool("north", {"anna": 1, "bert": 1, "cleo": 1})]
RULES = a_rule_set(a_rule("berlin", a_test("country", "de")), pools=POOL)
#: Whoever looks after leads in a CRM of their own.
GIVEN = Again(BREACH, "dora", "other")


def again(*excluded: str, book: Book | None = None, given: Again = GIVEN) -> Decision:
    return decided(RULES, book, excluded=excluded, again=given, assign_seq=2)


def recorded(decision: Decision) -> dict:
    return json.loads(record_of(decision, a_book()))


@given(st.permutations(["anna", "bert", "cleo"]), st.lists(st.integers(-TURN, TURN), min_size=3, max_size=3))
def test_nobody_has_a_lead_twice_and_the_manager_has_it_last(order: list[str], owed: list[int]) -> None:
    """R24"""
    book = a_book(**{person: Standing(balance) for person, balance in zip(order, owed, strict=True)})
    had: list[str] = []
    for _ in range(4):
        had.append(str(again(*had, book=book).owner))

    assert sorted(had[:3]) == ["anna", "bert", "cleo"]
    assert had[3] == "dora"


def test_a_lead_nobody_is_free_for_goes_to_the_manager_rather_than_into_the_queue() -> None:
    decision = again("anna", book=a_book(bert=Standing(paused=True), cleo=Standing(paused=True)))

    assert (decision.result, decision.owner, decision.connection) == (Result.ASSIGNED, "dora", "other")


def test_without_a_manager_it_is_decided_like_any_other() -> None:
    assert again("anna", "bert", "cleo", given=Again(BREACH)).result is Result.HELD


def test_a_fallback_owner_who_had_it_does_not_get_it_again() -> None:
    rules = a_rule_set(a_rule("pl", a_test("country", "pl")), pools=POOL)

    decision = decided(rules, excluded=("mona",), again=GIVEN)

    assert [code for code, _ in decision.steps] == ["breach", "no_rule", "manager"]


@pytest.mark.parametrize("excluded", [("anna",), ("anna", "bert", "cleo")])
@pytest.mark.parametrize("spent", [False, True])
def test_such_a_decision_recomputes_to_the_same_bytes(excluded: tuple[str, ...], spent: bool) -> None:
    """P4"""
    record = record_of(again(*excluded, given=Again(BREACH, "dora", "other", spent)), a_book())
    rules = canonical(to_document(RULES))
    stored = canonical(json.loads(record) | {"rule_set": json.loads(recompute(record, rules))["rule_set"]})

    assert recompute(stored, rules) == stored
    assert b'"again"' in record


def test_the_record_of_a_first_decision_knows_nothing_of_it() -> None:
    """P4: what was recorded before there were responses recomputes to the same bytes."""
    assert "again" not in recorded(decided(RULES))["case"]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "The earlier owner had not responded by 2026-06-09 10:30."),
        ("de", "Die bisherige Zuständigkeit endete, weil bis 09.06.2026, 10:30 Uhr keine Reaktion kam."),
        ("pl", "Poprzedni opiekun nie zareagował do 09.06.2026, 10:30."),
    ],
)
def test_the_next_owner_reads_the_true_reason_on_their_own_clock(language: str, said: str) -> None:
    assert sentence(recorded(again("anna")), language, "Europe/Berlin").startswith(said)


def test_the_story_says_who_had_it_and_who_takes_it() -> None:
    spent = Again(("rejected", "anna:wrong_territory"), "dora", "crm", spent=True)

    assert explain(recorded(again("anna", given=spent)), {**NAMES, "dora": "Dora Lang"}) == [
        "Anna Brandt rejected it (wrong territory).",
        "It may not be handed on among reps any more; owners so far: 1.",
        "The manager takes it: Dora Lang.",
        "Owner: Dora Lang in crm.",
    ]


def test_every_cause_and_verdict_is_said_in_every_language() -> None:
    codes = {*Breach, *Verdict, "rejected"}

    for language, code in product(("en", "de", "pl"), codes):
        assert cause_texts(language)[code]
    assert {language: set(cause_texts(language)) for language in ("de", "pl")} == dict.fromkeys(("de", "pl"), codes)


def test_every_text_to_an_owner_names_the_same_facts_in_every_language() -> None:
    for what, texts in nudges._TEXTS.items():
        facts = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts.values()]
        assert texts.keys() == {"en", "de", "pl"}, what
        assert facts[0] == facts[1] == facts[2], what


def test_a_rep_of_another_crm_may_be_next() -> None:
    rules = a_rule_set(
        a_rule("berlin", a_test("country", "de")),
        pools=POOL,
        reps=[a_rep("bert", connections=("other",)), a_rep("mona")],
    )

    assert decided(rules, excluded=("anna",), again=GIVEN).connection == "other"
