"""Corrections of the ledger beside decisions: a turn is given back, or moves to another owner (R9)."""

import json
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from connector.routing.ledger import TURN
from connector.store import Transaction, decisions, ledger
from connector.store.decisions import DecisionRow

MOVED = "moved by hand"


def given_back(tx: Transaction, lead: UUID, assign_seq: int) -> dict[str, int]:
    """Return the amounts that undo everything an assignment posted, to the unit; nothing if nobody was charged."""
    posted: Counter[str] = Counter()
    for row in _decision(tx, lead, assign_seq):
        posted.update({person: after - before for person, (_, _, before, after) in _postings(row).items()})
    for person, amount, _ in ledger.corrections(tx, lead, assign_seq):
        posted[person] += amount
    return {person: -amount for person, amount in sorted(posted.items()) if amount}


def move(tx: Transaction, lead: UUID, assign_seq: int, to: str) -> None:
    """Let the turn of a lead that somebody moved by hand be the new owner's; the ledger is locked."""
    payer = _payer(tx, lead, assign_seq)
    if payer is None or payer == to:
        return
    amounts = {payer: TURN, to: -TURN}
    ledger.correct(tx, lead, assign_seq, amounts, MOVED)
    for person, amount in sorted(amounts.items()):
        ledger.shift_balance(tx, person, amount)


def _payer(tx: Transaction, lead: UUID, assign_seq: int) -> str | None:
    """Return who was charged for an assignment, None if it cost nobody a turn."""
    payer = next((row.owner for row in _decision(tx, lead, assign_seq) if _postings(row)), None)
    moved = [person for person, amount, why in ledger.corrections(tx, lead, assign_seq) if why == MOVED and amount < 0]
    return moved[-1] if moved else payer


def _decision(tx: Transaction, lead: UUID, assign_seq: int) -> Iterable[DecisionRow]:
    return (row for row in decisions.of_lead(tx, lead) if row.assign_seq == assign_seq)


def _postings(row: DecisionRow) -> dict[str, list[int]]:
    postings: dict[str, list[int]] = json.loads(row.record)["postings"]
    return postings
