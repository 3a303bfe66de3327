"""What a draft would have decided instead: records in, a report out, nothing touched.

The same leads are decided in the order they were, with a shadow of the ledger (`shadow`) that begins with the
balances the records show first. What the records cannot tell is approximated:

* Closings as recorded: a lead that was closed frees the person it was closed for, whoever owns it under the draft.
* A lead that waits under the draft is decided again when it was decided again then, and waits for ever otherwise.
* One that waited then and has an owner under the draft at once keeps that owner.
* A batch handed out at once is not planned anew: a lead goes to the one chosen then if they may take it under the
  draft too, otherwise it is an ordinary turn.
* Of people a record does not show it is assumed that they were there, and not paused.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from connector.model.lead import Facets
from connector.model.routing import RuleSet
from connector.routing.book import Grant, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.conditions import passes
from connector.routing.decide import NO_GRANTS, Decision, decide
from connector.routing.ledger import Turn
from connector.routing.likeness import Likeness
from connector.routing.record import case_of, record_of, standing_of
from connector.routing.rings import Taken
from connector.routing.shadow import Shadow


@dataclass(frozen=True, slots=True)
class Learned:
    """What a lead says that its record does not: a record names the company by the rules of its own version."""

    domain: str
    custom: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as JSON data. `learned`: what it does not say; `gone`: it does not, and nobody knows any more.

    `likeness` is that of the record's version and the draft; without it nothing is taken for granted.
    """

    written: Mapping[str, Any]
    likeness: Likeness | None = None
    learned: Learned | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """A lead with another owner under the draft; None: it waits. The records tell why, where they were kept."""

    lead: str
    seq: int
    at: datetime
    before: str | None
    after: str | None
    record: Mapping[str, Any] | None = None
    draft: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Outcome:
    """How decisions ended, and who owns how many leads at the end ("" for those that wait)."""

    no_rule: int = 0
    fallback: int = 0
    held: int = 0
    #: Decisions in which a cap kept somebody from the lead.
    capped: int = 0
    owners: Counter[str] = field(default_factory=Counter)

    def count(self, steps: Iterable[tuple[str, str]], passed: Sequence[str]) -> None:
        """Count one decision by its steps and the codes of those passed over."""
        codes = [code for code, _ in steps]
        self.no_rule += "no_rule" in codes
        self.fallback += "fallback" in codes
        self.held += "hold" in codes
        self.capped += bool(passed) and any(code.startswith("cap_") for code in passed)


@dataclass(frozen=True, slots=True)
class Report:
    """What would be different. `assumed` counts decisions for which something had to be assumed."""

    decisions: int
    leads: int
    assumed: int
    moved: tuple[Moved, ...]
    before: Outcome
    after: Outcome


def sharers(draft: RuleSet) -> frozenset[str]:
    """Return the people whose standings matter from the start: those who share leads."""
    return frozenset(member.person for pool in draft.pools.values() for member in pool.members)


def beginnings(records: Iterable[Mapping[str, Any]]) -> dict[str, Standing]:
    """Return people's standings as the records, in order, first show them."""
    first: dict[str, list[Any]] = {}
    for written in records:
        first = written["book"] | first
    return {person: standing_of(row) for person, row in first.items()}


#: The owners of a lead, decision by decision: as it was recorded, and under the draft.
Past = tuple[tuple[str | None, str | None], ...]


