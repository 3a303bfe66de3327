"""The escalation ladder: which rungs are due, in order, each once per due version (aftersales S7)."""

from dataclasses import dataclass
from datetime import datetime

from connector.model.followup import Action, Step, StepFact, StepState
from connector.worktime import Calendar, add

#: Of these only the last is carried out when several rungs fire at once.
_NOTIFICATIONS = frozenset({Action.NOTIFY_MANAGER})


@dataclass(frozen=True, slots=True)
class Firing:
    """A rung that is due now, and what is left to do on it."""

    rung: int
    actions: tuple[Action, ...]


def due_rungs(step: Step, fact: StepFact, now: datetime, calendar: Calendar) -> tuple[Firing, ...]:
    """Return the rungs to fire now, in order, up to the first that reassigns the step.

    After a reassignment the later rungs follow the new owner's calendar (S3): ask again.
    """
    rungs: list[int] = []
    for at, rung in _pending(step, fact, calendar):
        if at > now:
            break
        rungs.append(rung)
        if Action.REASSIGN in step.escalation[rung].actions:
            break
    last = {action: rung for rung in rungs for action in step.escalation[rung].actions if action in _NOTIFICATIONS}
    return tuple(
        Firing(rung, tuple(a for a in step.escalation[rung].actions if last.get(a, rung) == rung)) for rung in rungs
    )


def next_rung(step: Step, fact: StepFact, calendar: Calendar) -> datetime | None:
    """Return when the next rung is due; None when the ladder is at its end or does not run."""
    return next((at for at, _ in _pending(step, fact, calendar)), None)


def _pending(step: Step, fact: StepFact, calendar: Calendar) -> list[tuple[datetime, int]]:
    """Return instant and number of the rungs not yet fired; a step that is not open runs no ladder (S13)."""
    due = fact.due
    if due is None or fact.state is not StepState.OPEN:
        return []
    return sorted(
        (add(due, rung.after, calendar) if rung.after.amount else due, number)
        for number, rung in enumerate(step.escalation)
        if number not in fact.rungs_done
    )
