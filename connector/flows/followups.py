"""After the sale: what happens to a deal becomes steps, tasks, debts, credits and a survey.

Events only leave a note. The deal is worked through afterwards in a transaction of its own, anew from all that
is known, under the lock of its `sale` row; so order and repetition of events make no difference (F15).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from connector.errors import StoreUnavailable
from connector.flows import attainment, feedback, held
from connector.flows.escalation import climb
from connector.flows.offers import is_observed
from connector.flows.sale import CALL, DELIVERED, LOST, REOPENED, TICKED, WON, Deal, Running, candidates, when
from connector.flows.staff import calendar_of, colleagues
from connector.followup import Party, choose_substitute, next_rung, replay, tasks
from connector.followup.tasks import Fields, Reader
from connector.model.crm import ObjectType
from connector.model.followup import (
    CallFact,
    History,
    Plan,
    Step,
    StepFact,
    StepProgress,
    StepState,
    Tick,
)
from connector.model.identity import new_id
from connector.services import Services
from connector.settings import build
from connector.store import Transaction, configuration, debts, followups, mirror
from connector.store.events import Event
from connector.store.followups import News, PlanRow, Sale, StepRow
from connector.worktime import DATASET

log = logging.getLogger(__name__)

#: How many deals or people one sweep works through before it looks again.
_BATCH = 200


def on_event(services: Services, tx: Transaction, event: Event) -> None:
    """Note that something happened to a deal; the sweep works it through after the commit."""
    step: UUID | None = None
    if event.type in {TICKED, REOPENED}:
        found = followups.task_step(tx, event.source, event.record_id)
        if found is None:
            return
        step, deal = found
    elif event.type == CALL:
        deal = str(event.attributes.get("deal") or "")
    elif event.type in {WON, LOST, DELIVERED}:
        deal = event.record_id
    else:
        return
    if deal:
        followups.note(tx, event.source, deal, event.type, step)
        tx.after_commit(lambda: services.wake("followups"))


def sweep(services: Services) -> int:
    """Work through what is pending: deals with news, rungs that are due, attainments that changed.

    Returns how much was worked through; any number of workers may sweep at once.
    """
    with services.store.transaction() as tx:
        deals = dict.fromkeys([*followups.deals_with_news(tx, _BATCH), *followups.deals_with_due_rungs(tx, _BATCH)])
    worked = 0
    for connection, deal in deals:
        try:
            advance(services, connection, deal)
            worked += 1
        except StoreUnavailable:
            raise
        except Exception:
            # The outermost edge of a job: one broken deal must not hold up the others.
            log.exception("deal not worked through", extra={"connection": connection, "deal": deal})
    return worked + attainment.refresh(services)


def advance(services: Services, connection: str, deal: str) -> None:
    """Bring everything that follows from a sale up to date, in one transaction."""
    with services.store.transaction() as tx:
        found = _open(services, tx, connection, deal)
        if found is None:
            return
        blocking = [_advance_plan(found, plan, row) for plan, row in _plans(found)]
        _write_counters(found, [row for rows in blocking for row in rows])
        attainment.credit(tx, found.settings, found.sale, found.record, _dates(found))
        if found.times(DELIVERED) and (link := feedback.invite(tx, found.settings, found.sale, found.now)):
            found.put_on_deal({"survey_link": link}, "survey")
        tx.after_commit(lambda: services.wake("commands"))


def _open(services: Services, tx: Transaction, connection: str, deal: str) -> Deal | None:
    """Lock a sale and read its facts; None for a deal that was never won."""
    newest = followups.newest_news(tx, connection, deal)
    sale = followups.lock_sale(tx, connection, deal)
    if sale is None:
        known = {fact.type for fact in followups.facts(tx, connection, deal)}
        if not known & {WON, DELIVERED}:
            followups.drop_news(tx, connection, deal, newest)
            return None
        sale = followups.open_sale(tx, Sale(connection, deal, new_id(), None, (None, None)))
    if sale.lead_id is None:
        # What binds the lead to its record in the CRM may come after the sale.
        sale = _with_lead(tx, sale)
    news = followups.take_news(tx, connection, deal)
    return Deal(
        tx,
        services,
        services.active(tx).settings,
        sale,
        mirror.get(tx, connection, "deal", deal),
        followups.facts(tx, connection, deal),
        news,
        tx.now(),
    )


def _with_lead(tx: Transaction, sale: Sale) -> Sale:
    lead = followups.lead_of(tx, mirror.get(tx, sale.connection, "deal", sale.deal))
    return followups.came_from(tx, sale, lead) if lead else sale


def _dates(deal: Deal) -> attainment.Dates:
    won, lost = deal.times(WON), deal.times(LOST)
    is_lost = bool(lost and (not won or max(lost) > max(won)))
    return attainment.Dates(
        deal.seller,
        won_at=next(iter(won), None),
        delivered_at=next(iter(deal.times(DELIVERED)), None),
        lost_at=max(lost) if is_lost else None,
    )


def _plans(deal: Deal) -> list[tuple[Plan, PlanRow]]:
    """Return the plans of a sale with their pinned versions, starting those that apply and do not run yet.

    None starts where a connection is only observed: nobody would see its tasks, and all would seem overdue.
    """
    running = {row.plan_key: row for row in followups.plans(deal.tx, deal.sale)}
    for key, plan in sorted(deal.settings.plans.items()):
        if key not in running and deal.times(plan.start_on) and not is_observed(deal.settings, deal.sale.connection):
            running[key] = _start(deal, plan)
    return [(_pinned(deal, row), row) for _, row in sorted(running.items())]


def _start(deal: Deal, plan: Plan) -> PlanRow:
    row = PlanRow(new_id(), plan.key, plan.version, deal.settings.hash, deal.owner)
    steps = [(new_id(), step.key, _step_owner(deal, step)) for step in plan.steps]
    followups.start_plan(deal.tx, deal.sale, row, deal.now, steps)
    return row


def _step_owner(deal: Deal, step: Step) -> str:
    """Return who gets a step: the deal's owner if it is their lane, else the least loaded person of the lane."""
    people, owner = deal.settings.people, deal.owner
    if owner in people and people[owner].lane == step.lane:
        return owner
    lane = [key for key in colleagues(deal.settings, deal.sale.connection) if people[key].lane == step.lane]
    return choose_substitute(candidates(deal, lane), had=()).person or owner


