"""The holding queue: a waiting lead gets its owner the moment somebody has room."""

from dataclasses import dataclass

from connector.flows import route, write
from connector.flows.offers import offer
from connector.routing.book import Book
from connector.routing.decide import Case, Result
from connector.routing.eligible import pool_has_room
from connector.services import Active, Services
from connector.store import Transaction, commands, decisions, leads, responses
from connector.store.leads import LeadRow

LIMIT = 200


def work(services: Services) -> int:
    """Drain the holding queue as far as capacity goes; return how many leads found an owner."""
    total, place = 0, None
    while True:
        looked = _work_batch(services, place)
        total += looked.assigned
        place = looked.place
        if place is None:
            return total


def seconds_to_next(services: Services) -> float | None:
    """Return in how many seconds a waiting lead is next worth a look, None when that is not known."""
    with services.store.transaction() as tx:
        wake_at = leads.next_wake(tx, tx.now())
        return None if wake_at is None else (wake_at - tx.now()).total_seconds()


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at some waiting leads: how many found an owner, and where to go on, None at the end."""

    assigned: int
    place: leads.Place | None


def _work_batch(services: Services, place: leads.Place | None) -> Looked:
    with services.store.transaction() as tx:
        if not leads.held_pools(tx):
            return Looked(0, None)
        active = services.active(tx)
        book = route.load_book(tx, active)
        looked = drain(tx, active, book, place)
        route.save_book(tx, book)
        if looked.assigned:
            tx.after_commit(lambda: services.wake("commands"))
        return looked


def drain(tx: Transaction, active: Active, book: Book, place: leads.Place | None = None) -> Looked:
    """Assign waiting leads while the ledger is locked, oldest first; an ineligible head never blocks."""
    waiting = leads.held_pools(tx)
    if not waiting:
        return Looked(0, None)
    roomy = [pool for pool in waiting if _worth_a_try(active, book, pool)]
    rows = leads.held(tx, roomy, tx.now(), LIMIT, place)
    assigned = sum(_try(tx, active, book, row) for row in rows)
    return Looked(assigned, (rows[-1].created_at, rows[-1].id) if len(rows) == LIMIT else None)


def _worth_a_try(active: Active, book: Book, pool: str) -> bool:
    """Tell whether a pool has room, or is none any more: then the rules in force decide anew."""
    rule_set = active.rules.rule_set
    gone = pool not in rule_set.pools and not pool.startswith("rep:")
    return gone or pool_has_room(pool, rule_set, book)


def _try(tx: Transaction, active: Active, book: Book, row: LeadRow) -> bool:
    """Decide a waiting lead again; write something only if it finds an owner now."""
    waited_out = row.held_until is not None and row.held_until <= tx.now()
    if not waited_out and not _worth_a_try(active, book, str(row.pool)):
        return False
    lead = route.lead_from(row.data)
    case = Case(
        lead=str(row.id),
        assign_seq=row.assign_seq + 1,
        at=tx.now(),
        facets=route.facets(active, lead),
        snapshot=route.snapshot(row.data, row.salt),
        waited_out=waited_out,
    )
    previewed = route.preview(active, case, book)
    if previewed.result is Result.HELD:
        leads.wait_on(tx, row.id, previewed.wake_at)
        return False
    decision, decision_row, reason = route.decided(active, case, book)
    owner, connection = str(decision.owner), str(decision.connection)
    leads.assign(tx, row, owner=owner, connection=connection, pool=decision.pool, reason=reason, now=tx.now())
    decisions.insert(tx, [decision_row])
    offered = offer(active.settings, row.id, case.assign_seq, owner, tx.now())
    respond_by = offered.touch_due if offered else None
    responses.insert(tx, [offered] if offered else [])
    handover = write.Handover(row.id, lead, owner, connection, reason, row.correlation, tx.now(), respond_by)
    commands.put(tx, write.hand_over(active.settings, handover))
    return True
