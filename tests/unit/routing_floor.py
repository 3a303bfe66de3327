"""A sales floor over time: decisions one after another, each with the book as it stands at its instant."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from routing_cases import AT, a_case

from connector.model.routing import RuleSet
from connector.routing.book import HERE, Book, Presence, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Decision, decide
from connector.routing.rings import Rings, Taken, microseconds

Presences = Callable[[str, datetime], Presence]


class Floor:
    """People, what they were given and what they are owed."""

    def __init__(self, rule_set: RuleSet, presence: Presences = lambda _person, _at: HERE) -> None:
        self.rules = CompiledRules(rule_set)
        self.presence = presence
        self.standings: dict[str, Standing] = {}
        self.taken: dict[str, list[Taken]] = {}
        self.decisions: list[Decision] = []

    def book(self, at: datetime) -> Book:
        rings = Rings(self.rules.rule_set, self.taken, microseconds(at))
        return Book(self.standings, len(self.decisions), presence=lambda person: self.presence(person, at), rings=rings)

    def lead(self, at: datetime = AT, **case: Any) -> Decision:
        book = self.book(at)
        decision = decide(a_case(at=at, **case), self.rules, book)
        book.post(decision.turn, decision.owner, decision.seq, grants=decision.grants, tags=decision.tags)
        self.standings |= {
            person: Standing(row.balance, row.last_seq, row.open_leads, row.paused, row.grant)
            for person, row in book.changes().items()
        }
        if decision.owner:
            self.taken.setdefault(decision.owner, []).append((microseconds(at), decision.tags))
        self.decisions.append(decision)
        return decision

    @property
    def owners(self) -> list[str | None]:
        return [decision.owner for decision in self.decisions]

    @property
    def balances(self) -> Mapping[str, int]:
        return {person: standing.balance for person, standing in self.standings.items()}


def away(*people: str, until: datetime = AT) -> Presences:
    """Return who is on leave until an instant, with no one standing in."""
    return lambda person, at: Presence(until.isoformat()) if person in people and at < until else HERE
