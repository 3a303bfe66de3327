"""What owners answer to an assignment, as their CRM tells it: accepted, rejected, responded, moved by hand."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from connector.flows import charges, nudges, write
from connector.flows.offers import follow, offer, promise
from connector.flows.sale import CALL, TICKED, when
from connector.flows.staff import person_of
from connector.model.crm import ObjectType, Record
from connector.routing.response import BEFORE, OPEN, State, Verdict, next_at
from connector.services import Services
from connector.store import Transaction, commands, leads, ledger, responses, sync
from connector.store.commands import NewCommand
from connector.store.events import Event
from connector.store.leads import LeadRow
from connector.store.responses import ResponseRow

_WORKING = "working"
_REJECTED = "rejected_"
#: A CRM's clock may be behind ours by this much.
_SKEW = timedelta(minutes=5)


def on_lead(services: Services, tx: Transaction, connection: str, lead: UUID, record: Record, at: datetime) -> bool:
    """Take in what a lead's record says at an instant; return whether that was news.

    What stands there from an earlier owner is not the present one's answer.
    """
    row = responses.read(tx, lead)
    if row is None or person_of(services.active(tx).settings, connection, str(record.fields.get("owner"))) != row.owner:
        return False
    said = str(record.fields.get("response") or "")
    if said.removeprefix(_REJECTED) in set(Verdict) and said.startswith(_REJECTED):
        return _rejected(services, tx, row, said.removeprefix(_REJECTED))
    if record.fields.get("status") == _WORKING:
        return _touched(services, tx, row, at)
    return said == State.ACCEPTED and _accepted(services, tx, row)


def on_event(services: Services, tx: Transaction, event: Event) -> None:
    """Take in a task that was ticked or a call that was logged by the owner of a lead."""
    lead = _about(tx, event)
    row = responses.read(tx, lead) if lead else None
    if row is None or when(event) < row.offered_at - _SKEW:
        return
    user = str(event.attributes.get("owner") or "")
    if person_of(services.active(tx).settings, event.source, user) == row.owner:
        _touched(services, tx, row, when(event))


def on_move(services: Services, tx: Transaction, lead: LeadRow, to: str) -> None:
    """Follow a lead that a person moved: the turn moves along, and no automatic run moves it again (R26).

    `lead` is the row before; the ledger is locked.
    """
    charges.move(tx, lead.id, lead.assign_seq, to)
    ledger.move_assignment(tx, lead.id, to, tx.now())
    row = responses.read(tx, lead.id)
    if row is None:
        return
    settings = services.active(tx).settings
    is_open = row.state in {*OPEN, State.REJECTED}
    offered = offer(settings, lead.id, row.assign_seq, to, tx.now(), lead.connection) if is_open else None
    if offered is None:
        responses.put(tx, replace(follow(row, row, pinned=True), owner=to, next_at=None))
        return
    responses.put(tx, follow(offered, row, pinned=True))
    commands.put(tx, [*_offered_anew(lead, offered), *nudges.reminder_done(lead, row)])
    tx.after_commit(lambda: services.wake("commands"))


def is_overtaken(tx: Transaction, lead: UUID, owner: str, at: datetime) -> bool:
    """Tell news of an earlier owner from before the lead was given to the present one."""
    row = responses.read(tx, lead)
    return row is not None and owner in row.earlier and at < row.offered_at


def _about(tx: Transaction, event: Event) -> UUID | None:
    if event.type == TICKED:
        return nudges.lead_of(str(event.attributes.get("key") or ""))
    name = (str(ObjectType.LEAD), str(event.attributes.get("lead") or ""))
    bound = sync.bound(tx, event.source, [name]).get(name) if event.type == CALL and name[1] else None
    return UUID(bound[0].key.removeprefix("lead:")) if bound else None


def _accepted(services: Services, tx: Transaction, row: ResponseRow) -> bool:
    following = next_at(replace(promise(row), state=State.ACCEPTED))
    accepted = responses.advance(tx, row, State.ACCEPTED, BEFORE[State.ACCEPTED], next_at=following)
    if accepted:
        tx.after_commit(lambda: services.wake("responses"))
    return accepted


def _rejected(services: Services, tx: Transaction, row: ResponseRow, verdict: str) -> bool:
    rejected = responses.advance(tx, row, State.REJECTED, BEFORE[State.REJECTED], verdict=verdict, next_at=tx.now())
    if rejected:
        tx.after_commit(lambda: services.wake("responses"))
    return rejected


def _touched(services: Services, tx: Transaction, row: ResponseRow, at: datetime) -> bool:
    touched = responses.advance(tx, row, State.TOUCHED, BEFORE[State.TOUCHED], touched_at=at)
    lead = leads.by_ids(tx, [row.lead_id]).get(row.lead_id)
    if touched and lead is not None and row.reminded:
        commands.put(tx, nudges.reminder_done(lead, row))
        tx.after_commit(lambda: services.wake("commands"))
    return touched


def _offered_anew(lead: LeadRow, offered: ResponseRow) -> list[NewCommand]:
    if lead.connection is None:
        return []
    fields = write.offered_anew(offered.touch_due)
    return [
        NewCommand(
            connection=lead.connection,
            key=write.lead_key(lead.id),
            object_type=ObjectType.LEAD,
            fields=fields,
            purpose="response",
            correlation=lead.correlation,
            lead_id=lead.id,
        )
    ]
