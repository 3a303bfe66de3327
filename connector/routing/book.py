"""What a decision reads of the people at one instant: balances, open leads, debts."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """One person's row of the ledger. `balance` in billionths of a turn; positive is owed."""

    balance: int = 0
    last_seq: int = 0
    open_leads: int = 0
    paused: bool = False


NEWCOMER = Standing()


class Book:
    """Standings by person, kept current while a batch is decided under the ledger lock."""

    def __init__(self, standings: Mapping[str, Standing], decisions: int) -> None:
        self._standings = dict(standings)
        self._changed: set[str] = set()
        self.decisions = decisions

    def standing(self, person: str) -> Standing:
        """Return a person's standing; somebody never seen stands at zero."""
        return self._standings.get(person, NEWCOMER)

    def post(self, balances: Mapping[str, int], owner: str | None, seq: int) -> None:
        """Enter a decision: new balances, and one more open lead for its owner."""
        for person, balance in balances.items():
            known = self.standing(person)
            self._put(person, Standing(balance, known.last_seq, known.open_leads, known.paused))
        if owner is not None:
            before = self.standing(owner)
            charged = seq if owner in balances else before.last_seq
            self._put(owner, Standing(before.balance, charged, before.open_leads + 1, before.paused))
        self.decisions = seq

    def changes(self) -> dict[str, Standing]:
        """Return the rows that are no longer what they were."""
        return {person: self._standings[person] for person in sorted(self._changed)}

    def _put(self, person: str, standing: Standing) -> None:
        self._standings[person] = standing
        self._changed.add(person)
