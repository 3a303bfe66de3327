"""What a draft would have decided: nothing is different without a difference, and what is moved is exactly told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routing_cases import AT, a_case, a_pool, a_rep, a_rule, a_rule_set, a_test

from connector.model.lead import Facets
from connector.model.routing import Absence, Cap, OffShift, RuleSet
from connector.routing import replay
from connector.routing.book import Book, Presence, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, Decision, Known, Result, decide
from connector.routing.likeness import Likeness
from connector.routing.record import record_of
from connector.routing.replay import Entry, Learned, Replay, Report
from connector.routing.rings import Rings, Taken, microseconds

HOUR = timedelta(hours=1)
HALF = 25


class World:
    """Leads decided by the plain book, as `flows` would: the measure a replay is held to."""

    def __init__(self, rule_set: RuleSet, *, presence: Mapping[str, Presence] | None = None) -> None:
        self.rules = CompiledRules(rule_set)
        self.presence = presence or {}
        self.standings: dict[str, Standing] = {}
        self.taken: dict[str, list[Taken]] = {}
        self.records: list[bytes] = []
        self.owners: dict[str, str | None] = {}
        self.seq = 0

    def decide(self, case: Case) -> Decision:
        at = microseconds(case.at)
        rings = Rings(self.rules.rule_set, self.taken, at)
        book = Book(self.standings, self.seq, presence=self._present, rings=rings)
        before = self.owners.get(case.lead)
        if before:
            book.shift_open(before, -1)
        decision = decide(case, self.rules, book)
        self.records.append(record_of(decision, book))
        book.post(decision.turn, decision.owner, decision.seq, grants=decision.grants, tags=decision.tags)
        if decision.owner:
            self.taken.setdefault(decision.owner, []).append((at, decision.tags))
        self.standings |= book.changes()
        self.owners[case.lead] = decision.owner
        self.seq = decision.seq
        return decision

    def close(self, lead: str) -> None:
        person = self.owners.pop(lead)
        assert person
        before = self.standings[person]
        self.standings[person] = replace(before, open_leads=before.open_leads - 1)

    def give_back(self, person: str) -> None:
        """Reverse a turn of somebody's, as after a lead that was none."""
        for each, units in ((person, 400_000_000), ("bert", -400_000_000)):
            before = self.standings[each]
            self.standings[each] = replace(before, balance=before.balance + units)

    def _present(self, person: str) -> Presence:
        return self.presence.get(person, Presence())


def replayed(
    records: Sequence[bytes],
    draft: RuleSet,
    taken: Mapping[str, list[Taken]] | None = None,
    likeness: Likeness | None = None,
    **more: Any,
) -> Report:
    written = [orjson.loads(record) for record in records]
    made = Replay(CompiledRules(draft), replay.beginnings(written), taken or {}, **more)
    for each in written:
        made.take(Entry(each, likeness))
    return made.report()


def leads(count: int, countries: Sequence[str] = ("DE", "PL")) -> list[Case]:
    return [
        a_case(lead=f"lead-{n}", at=AT + n * HOUR / 4, facets=Facets(country=countries[n % len(countries)]))
        for n in range(count)
    ]


TWO = (
    a_rule("germany", a_test("country", "de"), pool="north"),
    a_rule("poland", a_test("country", "pl"), pool="east"),
)
POOLS = (a_pool("north", {"anna": 2, "bert": 1}), a_pool("east", {"bert": 1, "cleo": 1}))
BUSY = a_rule_set(
    *TWO,
    pools=[
        replace(POOLS[0], off_shift=OffShift.NEXT_OPEN, overflow="east"),
        replace(POOLS[1], absence=Absence.PACED),
    ],
    reps=[
        replace(a_rep("anna", cap=3), caps=(Cap("hour", 2, HOUR),)),
        a_rep("bert"),
        replace(a_rep("cleo"), caps=(Cap("day", 4, 6 * HOUR),)),
        a_rep("mona"),
    ],
    caps=(Cap("polish", 3, 4 * HOUR, (a_test("country", "pl"),)),),
)


def story(world: World, draws: Iterable[tuple[str, int]]) -> None:
    """Play what happens to leads: they come, by plan too, are closed, wait, are tried again, are taken from owners."""
    opens = (AT + 99 * HOUR).isoformat()
    for number, (what, which) in enumerate(draws):
        at = AT + number * HOUR / 5
        open_leads = [lead for lead, owner in world.owners.items() if owner]
        waiting = [lead for lead, owner in world.owners.items() if owner is None]
        lead = open_leads[which % len(open_leads)] if open_leads else ""
        person = ("anna", "bert", "cleo")[which % 3]
        if what == "close" and lead:
            world.close(lead)
        elif what == "given back" and person in world.standings and "bert" in world.standings:
            world.give_back(person)
        elif what == "again" and lead:
            had = (str(world.owners[lead]),)
            world.decide(a_case(lead=lead, assign_seq=2 + number, at=at, excluded=had, facets=facets_of(lead)))
        elif what == "try" and waiting:
            tried = waiting[which % len(waiting)]
            world.decide(a_case(lead=tried, assign_seq=2 + number, at=at, facets=facets_of(tried), waited_out=True))
        elif what == "away":
            world.presence = (
                {}
                if which > HALF
                else {person: Presence(leave_until=opens, delegate="bert" if person != "bert" else "")}
            )
        elif what == "night":
            world.presence = {person: Presence(opens=opens, percent=50)}
        else:
            name = f"lead-{number}-{which}"
            known = Known(kind="account", record="a1", owner=person) if what == "known" else Known()
            chosen = person if what == "at once" else ""
            world.decide(a_case(lead=name, at=at, facets=facets_of(name), known=known, chosen=chosen))


