"""New leads of a batch that is to be handed out at once: plan who gets which, before any of them is decided."""

from collections.abc import Mapping, Sequence

from connector.flows import route
from connector.flows.route import Matched
from connector.routing.book import Book
from connector.routing.handout import plan
from connector.services import Active
from connector.store import Transaction


def chosen(tx: Transaction, active: Active, matched: Sequence[Matched], book: Book) -> Mapping[str, str]:
    """Return the owners a plan gives the marked leads of a transaction, by lead; the ledger is locked."""
    marked = [m for m in matched if m.prepared.at_once and m.joins is None and not m.prepared.submission.is_test]
    if not marked:
        return route.NOBODY_CHOSEN
    return plan([route.case_of(tx, active, m) for m in marked], active.rules, book)
