"""Why the lead is theirs, in words a rep accepts."""

import json

import pytest
from routing_cases import NAMES, a_book, a_pool, a_rep, a_rule, a_rule_set, a_test, decided

from connector.routing.book import Book, Standing
from connector.routing.decide import Decision, Known
from connector.routing.explain import explain, sentence
from connector.routing.ledger import TURN
from connector.routing.record import record_of

FULL = Standing(open_leads=40)
POOLS = [a_pool("north", {"anna": 1, "bert": 3}, overflow="south"), a_pool("south", {"cleo": 1})]
REPS = [a_rep("anna", cap=40), a_rep("bert", cap=40), a_rep("cleo"), a_rep("mona")]
RULES = a_rule_set(a_rule("berlin", a_test("country", "de")), pools=POOLS, reps=REPS)
NORTH_FULL = a_book(anna=FULL, bert=FULL)
ALL_OUT = a_book(anna=FULL, bert=FULL, cleo=Standing(paused=True))
NO_TERRITORY = a_rule_set(a_rule("pl", a_test("country", "pl")), pools=POOLS, reps=REPS)
OWNED = Known(verdict="exact", kind="account", record="ac-1", owner="cleo", connection="crm")


def recorded(decision: Decision, book: Book | None = None) -> dict:
    return json.loads(record_of(decision, book or a_book()))


OUTCOMES = {
    "turn": recorded(decided(RULES)),
    "overflow": recorded(decided(RULES, NORTH_FULL), NORTH_FULL),
    "rep": recorded(decided(a_rule_set(a_rule("vip", rep="cleo")))),
    "existing_owner": recorded(decided(RULES, known=OWNED)),
    "fallback": recorded(decided(NO_TERRITORY)),
    "waited_out": recorded(decided(RULES, ALL_OUT, waited_out=True), ALL_OUT),
    "held": recorded(decided(RULES, ALL_OUT), ALL_OUT),
}


@pytest.mark.parametrize(
    ("outcome", "english", "german", "polish"),
    [
        (
            "turn",
            "It was your turn in pool north (territory berlin).",
            "Sie waren im Pool north an der Reihe (Gebiet berlin).",
            "W puli north przyszła Twoja kolej (obszar berlin).",
        ),
        (
            "overflow",
            "Nobody in pool north could take it, and it was your turn in south.",
            "Im Pool north konnte ihn niemand nehmen, und im Pool south waren Sie an der Reihe.",
            "W puli north nikt nie mógł go przyjąć, a w puli south przyszła Twoja kolej.",
        ),
        ("rep", "Territory vip is yours.", "Das Gebiet vip gehört Ihnen.", "Obszar vip należy do Ciebie."),
        (
            "existing_owner",
            "You already look after this account.",
            "Sie betreuen dieses Unternehmen bereits.",
            "Ta firma jest już pod Twoją opieką.",
        ),
        (
            "fallback",
            "No territory fits this lead; you are the fallback owner.",
            "Kein Gebiet passt zu diesem Lead; Sie sind als Auffangperson eingetragen.",
            "Żaden obszar nie pasuje do tego leadu; jesteś osobą rezerwową.",
        ),
        (
            "waited_out",
            "Nobody in pool north had room for too long; you are the fallback owner.",
            "Im Pool north war zu lange niemand frei; Sie sind als Auffangperson eingetragen.",
            "W puli north zbyt długo nikt nie miał miejsca; jesteś osobą rezerwową.",
        ),
        ("held", "", "", ""),
    ],
)
def test_the_owner_reads_one_sentence_in_their_language(outcome: str, english: str, german: str, polish: str) -> None:
    said = [sentence(OUTCOMES[outcome], language) for language in ("en", "de", "pl")]

    assert said == [english, german, polish]


