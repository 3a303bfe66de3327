"""The holding queue: a waiting lead gets its owner the moment somebody has room.

Whatever may give room announces it in the transaction that does (`announce`), and what time brings stands on the
leads as `wake_at`. A look at the queue that assigns a lead with neither has made up for a fault of ours; it is
counted as `sweep_found`, which must stay 0, and logged.

An announcement is a row: it outlives a lost wake-up and a killed worker, and is taken off only after the whole
queue was looked at by somebody who had read it first. So it does not matter which job comes first: what an event
is still to do is announced, and is no find of a sweep that overtakes it. Whether anything was announced is asked
last, after all that a decision reads, so that nothing is seen before its announcement. One find is nobody's: a
lead put on hold by the version before, while the next one was published and looked into.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from connector.flows import route, write
from connector.flows.offers import offer
from connector.routing.book import Book
from connector.routing.chances import next_chance
from connector.routing.decide import Case, Result
from connector.routing.eligible import REP, pool_has_room
from connector.services import Active, Services
from connector.store import Transaction, commands, decisions, held_news, leads, responses
from connector.store.leads import LeadRow

log = logging.getLogger(__name__)

LIMIT = 200
#: No later than this a sweep looks which leads wake next.
_SOON = timedelta(seconds=10)
#: Rolling caps say in whole seconds, rounded up, when they have room.
_ROUNDED = timedelta(seconds=1)


def announce(services: Services, tx: Transaction) -> None:
    """Let the queue be looked at after the commit: this transaction may have given a waiting lead room."""
    held_news.note(tx)
    tx.after_commit(lambda: services.wake("held"))


def work(services: Services) -> int:
    """Drain the holding queue as far as capacity goes; return how many leads found an owner."""
    total, place = 0, None
    with services.store.transaction() as tx:
        news = held_news.read(tx)
    while True:
        looked = _work_batch(services, place, news)
        total += looked.assigned
        place = looked.place
        if place is None:
            return total


def now(services: Services) -> datetime:
    """Return the instant, for `seconds_to_next`."""
    with services.store.transaction() as tx:
        return tx.now()


def seconds_to_next(services: Services, since: datetime) -> float | None:
    """Return in how many seconds a waiting lead is next worth a look, None when that is not known.

    `since` is before the last look: what came due meanwhile is worth one at once.
    """
    with services.store.transaction() as tx:
        wake_at = leads.next_wake(tx, since)
        return None if wake_at is None else max(0.0, (wake_at - tx.now()).total_seconds())


def wakes_soon(wake_at: datetime | None, now: datetime) -> bool:
    """Tell a lead that may wake before a sweep looks at the queue."""
    return wake_at is not None and wake_at - now < _SOON


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at some waiting leads: how many found an owner, and where to go on, None at the end."""

    assigned: int
    place: leads.Place | None


def _work_batch(services: Services, place: leads.Place | None, news: Sequence[int]) -> Looked:
    with services.store.transaction() as tx:
        # With news, wait for the ledger: whoever holds it may be putting a lead on hold.
        if not news and not leads.held_pools(tx):
            return Looked(0, None)
        active = services.active(tx)
        book = route.load_book(tx, active)
        looked = drain(tx, active, book, place)
        route.save_book(tx, book)
        if looked.place is None:
            _foresee(tx, active, book)
            held_news.forget(tx, news)
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
    assigned = [row for row in rows if _try(tx, active, book, row)]
    _tell_found(tx, [row.id for row in assigned if not _waited_out(row, tx.now())])
    return Looked(len(assigned), (rows[-1].created_at, rows[-1].id) if len(rows) == LIMIT else None)


def _tell_found(tx: Transaction, assigned: Sequence[UUID]) -> None:
    """Count the leads among those that nothing had announced."""
    found = held_news.unannounced(tx, assigned, tx.now() + _ROUNDED) if assigned else []
    if found:
        held_news.count_found(tx, len(found))
        log.warning("waiting leads found an owner unannounced", extra={"leads": [str(lead) for lead in found]})


def _foresee(tx: Transaction, active: Active, book: Book) -> None:
    """Note on the leads of pools without room when that may change; what else they wait for was not looked at."""
    for pool in leads.held_pools(tx):
        if not _worth_a_try(active, book, pool):
            chance = next_chance(pool, active.rules.rule_set, book)
            leads.foresee(tx, pool, _sooner(chance, _stand_in(active, pool, tx.now())), tx.now())


def _stand_in(active: Active, pool: str, now: datetime) -> datetime | None:
    """Return when somebody may begin to stand in for a rep whom a rule names; None: never.

    Where leaves overlap, that of the second takes over when the first one ends.
    """
    leaves = active.settings.leaves.get(pool.removeprefix(REP), ()) if pool.startswith(REP) else ()
    return min((at for leave in leaves for at in (leave.starts, leave.ends) if at > now), default=None)


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


def _worth_a_try(active: Active, book: Book, pool: str) -> bool:
    """Tell whether a pool has room, or is none any more: then the rules in force decide anew."""
    rule_set = active.rules.rule_set
    gone = pool not in rule_set.pools and not pool.startswith(REP)
    return gone or pool_has_room(pool, rule_set, book)


def _waited_out(row: LeadRow, now: datetime) -> bool:
    return row.held_until is not None and row.held_until <= now


def _try(tx: Transaction, active: Active, book: Book, row: LeadRow) -> bool:
    """Decide a waiting lead again; write something only if it finds an owner now."""
    waited_out = _waited_out(row, tx.now())
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
        leads.wait_on(tx, row.id, _sooner(previewed.wake_at, _stand_in(active, str(previewed.pool), tx.now())))
        return False
    decision, decision_row, reason = route.decided(active, case, book)
    owner, connection = str(decision.owner), str(decision.connection)
    leads.assign(tx, row, owner=owner, connection=connection, pool=decision.pool, reason=reason, now=tx.now())
    decisions.insert(tx, [decision_row])
    offered = offer(active.settings, row.id, case.assign_seq, owner, tx.now(), connection)
    respond_by = offered.touch_due if offered else None
    responses.insert(tx, [offered] if offered else [])
    handover = write.Handover(row.id, lead, owner, connection, reason, row.correlation, tx.now(), respond_by)
    commands.put(tx, write.hand_over(active.settings, handover))
    return True