def _pinned(deal: Deal, row: PlanRow) -> Plan:
    """Return the version of the plan this instance started under (promise P7)."""
    plan = deal.settings.plans.get(row.plan_key)
    if plan is not None and plan.version == row.plan_version:
        return plan
    return build(json.loads(configuration.document(deal.tx, row.configuration))).plans[row.plan_key]


def _advance_plan(deal: Deal, plan: Plan, row: PlanRow) -> list[StepRow]:
    """Bring a plan's steps up to date; return the mandatory ones that are still to be done."""
    rows = followups.steps(deal.tx, row.id)
    progress = replay(plan, {key: _party(deal, step) for key, step in rows.items()}, _history(deal, plan, row, rows))
    used = [(call, rows[each.key].id) for each in progress for call in each.evidence]
    followups.write_evidence(deal.tx, deal.sale.connection, row.id, used)
    for step, now_at in zip(plan.steps, progress, strict=True):
        _take_in(deal, Running(plan, step, rows[step.key]), now_at)
    for step in plan.steps:
        while climb(deal, Running(plan, step, followups.steps(deal.tx, row.id)[step.key])):
            pass
    rows = followups.steps(deal.tx, row.id)
    pending = {StepState.WAITING, StepState.OPEN}
    return [rows[step.key] for step in plan.steps if step.mandatory and rows[step.key].state in pending]