def test_a_language_without_texts_gets_english() -> None:
    assert sentence(OUTCOMES["turn"], "fr") == sentence(OUTCOMES["turn"], "en")


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        (
            "turn",
            [
                "Territory rule berlin is the first that fits.",
                "Pool north: whoever is owed most takes the lead.",
                "Anna Brandt (weight 1) was owed 0, is credited +0.25 of this lead, waits: now owed +0.25.",
                "Bert Nowicki (weight 3) was owed 0, is credited +0.75 of this lead, takes it: now owed -0.25.",
                "Owner: Bert Nowicki in crm.",
            ],
        ),
        (
            "overflow",
            [
                "Territory rule berlin is the first that fits.",
                "Pool north: nobody can take a lead now.",
                "Pool south: whoever is owed most takes the lead.",
                "Anna Brandt is at the limit of open leads (40/40).",
                "Bert Nowicki is at the limit of open leads (40/40).",
                "Owner: Cleo Seidel in crm.",
            ],
        ),
        (
            "existing_owner",
            ["A known record (account:ac-1) has an owner who keeps the lead.", "Owner: Cleo Seidel in crm."],
        ),
        (
            "fallback",
            ["No territory rule fits.", "The fallback owner takes it: Mona Voss.", "Owner: Mona Voss in crm."],
        ),
        (
            "waited_out",
            [
                "Territory rule berlin is the first that fits.",
                "Pool north: nobody can take a lead now.",
                "Pool south: nobody can take a lead now.",
                "It waited longer than allowed (4 hours).",
                "The fallback owner takes it: Mona Voss.",
                "Anna Brandt is at the limit of open leads (40/40).",
                "Bert Nowicki is at the limit of open leads (40/40).",
                "Cleo Seidel gets no new leads until overdue follow-ups are cleared.",
                "Owner: Mona Voss in crm.",
            ],
        ),
        (
            "held",
            [
                "Territory rule berlin is the first that fits.",
                "Pool north: nobody can take a lead now.",
                "Pool south: nobody can take a lead now.",
                "The lead waits in the holding queue for pool north.",
                "Anna Brandt is at the limit of open leads (40/40).",
                "Bert Nowicki is at the limit of open leads (40/40).",
                "Cleo Seidel gets no new leads until overdue follow-ups are cleared.",
            ],
        ),
    ],
    ids=str,
)
def test_every_step_and_every_candidate_is_told(outcome: str, lines: list[str]) -> None:
    assert explain(OUTCOMES[outcome], NAMES) == lines


def test_an_owner_who_was_passed_over_is_named_with_the_reason() -> None:
    book = a_book(cleo=Standing(paused=True))

    lines = explain(recorded(decided(RULES, book, known=OWNED), book), NAMES)

    assert lines[0] == "A known record has an owner who cannot take it now (Cleo Seidel)."
    assert "Cleo Seidel gets no new leads until overdue follow-ups are cleared." in lines


def test_a_pool_is_not_mistaken_for_a_person_of_the_same_name() -> None:
    rule_set = a_rule_set(a_rule("anna", pool="anna"), pools=[a_pool("anna", {"anna": 1})])

    lines = explain(recorded(decided(rule_set)), NAMES)

    assert lines[:2] == [
        "Territory rule anna is the first that fits.",
        "Pool anna: whoever is owed most takes the lead.",
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("not_a_rep", "Anna Brandt is not a rep in this version of the rules."),
        ("inactive", "Anna Brandt is not active."),
        ("crm_unlinked", "Anna Brandt has no user in any CRM."),
        ("excluded_prior_owner", "Anna Brandt had this lead before."),
        ("a_code_of_later", "Anna Brandt a_code_of_later."),
    ],
)
def test_every_reason_to_pass_somebody_over_has_words(code: str, words: str) -> None:
    record = OUTCOMES["held"] | {"steps": [], "passed": {"anna": [code, ""]}}

    assert explain(record, NAMES) == [words]


def test_a_turn_in_a_rule_of_one_rep_reads_as_theirs() -> None:
    lines = explain(OUTCOMES["rep"], NAMES)

    assert lines == [
        "Territory rule vip is the first that fits.",
        "The territory belongs to Cleo Seidel.",
        "Owner: Cleo Seidel in crm.",
    ]


def test_a_lead_for_a_rep_without_room_waits_for_them_by_name() -> None:
    rule_set = a_rule_set(a_rule("vip", rep="cleo"))
    book = a_book(cleo=Standing(paused=True))

    waits = explain(recorded(decided(rule_set, book), book), NAMES)
    waited = recorded(decided(rule_set, book, waited_out=True), book)

    assert waits[1:3] == [
        "The territory belongs to Cleo Seidel, who cannot take a lead now.",
        "The lead waits in the holding queue for Cleo Seidel.",
    ]
    said = "The rep of territory vip had no room for too long; you are the fallback owner."
    assert sentence(waited, "en") == said


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600, "1 hour"), (14400, "4 hours"), (5400, "90 minutes"), (90000, "25 hours")]
)
def test_the_longest_wait_is_told_in_hours(seconds: int, words: str) -> None:
    record = OUTCOMES["waited_out"] | {"steps": [["waited_out", f"{seconds}s"]], "passed": {}, "owner": None}

    assert explain(record, NAMES)[0] == f"It waited longer than allowed ({words})."


def test_a_debt_is_told_in_turns() -> None:
    book = a_book(anna=Standing(balance=3 * TURN // 2), bert=Standing(balance=-3 * TURN // 2))

    lines = explain(recorded(decided(RULES, book), book), NAMES)

    assert "Anna Brandt (weight 1) was owed +1.50, is credited +0.25 of this lead, takes it: now owed +0.75." in lines
