"""Boxes: in each field a set of cells, written as the bits of a number."""

from collections.abc import Iterator, Sequence
from math import prod

Box = tuple[int, ...]

#: How often a box may be split before the search gives up (routing reference, section 6).
BUDGET = 50_000


class OverBudgetError(Exception):
    """The boxes overlap in too many ways to tell."""


def remainder(box: Box, others: Sequence[Box], *, budget: int = BUDGET) -> Box | None:
    """Return a part of the box that none of the others meets; None when they cover it.

    Raises:
        OverBudgetError: the box had to be split more often than the budget allows.
    """
    shared = {tuple(a & b for a, b in zip(box, other, strict=True)) for other in others}
    # The biggest first: what they leave is little, and mostly meets few of the others.
    others = sorted(filter(all, shared), key=_cells, reverse=True)
    pending = [(box, 0)]
    while pending:
        piece, start = pending.pop()
        found = next((n for n in range(start, len(others)) if _meet(piece, others[n])), None)
        if found is None:
            return piece
        pieces = list(_minus(piece, others[found]))
        budget -= len(pieces)
        if budget < 0:
            raise OverBudgetError
        pending += [(each, found + 1) for each in pieces]
    return None


def _meet(one: Box, other: Box) -> bool:
    for mine, theirs in zip(one, other, strict=True):  # noqa: SIM110 (a generator costs twice as much)
        if not mine & theirs:
            return False
    return True


def _cells(box: Box) -> tuple[int, Box]:
    return prod(mask.bit_count() for mask in box), box


def _minus(box: Box, other: Box) -> Iterator[Box]:
    for field, (mine, theirs) in enumerate(zip(box, other, strict=True)):
        if rest := mine & ~theirs:
            yield (*box[:field], rest, *box[field + 1 :])
            box = (*box[:field], mine & theirs, *box[field + 1 :])
