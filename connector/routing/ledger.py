"""The carpool ledger: each lead is a debt shared by those who could take it, the most-owed takes it.

Fagin and Williams, "A fair carpool scheduling algorithm", IBM J. Res. Dev. 27 (1983). With a fixed
group and fixed weights this is smooth weighted round robin; balances stay within (n-1)/2 turns.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

#: One turn, in the integer units of a balance.
TURN = 1_000_000_000


class Contender(NamedTuple):
    """Somebody who could take the lead."""

    person: str
    weight: int
    balance: int
    last_seq: int


class Posting(NamedTuple):
    """One contender's entry: the share credited, and the balance after the turn is charged."""

    person: str
    weight: int
    share: int
    before: int
    after: int


def shares(weights: Sequence[int]) -> list[int]:
    """Split one turn by weight into integers that sum to it exactly (largest remainder, then position).

    `weights` are positive and in order of person id, which breaks ties.
    """
    return list(_shares(tuple(weights)))


@lru_cache(maxsize=4096)
def _shares(weights: tuple[int, ...]) -> tuple[int, ...]:
    total = sum(weights)
    floors = [TURN * weight // total for weight in weights]
    missing = TURN - sum(floors)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(TURN * weights[i] % total), i))
    for index in by_remainder[:missing]:
        floors[index] += 1
    return tuple(floors)


def take_turn(contenders: Sequence[Contender]) -> tuple[str, tuple[Posting, ...]]:
    """Choose who takes the lead and post the turn; the sum of all balances does not change.

    Choice: highest balance after the share, then larger share, then longest without a turn, then id.
    """
    ordered = sorted(contenders)
    credited = _shares(tuple([c.weight for c in ordered]))
    owed = [c.balance + share for c, share in zip(ordered, credited, strict=True)]
    most = max(owed)
    chosen = min(
        (i for i, each in enumerate(owed) if each == most),
        key=lambda i: (-credited[i], ordered[i].last_seq, ordered[i].person),
    )
    postings = tuple(
        Posting(c.person, c.weight, share, c.balance, c.balance + share - (TURN if i == chosen else 0))
        for i, (c, share) in enumerate(zip(ordered, credited, strict=True))
    )
    return ordered[chosen].person, postings