def _party(deal: Deal, row: StepRow) -> Party:
    people = (deal.settings.people.get(key) for key in row.owners)
    users = frozenset(user for person in people if person and (user := person.users.get(deal.sale.connection)))
    return Party(users, calendar_of(deal.settings, row.first_owner), row.due_original)


def _history(deal: Deal, plan: Plan, row: PlanRow, rows: Mapping[str, StepRow]) -> History:
    ticks = [
        Tick(key, fact.occurred_at)
        for key, step in rows.items()
        for fact in followups.task_facts(deal.tx, deal.sale.connection, step.id)
        if fact.type == TICKED
    ]
    calls = {fact.record_id: _call(fact) for fact in deal.facts if fact.type == CALL}
    taken = followups.used_elsewhere(deal.tx, deal.sale.connection, row.id, calls.keys())
    times = {event: deal.times(event) for event in {*plan.anchors.values()}}
    return History(
        deal.sale.deal,
        anchors={event: found[0] for event, found in times.items() if found},
        ticks=tuple(ticks),
        calls=tuple(call for key, call in calls.items() if key not in taken),
        won=deal.times(WON),
        lost=deal.times(LOST),
    )


def _call(fact: Event) -> CallFact:
    values = fact.attributes
    return CallFact(
        id=fact.record_id,
        deal=str(values.get("deal") or ""),
        user=str(values.get("owner") or ""),
        seconds=int(values.get("seconds") or 0),
        direction=str(values.get("direction") or ""),
        occurred_at=when(fact),
        system=values.get("source") == "system",
    )


def _take_in(deal: Deal, running: Running, progress: StepProgress) -> None:
    """Record where a step stands now and say so in the CRM, where that is news."""
    step, row = running.step, running.row
    calendar = calendar_of(deal.settings, row.owner)
    same_due = row.due == progress.due
    fact = StepFact(
        step.key,
        row.owner,
        progress.state,
        progress.activated_at,
        progress.due,
        row.rungs_done if same_due else frozenset(),
    )
    followups.write_step(
        deal.tx,
        row.id,
        progress,
        basis=f"{calendar_of(deal.settings, row.first_owner)}, {DATASET}",
        next_rung_at=next_rung(step, fact, calendar),
    )
    if progress.state in {StepState.DONE, StepState.CANCELLED} and debts.clear(deal.tx, row.id, deal.now):
        held.announce(deal.services, deal.tx)
    fields = _projection(deal, running, progress)
    if fields:
        deal.put(followups.task_key(row.id), ObjectType.TASK, fields, "followup_task")


def _projection(deal: Deal, running: Running, progress: StepProgress) -> Fields | None:
    """Return what the step's task has to say that it does not say yet."""
    row, reader = running.row, deal.reader(running.row.owner)
    if reader is None:
        return None
    if progress.state is StepState.OPEN and progress.due:
        if row.state is not StepState.OPEN or row.due != progress.due:
            return tasks.opened(running.step, deal.sale.deal, progress.due, reader)
        return tasks.refused(progress.lacks, reader) if News(TICKED, row.id) in deal.news else None
    if progress.state is not row.state:
        return _closing(row.state, progress.state, reader)
    reopened = progress.state is StepState.DONE and News(REOPENED, row.id) in deal.news
    return tasks.restored(reader) if reopened else None


def _closing(before: StepState, after: StepState, reader: Reader) -> Fields | None:
    if after is StepState.DONE:
        return tasks.done()
    return tasks.cancelled(reader) if after is StepState.CANCELLED and before is StepState.OPEN else None


def _write_counters(deal: Deal, pending: Sequence[StepRow]) -> None:
    """Write the counters of mandatory steps to the deal when they changed (WB2)."""
    counters = (len(pending), sum(row.overdue_at is not None for row in pending))
    if deal.sale.counters != counters:
        followups.write_counters(deal.tx, deal.sale, *counters)
        deal.put_on_deal({"open_mandatory": counters[0], "overdue": counters[1]}, "followup_counters")
