"""After the assignment: reminders while an owner owes a response, and the next owner when none came (R22, R24)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from connector.errors import StoreUnavailable
from connector.flows import charges, held, nudges, route, write
from connector.flows.offers import follow, is_observed, offer, promise
from connector.flows.staff import manager_of
from connector.model.crm import ObjectType
from connector.routing.book import Book
from connector.routing.decide import Again, Case, Decision, Known, Result
from connector.routing.response import OPEN, REFUNDED, State, breach, next_at, reminders_due
from connector.services import Active, Services
from connector.settings.values import Settings
from connector.store import Transaction, commands, decisions, leads, ledger, responses
from connector.store.commands import NewCommand
from connector.store.leads import LeadRow
from connector.store.responses import ResponseRow

log = logging.getLogger(__name__)

LIMIT = 200
ANSWERED = "rejected"
_REFUND = "given back"


#: How long what is due waits where nothing is written.
OBSERVED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Ended:
    """An assignment that is over, in a transaction that holds ledger and lead; `cause` is a decision's first step."""

    tx: Transaction
    active: Active
    lead: LeadRow
    row: ResponseRow
    cause: tuple[str, str]

    @property
    def earlier(self) -> tuple[str, ...]:
        """Return everybody who had the lead, in order."""
        return tuple(dict.fromkeys((*self.row.earlier, self.row.owner)))


def work(services: Services) -> float | None:
    """Work off what is due; return in how many seconds the next thing is, None when nothing will be."""
    while True:
        with services.store.transaction() as tx:
            due = responses.due(tx, LIMIT)
        done = [lead for lead in due if _worked(services, lead)]
        if not done or len(due) < LIMIT:
            break
    with services.store.transaction() as tx:
        return responses.seconds_to_next(tx)


def _worked(services: Services, lead: UUID) -> bool:
    try:
        advance(services, lead)
    except StoreUnavailable:
        raise
    except Exception:
        # The outermost edge of a job: one broken lead must not hold up the others.
        log.exception("response not worked off", extra={"lead": str(lead)})
        return False
    return True


def advance(services: Services, lead: UUID) -> None:
    """Do what is due on one lead, if anything is."""
    if _only_observed(services, lead):
        return
    if not _remind(services, lead):
        _settle(services, lead)


def _only_observed(services: Services, lead_id: UUID) -> bool:
    """Put off what is due where a lead's CRM is observed now: its owner would not learn of it."""
    with services.store.transaction() as tx:
        row, lead = responses.get(tx, lead_id), leads.by_ids(tx, [lead_id]).get(lead_id)
        if row is None or lead is None or not is_observed(services.active(tx).settings, lead.connection):
            return False
        responses.note_reminded(tx, lead_id, row.reminded, tx.now() + OBSERVED)
    return True


def _remind(services: Services, lead_id: UUID) -> bool:
    """Send what reminders are due; False when more than a reminder is."""
    with services.store.transaction() as tx:
        row = responses.get(tx, lead_id)
        if row is None or row.next_at is None:
            return True
        now = promise(row)
        if row.state not in OPEN or breach(now, tx.now()):
            return False
        count = reminders_due(now, tx.now())
        lead = leads.by_ids(tx, [lead_id]).get(lead_id)
        if lead is not None and count > row.reminded:
            commands.put(tx, nudges.remind(services.active(tx).settings, lead, row))
            tx.after_commit(lambda: services.wake("commands"))
        _note(tx, row, count)
    return True


def _note(tx: Transaction, row: ResponseRow, reminded: int) -> None:
    following = next_at(replace(promise(row), reminded=reminded))
    responses.note_reminded(tx, row.lead_id, reminded, following)


def _settle(services: Services, lead_id: UUID) -> None:
    """End an assignment that was rejected or not responded to."""
    with services.store.transaction() as tx:
        active = services.active(tx)
        book = route.load_book(tx, active)
        lead, row = leads.lock(tx, lead_id), responses.get(tx, lead_id)
        if lead is None or row is None or lead.status != "assigned":
            responses.close(tx, lead_id)
            return
        cause = _cause(tx, row)
        if cause is None:
            return
        ended = Ended(tx, active, lead, row, cause)
        if row.pinned or not _hand_on(ended, book):
            _stay(ended)
        tx.after_commit(lambda: services.wake("commands"))
        held.announce(services, tx)


def _cause(tx: Transaction, row: ResponseRow) -> tuple[str, str] | None:
    """Return why an assignment is over, as a decision's step; None when it is not."""
    if row.state == State.REJECTED:
        return ANSWERED, f"{row.owner}:{row.verdict}"
    broken = breach(promise(row), tx.now())
    return (str(broken[0]), f"{row.owner}:{broken[1].isoformat()}") if broken else None