class Replay:
    """A draft in the place of what was in force. `kept` is of how many moved leads the records are kept, None: all."""

    def __init__(
        self,
        draft: CompiledRules,
        standings: Mapping[str, Standing],
        taken: Mapping[str, list[Taken]],
        *,
        kept: int | None = None,
    ) -> None:
        self._draft = draft
        self._shadow = Shadow(draft.rule_set, standings, taken)
        self._kept = kept
        self._owners: dict[str, Past] = {}
        self._moved: dict[str, Moved] = {}
        self._before, self._after = Outcome(), Outcome()
        self._decisions = self._assumed = 0

    def take(self, entry: Entry) -> None:
        """Decide the next lead anew. Records come in order, none left out."""
        written = entry.written
        lead, shadow = written["case"]["lead"], self._shadow
        past = self._owners.get(lead, ())
        then, now = past[-1] if past else (None, None)
        found_one = now is not None and then is None
        shadow.release(then, None if found_one else now)
        shadow.stand_before(written["seq"], datetime.fromisoformat(written["case"]["at"]), written["book"])
        if all(one == other for one, other in past) and self._comes_out_the_same(entry):
            self._repeat(written)
            owner = written["owner"]
        else:
            decision = None if found_one else self._decide(past, entry)
            owner = now if decision is None else decision.owner
            self._part(written, decision, owner)
        self._owners[lead] = (*past, (written["owner"], owner))
        self._decisions += 1

    def report(self) -> Report:
        """Return what is different so far."""
        for history in self._owners.values():
            then, now = history[-1]
            self._before.owners[then or ""] += 1
            self._after.owners[now or ""] += 1
        moved = tuple(sorted(self._moved.values(), key=lambda each: each.seq))
        return Report(self._decisions, len(self._owners), self._assumed, moved, self._before, self._after)

    def _comes_out_the_same(self, entry: Entry) -> bool:
        """Tell whether the draft decides as it was recorded because it reads the same."""
        like, written = entry.likeness, entry.written
        if like is None or not (like.frame and like.says_all and written["book"].keys() <= like.reps):
            return False
        if not self._shadow.agrees():
            return False
        rule = next((detail for code, detail in written["steps"] if code in ("rule", "no_rule")), None)
        if like.same or rule is None:
            return True
        case = case_of(written["case"])
        found = self._draft.first(case.facets, case.at.date())
        return found is None if rule == "" else found is not None and found.key == rule and rule in like.rules

    def _repeat(self, written: Mapping[str, Any]) -> None:
        """Enter a decision that is the same under the draft."""
        turn, grants = _posted(written)
        seq, owner = written["seq"], written["owner"]
        tags: tuple[str, ...] = ()
        if caps := self._draft.rule_set.caps:
            facets = case_of(written["case"]).facets
            tags = tuple(cap.key for cap in caps if passes(cap.conditions, facets))
        self._shadow.post_then(turn, owner, seq, grants)
        self._shadow.post(turn, owner, seq, grants=grants, tags=tags)
        passed = [code for code, _ in written["passed"].values()]
        for outcome in (self._before, self._after):
            outcome.count(written["steps"], passed)
        self._moved.pop(written["case"]["lead"], None)

    def _decide(self, past: Past, entry: Entry) -> Decision:
        case = case_of(entry.written["case"])
        if case.excluded:
            instead = dict(past)
            had = tuple(dict.fromkeys(filter(None, (instead.get(person, person) for person in case.excluded))))
            case = case._replace(excluded=had)
        if entry.learned is not None:
            case = case._replace(facets=self._known(case.facets, entry.learned))
        decision = decide(case, self._draft, self._shadow)
        self._assumed += self._shadow.assumed or entry.gone
        return decision

    def _known(self, facets: Facets, learned: Learned) -> Facets:
        custom = {name: learned.custom[name] for name in self._draft.custom_fields if name in learned.custom}
        return replace(facets, custom=custom, domain_rules=tuple(sorted(self._draft.domain_rules(learned.domain))))

    def _part(self, written: Mapping[str, Any], decision: Decision | None, owner: str | None) -> None:
        """Enter a decision as it was recorded, and as it is under the draft; None: there is none under the draft."""
        self._compare(written, decision, owner)
        turn, grants = _posted(written)
        self._shadow.post_then(turn, written["owner"], written["seq"], grants)
        self._before.count(written["steps"], [code for code, _ in written["passed"].values()])
        if decision is not None:
            self._after.count(decision.steps, [each.code for each in decision.passed])
            self._shadow.post(decision.turn, decision.owner, decision.seq, grants=decision.grants, tags=decision.tags)
        if decision is None or decision.owner != written["owner"]:
            self._shadow.part(written["owner"], decision.owner if decision else None)

    def _compare(self, written: Mapping[str, Any], decision: Decision | None, owner: str | None) -> None:
        lead = written["case"]["lead"]
        if owner == written["owner"]:
            self._moved.pop(lead, None)
            return
        at = datetime.fromisoformat(written["case"]["at"])
        moved = Moved(lead, written["seq"], at, written["owner"], owner)
        if decision is not None and (self._kept is None or len(self._moved) < self._kept):
            draft = orjson.loads(record_of(decision, self._shadow))
            moved = replace(moved, record=written, draft=draft)
        self._moved[lead] = moved


def _posted(written: Mapping[str, Any]) -> tuple[Turn, Mapping[str, Grant]]:
    """Return what a record's postings left behind."""
    postings, grants = written["postings"], written.get("grants")
    turn = Turn(people=tuple(postings), after=tuple([row[-1] for row in postings.values()]))
    return turn, {person: Grant(*grant) for person, grant in grants.items()} if grants else NO_GRANTS
