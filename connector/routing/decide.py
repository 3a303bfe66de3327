"""The decision: the steps of the rule set in order, then the fallback owner."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from connector.model.lead import Facets
from connector.model.routing import Absence, Member, Pool, Rule, RuleSet, Step
from connector.routing import pacing
from connector.routing.book import Book, Grant, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.eligible import (
    REP,
    Demand,
    Passed,
    demand_of,
    eligible,
    obstacle,
    pool_of,
    stand_in,
)
from connector.routing.ledger import NO_TURN, Turn, take_turn


class Result(StrEnum):
    """How a decision ended."""

    ASSIGNED = "assigned"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Known:
    """The record whose owner may keep this lead, as matching found it. Ids and codes only."""

    verdict: str = "none"
    kind: str = ""
    record: str = ""
    owner: str = ""
    connection: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """Why a lead is decided anew: `cause` is the first step; `manager` gets it if no rep is left, or if `spent`."""

    cause: tuple[str, str]
    manager: str = ""
    connection: str = ""
    spent: bool = False


class Case(NamedTuple):
    """One lead to decide. `snapshot` is the salted hash of the lead's content; `at` is aware UTC."""

    lead: str
    assign_seq: int
    at: datetime
    facets: Facets
    known: Known = Known()
    snapshot: str = ""
    excluded: tuple[str, ...] = ()
    #: The lead waited longer than the rule set allows: the fallback owner takes it if nobody else can.
    waited_out: bool = False
    again: Again | None = None
    #: Whom a plan for the whole batch gives the turn, if they may still take the lead.
    chosen: str = ""


NO_GRANTS: Mapping[str, Grant] = MappingProxyType({})


class Decision(NamedTuple):
    """Who owns the lead and why. `steps` are (code, detail) in the order they were taken."""

    case: Case
    seq: int
    rule_set: str
    result: Result
    steps: tuple[tuple[str, str], ...]
    owner: str | None = None
    connection: str | None = None
    pool: str | None = None
    rule: str | None = None
    turn: Turn = NO_TURN
    passed: tuple[Passed, ...] = ()
    grants: Mapping[str, Grant] = NO_GRANTS
    #: Keys of the caps with conditions that the lead counts to.
    tags: tuple[str, ...] = ()

    @property
    def wake_at(self) -> datetime | None:
        """Return the first instant at which somebody passed over may be able to take the lead, if one is known."""
        known = [datetime.fromisoformat(each.again) for each in self.passed if each.again]
        return min(known, default=None)


def decide(case: Case, rules: CompiledRules, book: Book) -> Decision:
    """Decide one lead. A pure function of case, rule set and book (promise P4); the book is not changed."""
    return _Deciding(case, rules, book).decide()


