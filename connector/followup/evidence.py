"""Does a recorded call prove that a step was done? (aftersales S6)"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.model.followup import CallFact, Evidence, Lack, Step

CALL = "crm_call"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The tick stands; `evidence` are the ids of the calls it rests on."""

    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The tick does not stand; `lacks` say why, nearest miss only."""

    lacks: tuple[Lack, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A tick as it is judged: for which deal, by whose users, between which instants."""

    deal: str
    users: Collection[str]
    activated_at: datetime
    ticked_at: datetime


def judge_tick(
    step: Step, claim: Claim, calls: Sequence[CallFact], *, used: Collection[str] = ()
) -> Accepted | Refused:
    """Accept a tick on the earliest unused call that satisfies any of the step's evidence rules.

    A refusal names what the call that came nearest lacks, so that the person knows what to do.
    """
    if not step.evidence:
        return Accepted(())
    nearest: tuple[Lack, ...] = (Lack.NO_CALL,)
    for call in sorted(calls, key=lambda call: (call.occurred_at, call.id)):
        lacks = min((_lacks(rule, call, claim, used) for rule in step.evidence), key=len)
        if not lacks:
            return Accepted((call.id,))
        if nearest == (Lack.NO_CALL,) or len(lacks) < len(nearest):
            nearest = lacks
    return Refused(nearest)


def _lacks(rule: Evidence, call: CallFact, claim: Claim, used: Collection[str]) -> tuple[Lack, ...]:
    if rule.type != CALL:
        return (Lack.NO_CALL,)
    faults = (
        (Lack.TYPED, not call.system),
        (Lack.TOO_EARLY, call.occurred_at < claim.activated_at),
        (Lack.TOO_LATE, call.occurred_at > claim.ticked_at),
        (Lack.OTHER_RECORD, call.deal != claim.deal),
        (Lack.OTHER_PERSON, call.user not in claim.users),
        (Lack.REUSED, call.id in used),
        (Lack.DIRECTION, rule.direction not in {"", call.direction}),
        (Lack.TOO_SHORT, call.seconds < rule.min_seconds),
    )
    return tuple(lack for lack, found in faults if found)
