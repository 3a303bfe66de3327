"""A plan for leads that are decided together: who takes which turn, so that all balances end as even as they can.

A plan is an input of each decision and no decision: whoever it chose gets the lead only if they may take it then.
It does not foresee overflow, nor caps for some leads only; leads it leaves over are decided like any other.
"""

from collections.abc import Sequence

from connector.model.routing import Member
from connector.routing.book import Book
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, Decision, decide
from connector.routing.optimal import Waiting, hand_out
from connector.routing.rings import UNUSED, caps_of


def plan(cases: Sequence[Case], rules: CompiledRules, book: Book) -> dict[str, str]:
    """Return the owner chosen for each lead that several people could take, by lead; the book is not changed.

    `cases` are in the order in which they will be decided: when room is short, the later ones are left over.
    """
    leads = [_waiting(decide(case, rules, book)) for case in cases]
    people = {member.person for lead in leads for member in lead.eligible}
    balances = {person: book.standing(person).balance for person in people}
    room = {person: left for person in people if (left := _room(person, rules, book)) is not None}
    owners = hand_out(leads, balances, room).owners
    return {
        lead.lead: owner for lead, owner in zip(leads, owners, strict=True) if owner is not None and lead.eligible[1:]
    }


def _waiting(decision: Decision) -> Waiting:
    """Return who could take the lead; an owner without a turn uses up room all the same, and evens out by itself."""
    turn = tuple(map(Member, decision.turn.people, decision.turn.weights))
    alone = (Member(decision.owner, 1),) if decision.owner else ()
    return Waiting(decision.case.lead, turn or alone)


def _room(person: str, rules: CompiledRules, book: Book) -> int | None:
    """Return how many leads somebody may still get, None: any number."""
    rep, standing = rules.rule_set.reps.get(person), book.standing(person)
    caps = [cap for cap in caps_of(rules.rule_set, person) if not cap.conditions]
    left = [cap.limit - standing.windows.get(cap.key, UNUSED).used for cap in caps]
    if rep is not None and rep.max_open is not None:
        left.append(rep.max_open - standing.open_leads)
    return max(0, min(left)) if left else None