def facets_of(lead: str) -> Facets:
    return Facets(country=("DE", "PL", "FR")[int(lead.rpartition("-")[2]) % 3])


STORIES = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("new", "new", "new", "new", "at once", "at once"),
                *("close", "close", "given back", "again", "try", "away", "night", "known"),
            )
        ),
        st.integers(0, 50),
    ),
    min_size=8,
    max_size=60,
)


@settings(max_examples=150)
@given(STORIES, st.integers(0, 20))
def test_what_was_in_force_moves_nothing_wherever_the_window_begins(draws: list[tuple[str, int]], start: int) -> None:
    """R40: closings, leave, shifts, caps, catching up, second decisions and all."""
    world = World(BUSY)
    story(world, draws)
    window = world.records[start:]
    at = orjson.loads(window[0])["case"]["at"] if window else ""
    first = next((orjson.loads(r)["seq"] for r in window), 0)
    before = [orjson.loads(record) for record in world.records[: first - 1]] if first else []
    taken: dict[str, list[Taken]] = {}
    for record in before:
        if record["owner"] and record["case"]["at"] < at:
            moment = microseconds(a_case(at=AT).at.fromisoformat(record["case"]["at"]))
            tags = ("polish",) if record["case"]["facets"]["country"] == "PL" else ()
            taken.setdefault(record["owner"], []).append((moment, tags))

    report = replayed(window, BUSY, taken)

    assert report.moved == ()
    assert report.assumed == 0
    assert report.before == report.after
    assert report.decisions == len(window)


DRAFTS = [
    BUSY,
    replace(BUSY, rules=(TWO[0], replace(TWO[1], pool="north"))),
    replace(BUSY, rules=TWO[1:]),
    replace(BUSY, rules=(a_rule("all", rep="mona"), *TWO)),
    replace(BUSY, rules=(a_rule("france", a_test("country", "fr"), rep="cleo"), *TWO)),
    replace(BUSY, pools={**BUSY.pools, "east": replace(BUSY.pools["east"], absence=Absence.NONE)}),
    replace(BUSY, pools={**BUSY.pools, "north": replace(BUSY.pools["north"], overflow=None)}),
    replace(BUSY, reps={**BUSY.reps, "anna": a_rep("anna", cap=1)}),
    replace(BUSY, reps={**BUSY.reps, "cleo": replace(a_rep("cleo"), caps=(Cap("day", 2, 6 * HOUR),))}),
    replace(BUSY, caps=()),
    replace(BUSY, caps=(replace(BUSY.caps[0], limit=2),)),
    replace(BUSY, matching=()),
    replace(BUSY, steps=BUSY.steps[1:]),
    replace(BUSY, fallback="anna"),
]


@settings(max_examples=300)
@given(STORIES, st.sampled_from(DRAFTS))
def test_what_is_taken_for_granted_is_what_deciding_anew_would_say(
    draws: list[tuple[str, int]], draft: RuleSet
) -> None:
    world = World(BUSY)
    story(world, draws)

    anew = replayed(world.records, draft)
    granted = replayed(world.records, draft, likeness=Likeness.between(BUSY, draft))

    assert granted == anew


def test_much_is_taken_for_granted_and_nothing_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(a_rule_set(*TWO, pools=POOLS))
    for case in leads(20):
        world.decide(case)
    decided: list[str] = []
    monkeypatch.setattr(replay, "decide", lambda case, *rest: decided.append(case.lead) or decide(case, *rest))
    draft = a_rule_set(TWO[0], a_rule("poland", a_test("country", "pl"), rep="mona"), pools=POOLS)
    lone = a_rule_set(*TWO, pools=[POOLS[0], a_pool("east", {"cleo": 1})])

    for version in (world.rules.rule_set, draft, lone):
        replayed(world.records, version, likeness=Likeness.between(world.rules.rule_set, version))
        if version is world.rules.rule_set:
            assert decided == []

    # Bert shares Germany too: without the turns of Poland he stands elsewhere from the second lead on.
    assert set(decided) == {case.lead for case in leads(20)[1:]}


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(("DE", "PL", "FR")), max_size=40),
    st.sampled_from(
        [
            a_rule_set(TWO[0], replace(TWO[1], pool="north"), pools=POOLS),
            a_rule_set(*TWO, pools=[a_pool("north", {"anna": 1, "bert": 3}), POOLS[1]]),
            a_rule_set(*TWO, pools=[a_pool("north", {"mona": 1, "bert": 3}), POOLS[1]]),
            a_rule_set(*TWO, pools=POOLS, reps=[a_rep("anna", cap=3), a_rep("bert"), a_rep("cleo"), a_rep("mona")]),
            a_rule_set(TWO[1], pools=POOLS),
        ]
    ),
)
def test_exactly_the_leads_that_a_draft_gives_to_others_are_told(countries: list[str], draft: RuleSet) -> None:
    """R41: held to the draft decided from the start with a plain book."""
    cases = leads(len(countries), countries or ["DE"])
    then, now = World(a_rule_set(*TWO, pools=POOLS)), World(draft)
    for case in cases:
        then.decide(case)
        now.decide(case)

    report = replayed(then.records, draft, likeness=Likeness.between(then.rules.rule_set, draft))

    differing = {lead: (then.owners[lead], now.owners[lead]) for lead in then.owners}
    assert {each.lead: (each.before, each.after) for each in report.moved} == {
        lead: pair for lead, pair in differing.items() if pair[0] != pair[1]
    }
    assert [report.after.owners[person or ""] for person in now.owners.values()] == [
        list(now.owners.values()).count(person) for person in now.owners.values()
    ]


