"""The promise after a purchase: plans, steps, evidence, escalation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Unit(StrEnum):
    """Units of `add`: business days, calendar days, elapsed hours (aftersales S1)."""

    BUSINESS_DAYS = "bd"
    DAYS = "d"
    HOURS = "h"


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as written in a plan: `2bd`, `7d`, `48h`."""

    amount: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Evidence:
    """Machine-recorded proof that satisfies a step: a logged call of at least `min_seconds`."""

    type: str
    min_seconds: int = 0
    direction: str = ""


class Action(StrEnum):
    """What the escalation ladder can do."""

    MARK_OVERDUE = "mark_overdue"
    NOTIFY_MANAGER = "notify_manager"
    REASSIGN = "reassign"


@dataclass(frozen=True, slots=True)
class Escalation:
    """One rung: `after` the due instant, do these, once per due version."""

    after: Span
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the promise. `titles` by language."""

    key: str
    titles: Mapping[str, str]
    lane: str
    anchor: str
    add: Span
    mandatory: bool
    evidence: tuple[Evidence, ...]
    requires: tuple[str, ...] = ()
    escalation: tuple[Escalation, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A published follow-up plan; immutable, instances stay pinned to key and version.

    `anchors` maps anchor names to canonical events (`opportunity.won`, `order.delivered`).
    `pause_new_leads_at` overdue mandatory steps a rep gets no new leads.
    """

    key: str
    version: int
    titles: Mapping[str, str]
    start_on: str
    anchors: Mapping[str, str]
    steps: tuple[Step, ...]
    pause_new_leads_at: int = 1


class StepState(StrEnum):
    """aftersales 5.2, the states in use so far."""

    WAITING = "waiting"
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class CallFact:
    """A call as the CRM's telephony recorded it."""

    id: str
    deal: str
    user: str
    seconds: int
    direction: str
    occurred_at: datetime
    system: bool = True


@dataclass(frozen=True, slots=True)
class StepFact:
    """A running step as the pure rules see it."""

    key: str
    owner: str
    state: StepState
    activated_at: datetime | None
    due: datetime | None
    rungs_done: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Tick:
    """Somebody marked a step's task as done in the CRM."""

    step: str
    at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a deal after its sale, in any order of arrival.

    `anchors` are by canonical event (`opportunity.won`): the first time each was recorded.
    """

    deal: str
    anchors: Mapping[str, datetime] = field(default_factory=dict)
    ticks: tuple[Tick, ...] = ()
    calls: tuple[CallFact, ...] = ()
    won: tuple[datetime, ...] = ()
    lost: tuple[datetime, ...] = ()


class Lack(StrEnum):
    """Why a call does not prove a step (aftersales S6 a-e), or that there was none."""

    NOT_OPEN = "not_open"
    NO_CALL = "no_call"
    OTHER_RECORD = "other_record"
    OTHER_PERSON = "other_person"
    TYPED = "typed"
    DIRECTION = "direction"
    TOO_SHORT = "too_short"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Where a step stands after all that is known; `due` is the instant now in force.

    `lacks` say why the last tick was refused; empty when it was accepted or there was none.
    """

    key: str
    state: StepState
    activated_at: datetime | None = None
    due_original: datetime | None = None
    due: datetime | None = None
    done_at: datetime | None = None
    evidence: tuple[str, ...] = ()
    refusals: int = 0
    lacks: tuple[Lack, ...] = ()