class _Deciding:
    """One decision in the making: what has been tried so far, and who was passed over."""

    __slots__ = ("book", "case", "demand", "first", "passed", "pool", "rule", "rule_set", "steps")

    def __init__(self, case: Case, rules: CompiledRules, book: Book) -> None:
        self.case = case
        self.rule_set: RuleSet = rules.rule_set
        self.book = book
        self.steps: list[tuple[str, str]] = []
        self.passed: dict[str, Passed] = {}
        #: The first rule that fits; and the one whose step has been taken, its pool, and what the lead asks for.
        self.first = rules.first(case.facets, case.at.date())
        self.rule: Rule | None = None
        self.pool: Pool | None = None
        self.demand = demand_of(case.facets, self.first, self.rule_set, case.excluded)

    def decide(self) -> Decision:
        if self.case.again:
            self._note(*self.case.again.cause)
        if self.case.again and self.case.again.spent:
            self._note("moves_spent", str(len(self.case.excluded)))
            return self._escalate(self.case.again)
        for step in self.rule_set.steps:
            decision = _STEPS[step](self)
            if decision is not None:
                return decision
        if self.rule is None:
            self._note("no_rule")
        return self._fall_back()

    def _note(self, code: str, detail: str = "") -> None:
        self.steps.append((code, detail))

    def existing_owner(self) -> Decision | None:
        """Leave a known person with the owner of their record: open leads and leave count, rates do not."""
        known = self.case.known
        if not known.owner or known.kind not in self.rule_set.matching:
            return None
        asked = Demand(excluded=self.case.excluded, caps=None)
        found = obstacle(known.owner, self.rule_set.reps.get(known.owner), self.book.standing(known.owner), asked)
        if found is None:
            self._note("existing_owner", f"{known.kind}:{known.record}")
            return self._decision(known.owner)
        self._note("existing_owner_passed", f"{known.owner}:{found.code}")
        self.passed[known.owner] = found
        return self._delegated(known.owner, asked)

    def named_accounts(self) -> Decision | None:
        """Follow the first rule if it is for named companies."""
        return self._by_rule() if self.first is not None and self.first.names_accounts else None

    def territories(self) -> Decision | None:
        """Follow the first rule if it is a territory."""
        return self._by_rule() if self.first is not None and not self.first.names_accounts else None

    def overflow(self) -> Decision | None:
        """Try the pools the rule's pool overflows to."""
        pool, tried = self.pool, set[str]()
        while pool is not None and pool.overflow and pool.overflow not in tried:
            tried.add(pool.overflow)
            pool = self.rule_set.pools.get(pool.overflow)
            if pool is not None and pool != self.pool and (decision := self._by_pool(pool)) is not None:
                return decision
        return None

    def holding(self) -> Decision | None:
        """Let the lead wait for somebody of the rule's pool, but not for ever."""
        if self.rule is None or self.pool is None:
            return None
        if self.case.again and self.case.again.manager:
            return None
        if self.case.waited_out:
            self._note("waited_out", f"{round(self.rule_set.max_hold.total_seconds())}s")
            return None
        self._note("hold", self.pool.key)
        return self._decision(None, pool=self.pool.key)

    def _by_rule(self) -> Decision | None:
        rule = self.rule = self.first
        assert rule is not None
        self._note("rule", rule.key)
        self.pool = pool_of(rule.pool or f"{REP}{rule.rep}", self.rule_set)
        assert self.pool is not None
        return self._by_pool(self.pool)

    def _by_pool(self, pool: Pool) -> Decision | None:
        able, passed, opens_later = eligible(pool, self.rule_set, self.book, self.demand)
        self.passed |= {each.person: each for each in passed}
        if opens_later:
            self._note("next_open", pool.key)
        if able:
            return self._turn(pool, able)
        self._note("nobody_eligible", pool.key)
        return self._delegated(str(self.rule.rep), self.demand) if self.rule and self.rule.rep else None

    def _delegated(self, absent: str, demand: Demand) -> Decision | None:
        delegate, found = stand_in(absent, self.rule_set, self.book, demand)
        if delegate is None:
            return None
        if found is not None:
            self.passed[delegate] = found
            return None
        self._note("delegate", f"{absent}:{delegate}")
        return self._decision(delegate)

    def _turn(self, pool: Pool, able: list[Member]) -> Decision:
        """Give the lead to one of the able, as a turn of the pool."""
        if pool.absence is Absence.PACED:
            return self._paced_turn(pool, able)
        standings = self.book.standings([member.person for member in able])
        owner, turn = self._charged(pool, pacing.weights(able, standings), standings)
        return self._decision(owner, pool=pool.key, turn=turn)

    def _paced_turn(self, pool: Pool, able: list[Member]) -> Decision:
        """Give a turn while those on leave earn theirs, and those back from it catch up."""
        standings = self.book.standings(pool.people)
        weights = pacing.weights([*able, *self._away(pool)], standings)
        plain = {member.person: weights.pop(member.person) for member in able}
        owner, turn = self._charged(pool, pacing.boosted(plain, standings, self.case.at), standings)
        credited = dict(zip(turn.people, turn.shares, strict=True))
        grants = pacing.used(plain, credited, standings, self.case.at)
        grants |= pacing.earned(plain, weights, standings, self.case.at)
        return self._decision(owner, pool=pool.key, turn=turn, grants=grants)

    def _charged(self, pool: Pool, weights: Mapping[str, int], standings: Mapping[str, Standing]) -> tuple[str, Turn]:
        """Charge the turn to the one chosen for it, else to whoever is owed most."""
        chosen = self.case.chosen
        if chosen and chosen not in weights:
            self._note("at_once_passed", chosen)
            chosen = ""
        self._note("at_once" if chosen else "turn", pool.key)
        people = sorted(weights)
        rows = [standings[person] for person in people]
        balances, seqs = [row.balance for row in rows], [row.last_seq for row in rows]
        return take_turn(people, [weights[person] for person in people], balances, seqs, chosen)

    def _away(self, pool: Pool) -> list[Member]:
        passed = ((member, self.passed.get(member.person)) for member in pool.members)
        return [member for member, found in passed if found is not None and found.code == "on_leave"]

    def _escalate(self, again: Again) -> Decision:
        self._note("manager", again.manager)
        self.rule = None
        return self._decision(again.manager, connection=again.connection)

    def _fall_back(self) -> Decision:
        """Give the lead to the fallback owner; one that pools could not place again goes to the manager instead."""
        again, fallback = self.case.again, self.rule_set.fallback
        if again and again.manager and (self.rule is not None or fallback in self.case.excluded):
            return self._escalate(again)
        self._note("fallback", fallback)
        self.rule = None
        return self._decision(fallback)

    def _connection(self, owner: str) -> str:
        """Choose the connection: the rule's, else the matched record's, else the rep's first."""
        available = self.rule_set.reps[owner].connections
        wanted = self.rule.connection if self.rule else None
        if wanted not in available:
            wanted = self.case.known.connection
        return wanted if wanted in available else available[0]

    def _decision(
        self,
        owner: str | None,
        *,
        connection: str | None = None,
        pool: str | None = None,
        turn: Turn = NO_TURN,
        grants: Mapping[str, Grant] = NO_GRANTS,
    ) -> Decision:
        return Decision(
            case=self.case,
            seq=self.book.decisions + 1,
            rule_set=self.rule_set.hash,
            result=Result.HELD if owner is None else Result.ASSIGNED,
            steps=tuple(self.steps),
            owner=owner,
            connection=self._connection(owner) if owner is not None and connection is None else connection,
            pool=pool,
            rule=self.rule.key if self.rule else None,
            turn=turn,
            passed=tuple(self.passed.values()),
            grants=grants,
            tags=tuple(cap.key for cap in self.demand.caps or ()) if self.rule_set.caps else (),
        )


_STEPS: Mapping[Step, Callable[[_Deciding], Decision | None]] = {
    Step.EXISTING_OWNER: _Deciding.existing_owner,
    Step.NAMED_ACCOUNTS: _Deciding.named_accounts,
    Step.TERRITORIES: _Deciding.territories,
    Step.OVERFLOW: _Deciding.overflow,
    Step.HOLDING: _Deciding.holding,
}
