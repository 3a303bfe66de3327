"""The carpool ledger: each lead is a debt shared by those who could take it, the most-owed takes it.

Fagin and Williams, "A fair carpool scheduling algorithm", IBM J. Res. Dev. 27 (1983). With a fixed
group and fixed weights this is smooth weighted round robin; balances stay within (n-1)/2 turns.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from operator import add
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


# Twice as fast as calling the classes, and a decision has one of each for every candidate.
_CONTENDER = partial(tuple.__new__, Contender)
_POSTING = partial(tuple.__new__, Posting)


def contenders(
    people: Iterable[str], weights: Iterable[int], balances: Iterable[int], seqs: Iterable[int]
) -> list[Contender]:
    """Return who could take the lead, from one column for each of their facts."""
    return list(map(_CONTENDER, zip(people, weights, balances, seqs, strict=True)))


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


def take_turn(contenders: Sequence[Contender], chosen: str = "") -> tuple[str, tuple[Posting, ...]]:
    """Choose who takes the lead and post the turn; the sum of all balances does not change.

    Choice: highest balance after the share, then larger share, then longest without a turn, then id. One of the
    contenders may be `chosen` beforehand; the turn is posted alike.
    """
    people, weights, before, seqs = zip(*sorted(contenders), strict=True)
    credited = _shares(weights)
    after = list(map(add, before, credited))
    most = max(after)
    taker = people.index(chosen) if chosen else after.index(most)
    if not chosen and after.count(most) > 1:
        tied = [i for i, owed in enumerate(after) if owed == most]
        taker = min(tied, key=lambda i: (-credited[i], seqs[i], people[i]))
    after[taker] -= TURN
    return people[taker], tuple(map(_POSTING, zip(people, weights, credited, before, after, strict=True)))
