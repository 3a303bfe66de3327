"""Who takes over a step that its owner left undone (aftersales S8)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A colleague who could take a step; `load` counts the open steps they have."""

    person: str
    load: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The person chosen, None when the step stays where it is, and why."""

    person: str | None
    reason: str


def choose_substitute(candidates: Sequence[Candidate], *, had: Collection[str], manager: str | None = None) -> Choice:
    """Choose the least loaded colleague who is not behind themselves, else the manager.

    `had` are the people who had the step already; nobody gets it twice. Ties go by key.
    """
    free = [one for one in candidates if one.person not in had and not one.paused]
    if free:
        best = min(free, key=lambda one: (one.load, one.person))
        return Choice(best.person, f"least loaded in the team: {best.load} open steps")
    if manager and manager not in had:
        return Choice(manager, "nobody else in the team is free: the manager takes it")
    return Choice(None, "nobody can take it: it stays with its owner")
