"""What a decision reads of the people at one instant: balances, open leads, caps, presence, debts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from connector.routing.ledger import Turn
from connector.routing.rings import NO_RINGS, Rings, Window


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether somebody is there. Instants are ISO 8601 in UTC; empty: not away, or at work."""

    #: On leave until then, and who stands in.
    leave_until: str = ""
    delegate: str = ""
    #: Outside their working hours, which begin again then.
    opens: str = ""
    #: How much of their weight counts, in percent: less while they are new.
    percent: int = 100


HERE = Presence()


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may catch up on after a leave, in billionths of a turn, and until when (ISO 8601 in UTC)."""

    units: int = 0
    until: str = ""


NO_GRANT = Grant()


NOBODY: Mapping[str, int] = MappingProxyType({})
UNUSED_CAPS: Mapping[str, Window] = MappingProxyType({})


@dataclass(slots=True)
class Standing:
    """One person's row of the ledger. `balance` in billionths of a turn; positive is owed."""

    balance: int = 0
    last_seq: int = 0
    open_leads: int = 0
    paused: bool = False
    grant: Grant = NO_GRANT
    presence: Presence = HERE
    windows: Mapping[str, Window] = field(default_factory=lambda: UNUSED_CAPS)

    def copied(self) -> "Standing":
        """Return a row of its own with the same facts."""
        return Standing(
            self.balance, self.last_seq, self.open_leads, self.paused, self.grant, self.presence, self.windows
        )


class _Rows(dict[str, Standing]):
    """Standings, completed when they are first looked at."""

    def __init__(
        self, standings: Mapping[str, Standing], presence: Callable[[str], Presence] | None, rings: Rings
    ) -> None:
        super().__init__()
        self._standings = standings
        self._presence = presence
        self._rings = rings

    def __missing__(self, person: str) -> Standing:
        known = self._standings.get(person)
        row = self[person] = known.copied() if known else Standing()
        if self._presence is not None:
            row.presence, row.windows = self._presence(person), self._rings.windows(person)
        return row


class Book:
    """Standings by person, kept current while a batch is decided under the ledger lock.

    `presence` is asked once for everybody a decision looks at; `rings` know the rolling caps. `born` says how many of
    somebody's open leads are the CRM's own: they count like ours, and are not the ledger's to write.
    """

    def __init__(
        self,
        standings: Mapping[str, Standing],
        decisions: int,
        *,
        presence: Callable[[str], Presence] | None = None,
        rings: Rings = NO_RINGS,
        born: Mapping[str, int] = NOBODY,
    ) -> None:
        self.born = born
        self._rows = _Rows(standings, presence, rings)
        self._rings = rings
        self._changed: set[str] = set()
        self.decisions = decisions
        #: Person, lead and tags of what was assigned since.
        self.assigned: list[tuple[str, str, tuple[str, ...]]] = []

    def standing(self, person: str) -> Standing:
        """Return a person's standing; somebody never seen stands at zero."""
        return self._rows[person]

    def standings(self, people: Iterable[str]) -> dict[str, Standing]:
        """Return the standings of some people, in their order."""
        rows = self._rows
        return {person: rows[person] for person in people}

    def post(
        self,
        turn: Turn,
        owner: str | None,
        seq: int,
        *,
        lead: str = "",
        grants: Mapping[str, Grant] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Enter a decision: its turn and grants, and one more lead for its owner."""
        rows = self._rows
        for person, balance in zip(turn.people, turn.after, strict=True):
            rows[person].balance = balance
        self._changed.update(turn.people)
        for person, grant in (grants or {}).items():
            self._row(person).grant = grant
        if owner is not None:
            self.assigned.append((owner, lead, tags))
            row = self._row(owner)
            row.open_leads += 1
            row.last_seq = seq if owner in turn.people else row.last_seq
            row.windows = self._rings.added(owner, tags) or row.windows
        self.decisions = seq

    def correct(self, amounts: Mapping[str, int]) -> None:
        """Add amounts to balances beside any decision; they sum to zero."""
        for person, amount in amounts.items():
            self._row(person).balance += amount

    def shift_open(self, person: str, by: int) -> None:
        """Add to somebody's open leads, or take from them: a lead that is decided anew is nobody's meanwhile."""
        self._row(person).open_leads += by

    def changes(self) -> dict[str, Standing]:
        """Return the rows that are no longer what they were."""
        return {person: self._rows[person] for person in sorted(self._changed)}

    def _row(self, person: str) -> Standing:
        """Return a row that is about to change."""
        self._changed.add(person)
        return self._rows[person]
