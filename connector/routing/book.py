"""What a decision reads of the people at one instant: balances, open leads, caps, presence, debts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

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


class Standing(NamedTuple):
    """One person's row of the ledger. `balance` in billionths of a turn; positive is owed."""

    balance: int = 0
    last_seq: int = 0
    open_leads: int = 0
    paused: bool = False
    grant: Grant = NO_GRANT
    presence: Presence = HERE
    windows: Mapping[str, Window] = MappingProxyType({})


NEWCOMER = Standing()


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
        known = self._standings.get(person, NEWCOMER)
        if self._presence is not None:
            known = known._replace(presence=self._presence(person), windows=self._rings.windows(person))
        self[person] = known
        return known


class Book:
    """Standings by person, kept current while a batch is decided under the ledger lock.

    `presence` is asked once for everybody a decision looks at; `rings` know the rolling caps.
    """

    def __init__(
        self,
        standings: Mapping[str, Standing],
        decisions: int,
        *,
        presence: Callable[[str], Presence] | None = None,
        rings: Rings = NO_RINGS,
    ) -> None:
        self._rows = _Rows(standings, presence, rings)
        self._rings = rings
        self._changed: set[str] = set()
        self.decisions = decisions
        #: Person, lead and tags of what was assigned since.
        self.assigned: list[tuple[str, str, tuple[str, ...]]] = []

    def standing(self, person: str) -> Standing:
        """Return a person's standing; somebody never seen stands at zero."""
        return self._rows[person]

    def post(
        self,
        balances: Mapping[str, int],
        owner: str | None,
        seq: int,
        *,
        lead: str = "",
        grants: Mapping[str, Grant] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Enter a decision: new balances and grants, and one more lead for its owner."""
        rows = self._rows
        for person, balance in balances.items():
            rows[person] = tuple.__new__(Standing, (balance, *rows[person][1:]))
        self._changed.update(balances)
        for person, grant in (grants or {}).items():
            self._put(person, self.standing(person)._replace(grant=grant))
        if owner is not None:
            self.assigned.append((owner, lead, tags))
            before = self.standing(owner)
            charged = seq if owner in balances else before.last_seq
            windows = self._rings.added(owner, tags) or before.windows
            self._put(owner, before._replace(last_seq=charged, open_leads=before.open_leads + 1, windows=windows))
        self.decisions = seq

    def correct(self, amounts: Mapping[str, int]) -> None:
        """Add amounts to balances beside any decision; they sum to zero."""
        for person, amount in amounts.items():
            known = self.standing(person)
            self._put(person, known._replace(balance=known.balance + amount))

    def shift_open(self, person: str, by: int) -> None:
        """Add to somebody's open leads, or take from them: a lead that is decided anew is nobody's meanwhile."""
        before = self.standing(person)
        self._put(person, before._replace(open_leads=before.open_leads + by))

    def changes(self) -> dict[str, Standing]:
        """Return the rows that are no longer what they were."""
        return {person: self._rows[person] for person in sorted(self._changed)}

    def _put(self, person: str, standing: Standing) -> None:
        self._rows[person] = standing
        self._changed.add(person)
