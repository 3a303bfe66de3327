"""Where every step of a plan stands, worked out anew from the whole history.

The history may arrive in any order and more than once: it is put in the order in which things
happened, so that the same facts always give the same states (requirement F15).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.followup.evidence import Accepted, Claim, Refused, judge_tick
from connector.model.followup import History, Lack, Plan, Span, Step, StepProgress, StepState, Tick, Unit
from connector.worktime import Calendar, add

#: A step that opens after its due instant gets this long (aftersales S13).
GRACE = Span(1, Unit.BUSINESS_DAYS)


@dataclass(frozen=True, slots=True)
class Party:
    """Whose calls prove a step, on whose calendar it is due, and the due instant once promised."""

    users: frozenset[str]
    calendar: Calendar
    due_original: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Done:
    activated_at: datetime
    at: datetime
    evidence: tuple[str, ...]


def replay(plan: Plan, parties: Mapping[str, Party], history: History) -> tuple[StepProgress, ...]:
    """Return the progress of every step, in the order of the plan."""
    position = {step.key: index for index, step in enumerate(plan.steps)}
    run = _Run(plan, parties, history)
    for tick in sorted(history.ticks, key=lambda tick: (tick.at, position[tick.step])):
        run.take(tick)
    return tuple(run.progress(step) for step in plan.steps)


class _Run:
    """One pass over the ticks of a deal, in the order in which they happened."""

    def __init__(self, plan: Plan, parties: Mapping[str, Party], history: History) -> None:
        self.plan = plan
        self.parties = parties
        self.history = history
        self.steps = {step.key: step for step in plan.steps}
        self.done: dict[str, _Done] = {}
        self.refused: dict[str, list[Refused]] = {}

    def take(self, tick: Tick) -> None:
        """Judge one tick; a step that is done, or whose deal is lost, is not asked again."""
        if tick.step in self.done or _is_lost(self.history, tick.at):
            return
        activated_at = self.activation(self.steps[tick.step], tick.at)
        verdict = self.verdict(tick, activated_at)
        if isinstance(verdict, Refused):
            self.refused.setdefault(tick.step, []).append(verdict)
        elif activated_at:
            self.done[tick.step] = _Done(activated_at, tick.at, verdict.evidence)

    def verdict(self, tick: Tick, activated_at: datetime | None) -> Accepted | Refused:
        """Judge a tick on the calls no earlier step rests on."""
        if activated_at is None or activated_at > tick.at:
            return Refused((Lack.NOT_OPEN,))
        claim = Claim(self.history.deal, self.parties[tick.step].users, activated_at, tick.at)
        used = {call for earlier in self.done.values() for call in earlier.evidence}
        return judge_tick(self.steps[tick.step], claim, self.history.calls, used=used)

    def anchor(self, step: Step) -> datetime | None:
        """Return when the step's anchor happened, None before that."""
        return self.history.anchors.get(self.plan.anchors[step.anchor])

    def activation(self, step: Step, until: datetime | None = None) -> datetime | None:
        """Return when the step opened: its anchor known and all `requires` done (aftersales S5)."""
        anchor = self.anchor(step)
        if anchor is None or any(key not in self.done for key in step.requires):
            return None
        revived = _revival(self.history, until)
        return max((anchor, *(self.done[key].at for key in step.requires), *revived))

    def progress(self, step: Step) -> StepProgress:
        """Say where a step stands now."""
        done, refused = self.done.get(step.key), self.refused.get(step.key, [])
        activated_at = done.activated_at if done else self.activation(step)
        party = self.parties[step.key]
        original = party.due_original or self.due(step, party.calendar)
        return StepProgress(
            step.key,
            self.state(done, activated_at),
            activated_at=activated_at,
            due_original=original,
            due=_in_force(original, activated_at, party.calendar),
            done_at=done.at if done else None,
            evidence=done.evidence if done else (),
            refusals=len(refused),
            lacks=refused[-1].lacks if refused and not done else (),
        )

    def state(self, done: _Done | None, activated_at: datetime | None) -> StepState:
        """Return the state the facts amount to."""
        if done:
            return StepState.DONE
        if _is_lost(self.history):
            return StepState.CANCELLED
        return StepState.OPEN if activated_at else StepState.WAITING

    def due(self, step: Step, calendar: Calendar) -> datetime | None:
        """Return the due instant counted from the anchor (aftersales S2)."""
        anchor = self.anchor(step)
        return None if anchor is None else add(anchor, step.add, calendar)


def _revival(history: History, until: datetime | None) -> tuple[datetime, ...]:
    """Return when a lost deal was won again, if it was."""
    lost = max((at for at in history.lost if until is None or at <= until), default=None)
    if lost is None:
        return ()
    return tuple(sorted(at for at in history.won if at > lost)[:1])


def _is_lost(history: History, at: datetime | None = None) -> bool:
    lost = max((when for when in history.lost if at is None or when <= at), default=None)
    return lost is not None and not any(lost < won and (at is None or won <= at) for won in history.won)


def _in_force(original: datetime | None, activated_at: datetime | None, calendar: Calendar) -> datetime | None:
    """Return the due instant in force: the original, or some grace for a step that opened too late (S13)."""
    if original is None or activated_at is None or activated_at <= original:
        return original
    return add(activated_at, GRACE, calendar)
