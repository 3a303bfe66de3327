"""A batch of leads handed out all at once, so that the ledger ends as even as it can (requirement R42).

A minimum-cost flow lead -> eligible person -> sink, in which somebody's k-th lead costs 2k-1-2q turns, q being what
they are owed with the shares of the whole batch: its cost is the sum of all squared balances. Only the arcs to the
sink cost anything, so each shortest augmenting path ends at the most owed of those it reaches (successive shortest
paths; Ahuja, Magnanti and Orlin, "Network Flows", 1993, section 9.7). In whole numbers, because a decision must
come out the same for ever; the tests hold it to a solver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.model.routing import Member
from connector.routing.axis import bitmap, ranks
from connector.routing.ledger import TURN, shares


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead and everybody who could take it."""

    lead: str
    eligible: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Handout:
    """The owner of each lead, in the order they were given, None where no room was left; and every new balance."""

    owners: tuple[str | None, ...]
    balances: Mapping[str, int]


def hand_out(leads: Sequence[Waiting], balances: Mapping[str, int], room: Mapping[str, int]) -> Handout:
    """Give every lead an owner at once: first as many leads as there is room for, then even balances.

    `leads` are in order of importance: when room is short, the later ones are left over, and as in the ledger they
    are posted to nobody. `balances` are in the ledger's units, an absent one is 0; `room` is how many leads a person
    may still get, an absent one is no limit.
    """
    people = sorted({member.person for lead in leads for member in lead.eligible})
    limits = [room.get(person, len(leads)) for person in people]
    # The shares of a lead that is left over do no harm here: everybody it could reach is full, whatever they are owed.
    owners = _flow(_masks(leads, people), _credited(leads, people, balances), limits)
    placed = [lead for lead, owner in zip(leads, owners, strict=True) if owner is not None]
    owed = _credited(placed, people, balances)
    after = {person: owed[n] - owners.count(n) * TURN for n, person in enumerate(people)}
    return Handout(tuple(None if n is None else people[n] for n in owners), {**balances, **after})


def _masks(leads: Sequence[Waiting], people: Sequence[str]) -> list[int]:
    """Return who could take each lead, as the bits of their places."""
    places = {person: n for n, person in enumerate(people)}
    return [bitmap((places[member.person] for member in lead.eligible), len(people)) for lead in leads]


def _credited(leads: Sequence[Waiting], people: Sequence[str], balances: Mapping[str, int]) -> list[int]:
    """Return what each person is owed once the shares of all these leads are posted."""
    owed = {person: balances.get(person, 0) for person in people}
    split: dict[tuple[Member, ...], dict[str, int]] = {}
    for lead in leads:
        if lead.eligible not in split:
            members = sorted(lead.eligible, key=lambda member: member.person)
            parts = shares([member.weight for member in members]) if members else []
            split[lead.eligible] = {m.person: part for m, part in zip(members, parts, strict=True)}
        for person, part in split[lead.eligible].items():
            owed[person] += part
    return list(owed.values())


def _flow(masks: Sequence[int], owed: Sequence[int], room: Sequence[int]) -> list[int | None]:
    """Return the place of each lead's owner in the cheapest flow; leads are placed in order."""
    flow = _Flow(owed, room)
    for lead, mask in enumerate(masks):
        flow.place(lead, mask)
    owners: list[int | None] = [None] * len(masks)
    for person, held in enumerate(flow.held):
        for leads in held.values():
            for lead in leads:
                owners[lead] = person
    return owners


class _Flow:
    """The leads everybody holds so far, by who else could take them."""

    def __init__(self, owed: Sequence[int], room: Sequence[int]) -> None:
        self.held: list[dict[int, list[int]]] = [{} for _ in owed]
        self._owed = list(owed)
        self._room = list(room)

    def place(self, lead: int, mask: int) -> None:
        """Give a lead to the most owed person with room who can be reached; nobody may be."""
        via = self._reached(mask)
        ends = [person for person in via if self._room[person] > 0]
        if not ends:
            return
        person = max(ends, key=lambda n: (self._owed[n], -n))
        self._owed[person] -= TURN
        self._room[person] -= 1
        while step := via[person]:
            giver, kind = step
            self._put(person, kind, self._take(giver, kind))
            person = giver
        self._put(person, mask, lead)

    def _reached(self, mask: int) -> dict[int, tuple[int, int] | None]:
        """Return who can take this lead, or a lead of somebody reached before them: from whom, and of which kind."""
        via: dict[int, tuple[int, int] | None] = dict.fromkeys(ranks(mask))
        seen, queue = mask, list(via)
        for giver in queue:
            for kind in self.held[giver]:
                for person in ranks(kind & ~seen):
                    via[person] = giver, kind
                    queue.append(person)
                seen |= kind
        return via

    def _put(self, person: int, kind: int, lead: int) -> None:
        self.held[person].setdefault(kind, []).append(lead)

    def _take(self, person: int, kind: int) -> int:
        leads = self.held[person][kind]
        lead = leads.pop()
        if not leads:
            del self.held[person][kind]
        return lead
