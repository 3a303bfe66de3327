"""What a decision reads of the people at one instant: balances, open leads, caps, presence, debts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True, slots=True)
class Standing:
    """One person's row of the ledger. `balance` in billionths of a turn; positive is owed."""

    balance: int = 0
    last_seq: int = 0
    open_leads: int = 0
    paused: bool = False
    grant: Grant = NO_GRANT
    presence: Presence = HERE
    windows: Mapping[str, Window] = field(default_factory=dict)


NEWCOMER = Standing()


def _here(_person: str) -> Presence:
    return HERE


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
        self._standings = dict(standings)
        self._presence = presence
        self._present: set[str] = set()
        self._rings = rings
        self._changed: set[str] = set()
        self.decisions = decisions

    def standing(self, person: str) -> Standing:
        """Return a person's standing; somebody never seen stands at zero."""
        known = self._standings.get(person, NEWCOMER)
        if self._presence is None or person in self._present:
            return known
        self._present.add(person)
        complete = replace(known, presence=self._presence(person), windows=self._rings.windows(person))
        self._standings[person] = complete
        return complete

    def post(
        self,
        balances: Mapping[str, int],
        owner: str | None,
        seq: int,
        *,
        grants: Mapping[str, Grant] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Enter a decision: new balances and grants, and one more lead for its owner."""
        for person, balance in balances.items():
            self._put(person, replace(self.standing(person), balance=balance))
        for person, grant in (grants or {}).items():
            self._put(person, replace(self.standing(person), grant=grant))
        if owner is not None:
            before = self.standing(owner)
            charged = seq if owner in balances else before.last_seq
            windows = self._rings.added(owner, tags) or before.windows
            after = replace(before, last_seq=charged, open_leads=before.open_leads + 1, windows=windows)
            self._put(owner, after)
        self.decisions = seq

    def changes(self) -> dict[str, Standing]:
        """Return the rows that are no longer what they were."""
        return {person: self._standings[person] for person in sorted(self._changed)}

    def _put(self, person: str, standing: Standing) -> None:
        self._standings[person] = standing
        self._changed.add(person)
