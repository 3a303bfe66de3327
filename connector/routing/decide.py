"""The decision: existing owner, then territory rules, then a pool's fair turn, else hold or fall back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connector.model.lead import Facets
from connector.model.routing import Member, Pool, Rep, Rule, RuleSet
from connector.routing.book import Book, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.ledger import Contender, Posting, take_turn


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
class Case:
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


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody who was passed over, with a code and the fact behind it."""

    person: str
    code: str
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
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
    postings: tuple[Posting, ...] = ()
    passed: tuple[Passed, ...] = ()

    @property
    def balances(self) -> dict[str, int]:
        """Return the new balance of everyone the turn was posted to."""
        return {posting.person: posting.after for posting in self.postings}


def decide(case: Case, rules: CompiledRules, book: Book) -> Decision:
    """Decide one lead. A pure function of case, rule set and book (promise P4); the book is not changed."""
    return _Deciding(case, rules, book).decide()


class _Deciding:
    """One decision in the making: what has been tried so far, and who was passed over."""

    def __init__(self, case: Case, rules: CompiledRules, book: Book) -> None:
        self.case = case
        self.rules = rules
        self.rule_set = rules.rule_set
        self.book = book
        self.steps: list[tuple[str, str]] = []
        self.passed: dict[str, Passed] = {}

    def decide(self) -> Decision:
        if self._keeps_owner():
            return self._assigned(self.case.known.owner)
        rule = self.rules.first(self.case.facets, self.case.at.date())
        if rule is None:
            self._note("no_rule")
            return self._fall_back()
        self._note("rule", rule.key)
        return self._by_rule(rule)

    def _note(self, code: str, detail: str = "") -> None:
        self.steps.append((code, detail))

    def _keeps_owner(self) -> bool:
        known = self.case.known
        if not known.owner or known.kind not in self.rule_set.matching:
            return False
        obstacle = self._obstacle(known.owner)
        if obstacle is None:
            self._note("existing_owner", f"{known.kind}:{known.record}")
            return True
        self._note("existing_owner_passed", f"{known.owner}:{obstacle.code}")
        self.passed[known.owner] = obstacle
        return False

    def _by_rule(self, rule: Rule) -> Decision:
        first = self._pool_of(rule)
        pool: Pool | None = first
        tried: set[str] = set()
        while pool is not None and pool.key not in tried:
            tried.add(pool.key)
            eligible = self._eligible(pool)
            if eligible:
                return self._turn(rule, pool, eligible)
            self._note("nobody_eligible", pool.key)
            pool = self.rule_set.pools.get(pool.overflow) if pool.overflow else None
        if self.case.waited_out:
            self._note("waited_out", f"{round(self.rule_set.max_hold.total_seconds())}s")
            return self._fall_back()
        self._note("hold", first.key)
        return self._decision(Result.HELD, rule=rule.key, pool=first.key)

    def _pool_of(self, rule: Rule) -> Pool:
        """Return the rule's pool; a rule that names a rep is a pool of one."""
        if rule.pool is not None:
            return self.rule_set.pools[rule.pool]
        return Pool(key=f"rep:{rule.rep}", members=(Member(str(rule.rep), 1),))

    def _eligible(self, pool: Pool) -> list[Member]:
        eligible = []
        for member in pool.members:
            obstacle = self._obstacle(member.person)
            if obstacle is None:
                eligible.append(member)
            else:
                self.passed[member.person] = obstacle
        return eligible

    def _obstacle(self, person: str) -> Passed | None:
        """Return the first reason why this person cannot take the lead; None when nothing is in the way."""
        if person in self.case.excluded:
            return Passed(person, "excluded_prior_owner")
        return obstacle(person, self.rule_set.reps.get(person), self.book.standing(person))

    def _turn(self, rule: Rule, pool: Pool, eligible: list[Member]) -> Decision:
        standings = [(member, self.book.standing(member.person)) for member in eligible]
        owner, postings = take_turn(
            [Contender(m.person, m.weight, standing.balance, standing.last_seq) for m, standing in standings]
        )
        self._note("turn", pool.key)
        return self._assigned(owner, rule=rule, pool=pool.key, postings=postings)

    def _fall_back(self) -> Decision:
        self._note("fallback", self.rule_set.fallback)
        return self._assigned(self.rule_set.fallback)

    def _assigned(
        self, owner: str, *, rule: Rule | None = None, pool: str | None = None, postings: tuple[Posting, ...] = ()
    ) -> Decision:
        return self._decision(
            Result.ASSIGNED,
            owner=owner,
            connection=self._connection(owner, rule),
            rule=rule.key if rule else None,
            pool=pool,
            postings=postings,
        )

    def _connection(self, owner: str, rule: Rule | None) -> str:
        """Choose the connection: the rule's, else the matched record's, else the rep's first."""
        available = self.rule_set.reps[owner].connections
        wanted = (rule.connection if rule else None, self.case.known.connection)
        return next((c for c in wanted if c in available), available[0])

    def _decision(
        self,
        result: Result,
        *,
        owner: str | None = None,
        connection: str | None = None,
        rule: str | None = None,
        pool: str | None = None,
        postings: tuple[Posting, ...] = (),
    ) -> Decision:
        return Decision(
            case=self.case,
            seq=self.book.decisions + 1,
            rule_set=self.rule_set.hash,
            result=result,
            steps=tuple(self.steps),
            owner=owner,
            connection=connection,
            pool=pool,
            rule=rule,
            postings=postings,
            passed=tuple(self.passed.values()),
        )


def obstacle(person: str, rep: Rep | None, standing: Standing) -> Passed | None:
    """Return why a person may receive no lead at all right now, first reason only; None when they may."""
    if rep is None:
        return Passed(person, "not_a_rep")
    if not rep.active:
        return Passed(person, "inactive")
    if not rep.connections:
        return Passed(person, "crm_unlinked")
    if standing.paused:
        return Passed(person, "paused", "overdue follow-up")
    if rep.max_open is not None and standing.open_leads >= rep.max_open:
        return Passed(person, "cap_open", f"{standing.open_leads}/{rep.max_open}")
    return None


def pool_has_room(pool: str, rule_set: RuleSet, book: Book) -> bool:
    """Tell whether somebody in the pool, or where it overflows to, could take a lead now."""
    seen: set[str] = set()
    key: str | None = pool
    while key is not None and key not in seen:
        seen.add(key)
        people = [key.removeprefix("rep:")] if key.startswith("rep:") else [m.person for m in _members(rule_set, key)]
        if any(obstacle(person, rule_set.reps.get(person), book.standing(person)) is None for person in people):
            return True
        known = rule_set.pools.get(key)
        key = known.overflow if known else None
    return False


def _members(rule_set: RuleSet, pool: str) -> tuple[Member, ...]:
    known = rule_set.pools.get(pool)
    return known.members if known else ()
