"""Small rule sets, books and leads for the routing tests."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.model.lead import Facets
from connector.model.routing import Condition, Member, Pool, Rep, Rule, RuleSet, Term
from connector.routing.book import Book, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, Decision, decide

AT = datetime(2026, 6, 9, 8, tzinfo=UTC)
NAMES = {"anna": "Anna Brandt", "bert": "Bert Nowicki", "cleo": "Cleo Seidel", "mona": "Mona Voss"}


def a_rep(person: str, *, active: bool = True, cap: int | None = None, connections: Sequence[str] = ("crm",)) -> Rep:
    return Rep(person, active, cap, tuple(connections))


def a_pool(key: str, members: Mapping[str, int], *, overflow: str | None = None) -> Pool:
    return Pool(key, tuple(Member(person, weight) for person, weight in members.items()), overflow)


def a_rule(key: str = "all", *conditions: Condition, pool: str | None = None, **more: Any) -> Rule:
    target = {"pool": pool or "north"} if "rep" not in more else {}
    return Rule(key=key, order=10, conditions=conditions, **target, **more)


def a_test(field: str, *terms: str, **more: Any) -> Condition:
    """Write a condition as in a cell: `x` equal, `!x` not, `a..b` range, `x*` prefix."""
    include = tuple(_term(term) for term in terms if not term.startswith("!"))
    exclude = tuple(_term(term[1:]) for term in terms if term.startswith("!"))
    return Condition(field, include, exclude, **more)


def _term(text: str) -> Term:
    low, dots, high = text.partition("..")
    return Term(low.removesuffix("*"), high if dots else None, low.endswith("*"))


def a_rule_set(
    *rules: Rule, pools: Sequence[Pool] | None = None, reps: Sequence[Rep] | None = None, **more: Any
) -> RuleSet:
    known = {rep.person: rep for rep in (reps or [a_rep(person) for person in NAMES])}
    some = pools if pools is not None else [a_pool("north", {"anna": 1, "bert": 1})]
    values = {"fallback": "mona", "max_hold": timedelta(hours=4), "hash": "v1", **more}
    return RuleSet(reps=known, pools={pool.key: pool for pool in some}, rules=rules or (a_rule(),), **values)


def a_case(**more: Any) -> Case:
    values: dict[str, Any] = {"lead": "lead-1", "assign_seq": 1, "at": AT, "facets": Facets(country="DE"), **more}
    return Case(**values)


def a_book(**standings: Standing) -> Book:
    return Book(standings, 0)


def decided(rule_set: RuleSet, book: Book | None = None, **case: Any) -> Decision:
    return decide(a_case(**case), CompiledRules(rule_set), book or a_book())


def post(book: Book, decision: Decision) -> None:
    book.post(decision.turn, decision.owner, decision.seq)
