"""What a draft would have decided instead: records in, a report out, nothing touched.

The same leads are decided in the order they were, with a shadow of the ledger (`shadow`) that begins with the
balances the records show first. What the records cannot tell is approximated:

* Closings as recorded: a lead that was closed frees the person it was closed for, whoever owns it under the draft.
* A lead that waits under the draft is decided again when it was decided again then, and waits for ever otherwise.
* One that waited then and has an owner under the draft at once keeps that owner.
* Of people a record does not show it is assumed that they were there, and not paused.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from connector.model.lead import Facets
from connector.model.routing import RuleSet
from connector.routing.book import Grant, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, Decision, decide
from connector.routing.record import record_of, recorded
from connector.routing.rings import Taken
from connector.routing.shadow import Shadow


@dataclass(frozen=True, slots=True)
class Learned:
    """What a lead says that its record does not: a record names the company by the rules of its own version."""

    domain: str
    custom: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as JSON data. `learned`: what it does not say; `gone`: it does not, and nobody knows any more."""

    written: Mapping[str, Any]
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

    def count(self, steps: Iterable[tuple[str, str]], passed: Iterable[str]) -> None:
        """Count one decision by its steps and the codes of those passed over."""
        for code, _ in steps:
            self.no_rule += code == "no_rule"
            self.fallback += code == "fallback"
            self.held += code == "hold"
        self.capped += any(code.startswith("cap_") for code in passed)


@dataclass(frozen=True, slots=True)
class Report:
    """What would be different. `assumed` counts decisions for which something had to be assumed."""

    decisions: int
    leads: int
    assumed: int
    moved: tuple[Moved, ...]
    before: Outcome
    after: Outcome


def beginnings(records: Iterable[Mapping[str, Any]], draft: RuleSet) -> dict[str, Standing]:
    """Return people's standings as the records first show them, until everybody who shares leads has been seen."""
    wanted = {member.person for pool in draft.pools.values() for member in pool.members}
    found: dict[str, Standing] = {}
    for written in records:
        if not written["book"].keys() <= found.keys():
            found = recorded(written)[1] | found
            if wanted <= found.keys():
                break
    return found


def tells_all(version: RuleSet, draft: RuleSet) -> bool:
    """Tell whether the records of a version say all of a lead that the draft asks for."""
    return _domains(draft).items() <= _domains(version).items() and _custom(draft) <= _custom(version)


def _domains(rule_set: RuleSet) -> dict[str, tuple[object, ...]]:
    tests = {rule.key: tuple(c for c in rule.conditions if c.field == "domain") for rule in rule_set.rules}
    return {key: found for key, found in tests.items() if found}


def _custom(rule_set: RuleSet) -> set[str]:
    fields = {test.field for rule in rule_set.rules for test in rule.conditions}
    return {name for name in fields if name.startswith("custom.")}


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
        #: Of each lead, for each decision in order: its owner then, and under the draft.
        self._owners: dict[str, tuple[tuple[str | None, str | None], ...]] = {}
        self._moved: dict[str, Moved] = {}
        self._before, self._after = Outcome(), Outcome()
        self._decisions = self._assumed = 0

    def take(self, entry: Entry) -> None:
        """Decide the next lead anew. Records come in order, none left out."""
        written = entry.written
        case, shown = recorded(written)
        past = self._owners.get(case.lead, ())
        then, now = past[-1] if past else (None, None)
        found_one = now is not None and then is None
        self._shadow.release(then, None if found_one else now)
        self._shadow.stand_before(case, written["seq"], shown)
        decision = None if found_one else self._decide(case, past, entry)
        owner = now if decision is None else decision.owner
        self._compare(written, decision, owner)
        self._owners[case.lead] = (*past, (written["owner"], owner))
        self._post(written, decision)

    def report(self) -> Report:
        """Return what is different so far."""
        for history in self._owners.values():
            then, now = history[-1]
            self._before.owners[then or ""] += 1
            self._after.owners[now or ""] += 1
        moved = tuple(sorted(self._moved.values(), key=lambda each: each.seq))
        return Report(self._decisions, len(self._owners), self._assumed, moved, self._before, self._after)

    def _decide(self, case: Case, past: tuple[tuple[str | None, str | None], ...], entry: Entry) -> Decision:
        if case.excluded:
            instead = dict(past)
            had = tuple(dict.fromkeys(filter(None, (instead.get(person, person) for person in case.excluded))))
            case = replace(case, excluded=had)
        if entry.learned is not None:
            case = replace(case, facets=self._known(case.facets, entry.learned))
        decision = decide(case, self._draft, self._shadow)
        self._assumed += self._shadow.assumed or entry.gone
        return decision

    def _known(self, facets: Facets, learned: Learned) -> Facets:
        custom = {name: learned.custom[name] for name in self._draft.custom_fields if name in learned.custom}
        return replace(facets, custom=custom, domain_rules=tuple(sorted(self._draft.domain_rules(learned.domain))))

    def _compare(self, written: Mapping[str, Any], decision: Decision | None, owner: str | None) -> None:
        self._decisions += 1
        self._before.count(written["steps"], [code for code, _ in written["passed"].values()])
        if decision is not None:
            self._after.count(decision.steps, [each.code for each in decision.passed])
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

    def _post(self, written: Mapping[str, Any], decision: Decision | None) -> None:
        seq, owner = written["seq"], written["owner"]
        balances = {person: posting[3] for person, posting in written["postings"].items()}
        grants = {person: Grant(*grant) for person, grant in written.get("grants", {}).items()}
        self._shadow.post_then(balances, owner, seq, grants)
        if decision is not None:
            self._shadow.post(decision.balances, decision.owner, seq, grants=decision.grants, tags=decision.tags)