def test_both_decisions_of_a_moved_lead_are_kept_up_to_a_number() -> None:
    world = World(a_rule_set(*TWO, pools=POOLS))
    for case in leads(12):
        world.decide(case)
    draft = a_rule_set(TWO[0], a_rule("poland", a_test("country", "pl"), rep="mona"), pools=POOLS)

    report = replayed(world.records, draft, kept=2)

    polish = [each for each in report.moved if each.after == "mona"]
    assert len(polish) == 6
    assert [each.record is not None for each in report.moved].count(True) == 2
    kept = next(each for each in report.moved if each.draft is not None)
    assert kept.record is not None
    assert kept.draft is not None
    assert kept.draft["rule_set"] == draft.hash
    assert kept.draft["owner"] == kept.after
    assert kept.record["owner"] == kept.before


def test_a_lead_that_waited_keeps_the_owner_the_draft_finds_at_once() -> None:
    full = a_rule_set(pools=[a_pool("north", {"anna": 1})], reps=[a_rep("anna", cap=0), a_rep("mona")])
    world = World(full)
    assert world.decide(a_case(lead="lead-1")).result is Result.HELD
    world.decide(a_case(lead="lead-1", assign_seq=2, at=AT + HOUR, waited_out=True))
    assert world.owners == {"lead-1": "mona"}

    report = replayed(world.records, replace(full, reps={**full.reps, "anna": a_rep("anna", cap=1)}))

    assert [(each.before, each.after) for each in report.moved] == [("mona", "anna")]
    assert (report.before.held, report.after.held) == (1, 0)
    assert (report.before.capped, report.after.capped) == (2, 0)


def test_who_had_a_lead_under_the_draft_is_not_asked_again() -> None:
    """A second decision after silence excludes its owner then; under the draft, its owner under the draft."""
    old = a_rule_set(a_rule(pool="north"), pools=[a_pool("north", {"anna": 1, "bert": 1})])
    world = World(old)
    world.decide(a_case())
    world.decide(a_case(assign_seq=2, at=AT + HOUR, excluded=("anna",)))
    assert world.owners == {"lead-1": "bert"}
    other = replace(old, pools={"north": a_pool("north", {"cleo": 1, "anna": 1})}, hash="v2")
    preferring_cleo = replace(other, pools={"north": a_pool("north", {"anna": 1, "cleo": 3})})

    report = replayed(world.records, preferring_cleo)

    assert [(each.before, each.after) for each in report.moved] == [("bert", "anna")]


def test_a_person_no_record_shows_is_taken_to_be_there_and_counted() -> None:
    world = World(a_rule_set(a_rule(rep="anna")))
    for case in leads(3):
        world.decide(case)

    report = replayed(world.records, a_rule_set(a_rule(rep="cleo")))

    assert report.assumed == 3
    assert report.after.owners == {"cleo": 3}


def test_what_a_record_cannot_say_is_learned_from_the_lead_or_counted() -> None:
    old = a_rule_set(a_rule("all", rep="anna"))
    named = a_rule_set(
        a_rule("firm", a_test("domain", "firm.example"), rep="bert"),
        a_rule("dealers", a_test("custom.dealer", "yes"), rep="cleo"),
        a_rule("all", rep="anna"),
    )
    world = World(old)
    for case in leads(3):
        world.decide(case)
    made = Replay(CompiledRules(named), {}, {})
    facts = [Learned("firm.example", {}), Learned("", {"dealer": "yes", "other": "x"}), None]

    for record, learned in zip(world.records, facts, strict=True):
        made.take(Entry(orjson.loads(record), learned=learned, gone=learned is None))
    report = made.report()

    assert not Likeness.between(old, named).says_all
    assert Likeness.between(named, named).says_all
    assert Likeness.between(named, old).says_all
    assert {each.lead: each.after for each in report.moved} == {"lead-0": "bert", "lead-1": "cleo"}
    # Bert and Cleo are shown nowhere, and of the third lead nobody knows.
    assert report.assumed == 3