def _hand_on(ended: Ended, book: Book) -> bool:
    """Decide the lead anew without its earlier owners; False when nobody is left for it."""
    case = _case(ended)
    foreseen = route.preview(ended.active, case, book)
    if foreseen.result is Result.HELD or not foreseen.owner or foreseen.owner in case.excluded:
        return False
    if not responses.take_away(ended.tx, ended.row, [ended.row.state]):
        return True
    _refund(ended, book)
    book.shift_open(ended.row.owner, -1)
    decision, decision_row, reason = route.decided(ended.active, case, book)
    decisions.insert(ended.tx, [decision_row])
    _give(ended, decision, reason)
    route.save_book(ended.tx, book)
    return True


def _case(ended: Ended) -> Case:
    lead, row, tx = ended.lead, ended.row, ended.tx
    settings = ended.active.settings
    manager, connection = _manager(settings, ended)
    spent = bool(manager) and row.max_moves is not None and row.moves >= row.max_moves
    return Case(
        lead=str(lead.id),
        assign_seq=lead.assign_seq + 1,
        at=tx.now(),
        facets=route.facets(ended.active, route.lead_from(lead.data)),
        known=Known(connection=lead.connection or ""),
        snapshot=route.snapshot(lead.data, lead.salt),
        excluded=ended.earlier,
        again=Again(ended.cause, manager, connection, spent),
    )


def _manager(settings: Settings, ended: Ended) -> tuple[str, str]:
    """Return the nearest manager who has not had the lead, else the fallback owner, with a connection; "" for none."""
    for person in (*_managers(settings, ended.row.owner), settings.rule_set.fallback):
        known = settings.people.get(person)
        if known is None or not known.active or not known.users or person in ended.earlier:
            continue
        here = ended.lead.connection or ""
        return person, here if here in known.users else next(iter(known.users))
    return "", ""


def _managers(settings: Settings, person: str) -> Sequence[str]:
    """Return the managers above a person, nearest first, each once."""
    found: list[str] = []
    above = manager_of(settings, person)
    while above is not None and above not in found:
        found.append(above)
        above = manager_of(settings, above)
    return found


def _refund(ended: Ended, book: Book) -> None:
    """Give the turn back where the owner was right to reject the lead (R9)."""
    if ended.cause[0] != ANSWERED or ended.row.verdict not in REFUNDED:
        return
    lead = ended.lead
    amounts = charges.given_back(ended.tx, lead.id, lead.assign_seq)
    ledger.drop_assignment(ended.tx, lead.id)
    if amounts:
        ledger.correct(ended.tx, lead.id, lead.assign_seq, amounts, f"{_REFUND}: {ended.row.verdict}")
        book.correct(amounts)


def _give(ended: Ended, decision: Decision, reason: str) -> None:
    """Store the next owner and tell both; a manager keeps the lead."""
    tx, lead, settings = ended.tx, ended.lead, ended.active.settings
    owner, connection = str(decision.owner), str(decision.connection)
    leads.assign(tx, lead, owner=owner, connection=connection, pool=decision.pool, reason=reason, now=tx.now())
    offered = offer(settings, lead.id, decision.case.assign_seq, owner, tx.now(), connection)
    if offered is not None:
        escalated = any(code == "manager" for code, _ in decision.steps)
        responses.put(tx, follow(offered, ended.row, pinned=escalated))
    given = decisions.owners_of_lead(tx, lead.id)
    handover = write.Handover(
        lead_id=lead.id,
        lead=route.lead_from(lead.data),
        owner=owner,
        connection=connection,
        reason=reason,
        correlation=lead.correlation,
        at=tx.now(),
        respond_by=offered.touch_due if offered else None,
        again=write.again_number(given, owner),
    )
    before = write.again_number(given, ended.row.owner)
    told = nudges.taken(settings, lead, ended.row.owner, ended.cause, owner, before)
    commands.put(tx, [*_moved(settings, lead, handover), *told, *nudges.reminder_done(lead, ended.row)])


def _moved(settings: Settings, lead: LeadRow, handover: write.Handover) -> list[NewCommand]:
    """Return what moves a lead: to another owner, or from one CRM, where it ends, into another."""
    if lead.connection == handover.connection:
        return write.reassign(settings, handover)
    # That CRM may have held the lead before, with an earlier owner's answer.
    into, *tasks = write.hand_over(settings, handover)
    anew = {**into.fields, **write.offered_anew(handover.respond_by)}
    there = [into._replace(fields=anew), *tasks]
    if lead.connection is None or lead.connection not in settings.connections:
        return there
    ending = NewCommand(
        connection=lead.connection,
        key=write.lead_key(lead.id),
        object_type=ObjectType.LEAD,
        fields={"status": "closed", "reason": handover.reason},
        purpose="reassign",
        correlation=lead.correlation,
        lead_id=lead.id,
    )
    return [*there, ending]


def _stay(ended: Ended) -> None:
    """Leave a lead where a person put it, or where nobody else is left: its manager hears of it (R26)."""
    tx, row, settings = ended.tx, ended.row, ended.active.settings
    manager = manager_of(settings, row.owner) or settings.rule_set.fallback
    responses.note_breach(tx, row.lead_id)
    if manager == row.owner:
        log.warning("nobody to tell of a lead without response", extra={"lead": str(row.lead_id)})
        return
    commands.put(tx, nudges.ask_manager(settings, ended.lead, row, ended.cause, manager))
