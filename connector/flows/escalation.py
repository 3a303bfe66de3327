"""The escalation ladder in action: marks, notices, another owner."""

import logging
from datetime import datetime

from connector.flows.sale import Deal, Running, candidates
from connector.flows.staff import calendar_of, colleagues, manager_of
from connector.followup import choose_substitute, due_rungs, next_rung, tasks
from connector.model.crm import ObjectType
from connector.model.followup import Action, StepFact
from connector.store import debts, followups

log = logging.getLogger(__name__)


def climb(deal: Deal, running: Running) -> bool:
    """Fire the rungs that are due up to the next change of owner; False once none is left."""
    step, row = running.step, running.row
    fact = StepFact(step.key, row.owner, row.state, row.activated_at, row.due, row.rungs_done)
    calendar = calendar_of(deal.settings, row.owner)
    firings = due_rungs(step, fact, deal.now, calendar)
    for firing in firings:
        if followups.record_rung(deal.tx, row, firing.rung, firing.actions, deal.now):
            for action in firing.actions:
                _ACTIONS[action](deal, running, firing.rung)
    if not firings:
        followups.schedule_rung(deal.tx, row.id, next_rung(step, fact, calendar))
    return bool(firings)


def _mark_overdue(deal: Deal, running: Running, _rung: int) -> None:
    followups.mark_overdue(deal.tx, running.row.id, deal.now)
    if running.step.mandatory:
        reason = f"{running.step.key} was not done by {running.row.due}"
        debts.put(deal.tx, running.row.id, running.row.owner, reason, deal.now)


def _notify_manager(deal: Deal, running: Running, rung: int) -> None:
    manager = manager_of(deal.settings, running.row.owner)
    reader = deal.reader(manager) if manager else None
    if reader is None or running.row.due is None:
        log.warning("no manager to notify", extra={"step": str(running.row.id), "rung": rung})
        return
    owner = _name(deal, running.row.owner)
    fields = tasks.overdue(running.step, deal.sale.deal, running.row.due, owner, reader)
    key = f"notice:{running.row.id}:{rung}:{running.row.due:%Y%m%dT%H%M}"
    deal.put(key, ObjectType.TASK, fields, "followup_notice")


def _reassign(deal: Deal, running: Running, _rung: int) -> None:
    """Give the step to somebody else; the deal's owner and its credit stay (S8, F7)."""
    row, settings = running.row, deal.settings
    people = colleagues(settings, deal.sale.connection)
    before = settings.people.get(row.owner)
    team = [
        key
        for key in people
        if before and settings.people[key].team == before.team and settings.people[key].lane == before.lane
    ]
    manager = manager_of(settings, row.owner)
    choice = choose_substitute(
        candidates(deal, team, running.plan.pause_new_leads_at),
        had=row.owners,
        manager=manager if manager in people else None,
    )
    followups.hand_over(deal.tx, row, choice.person, choice.reason, deal.now)
    if choice.person and row.due:
        _tell_both(deal, running, choice.person, row.due)


def _tell_both(deal: Deal, running: Running, to: str, due: datetime) -> None:
    row = running.row
    new, old = deal.reader(to), deal.reader(row.owner)
    if new:
        fields = tasks.taken_over(due, _name(deal, row.owner), new)
        deal.put(followups.task_key(row.id), ObjectType.TASK, fields, "followup_reassign")
    if old:
        paused = debts.owed(deal.tx).get(row.owner, 0) >= running.plan.pause_new_leads_at
        fields = tasks.handed_over(running.step, deal.sale.deal, due, _name(deal, to), old, paused=paused)
        deal.put(f"handed_over:{row.id}:{row.owner}", ObjectType.TASK, fields, "followup_notice")


_ACTIONS = {
    Action.MARK_OVERDUE: _mark_overdue,
    Action.NOTIFY_MANAGER: _notify_manager,
    Action.REASSIGN: _reassign,
}


def _name(deal: Deal, person: str) -> str:
    known = deal.settings.people.get(person)
    return known.name if known else person
