"""The carpool ledger: each lead is a debt shared by those who could take it, the most-owed takes it.

Fagin and Williams, "A fair carpool scheduling algorithm", IBM J. Res. Dev. 27 (1983). With a fixed
group and fixed weights this is smooth weighted round robin; balances stay within (n-1)/2 turns.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import add
from typing import NamedTuple

#: One turn, in the integer units of a balance.
TURN = 1_000_000_000


class Turn(NamedTuple):
    """One lead's turn: a column for each fact of those who shared it, in order of person id.

    `shares` are what each was credited, `before` and `after` their balances; whoever took the lead is charged one turn.
    """

    people: tuple[str, ...] = ()
    weights: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


#: Nobody was charged.
NO_TURN = Turn()


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


def take_turn(
    people: Sequence[str], weights: Sequence[int], balances: Sequence[int], seqs: Sequence[int], chosen: str = ""
) -> tuple[str, Turn]:
    """Choose who takes the lead and charge the turn; the sum of all balances does not change.

    People are in order of their ids, with their weights, balances and the number of their last turn. Choice: highest
    balance after the share, then larger share, then longest without a turn, then id. One of them may be `chosen`
    beforehand; the turn is charged alike.
    """
    weighed = tuple(weights)
    credited = _shares(weighed)
    after = list(map(add, balances, credited))
    most = max(after)
    taker = people.index(chosen) if chosen else after.index(most)
    if not chosen and after.count(most) > 1:
        tied = [i for i, owed in enumerate(after) if owed == most]
        largest = max([credited[i] for i in tied])
        taker = min([i for i in tied if credited[i] == largest], key=seqs.__getitem__)
    after[taker] -= TURN
    return people[taker], Turn(tuple(people), weighed, credited, tuple(balances), tuple(after))
