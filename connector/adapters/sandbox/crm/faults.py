"""Failures on demand: by a script, or at random from a seed."""

import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from connector.adapters.sandbox.crm.records import Refusal


class Fault(StrEnum):
    """What can go wrong with a request; OK lets a scripted one pass."""

    OK = "ok"
    RATE_LIMIT = "429"
    SERVER_ERROR = "500"
    TIMEOUT_BEFORE = "timeout_before"
    LOST_ANSWER = "lost_answer"

    @property
    def status(self) -> int:
        """Return the HTTP status of the answer; 0 where there is none."""
        return int(self) if self.isdigit() else 0


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How often each fault strikes, and what strikes the next writes for certain."""

    seed: int = 0
    rates: Mapping[Fault, float] = field(default_factory=dict)
    retry_after: int = 1
    next: tuple[Fault, ...] = ()


def read_plan(body: Mapping[str, Any]) -> FaultPlan:
    """Read the body of POST /control/faults; what it does not name is off.

    Raises:
        Refusal: a name or a number makes no sense.
    """
    rated = [fault for fault in Fault if fault is not Fault.OK]
    unknown = body.keys() - {"seed", "retry_after", "next"} - {f"rate_{fault}" for fault in rated}
    if unknown:
        raise Refusal("INVALID_FIELD", "no such fault setting", fields=sorted(unknown))
    try:
        return FaultPlan(
            seed=int(body.get("seed", 0)),
            rates={fault: float(body.get(f"rate_{fault}", 0)) for fault in rated},
            retry_after=int(body.get("retry_after", 1)),
            next=tuple(Fault(name) for name in body.get("next", ())),
        )
    except (TypeError, ValueError) as err:
        raise Refusal("INVALID_VALUE", "rates are numbers from 0 to 1, next is a list of faults") from err


class Faults:
    """Draws the fault of each request. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.plan(FaultPlan())

    def plan(self, plan: FaultPlan) -> None:
        """Forget the old plan and follow this one."""
        with self._lock:
            self._plan = plan
            self._next = deque(plan.next)
            self._random = random.Random(plan.seed)  # noqa: S311 - failures must repeat from a seed

    @property
    def retry_after(self) -> int:
        """Seconds a rate-limited caller is asked to wait."""
        return self._plan.retry_after

    def draw(self, *, write: bool) -> Fault:
        """Return what happens to the next request; the script is for writes alone."""
        with self._lock:
            if write and self._next:
                return self._next.popleft()
            return self._roll(write)

    def _roll(self, write: bool) -> Fault:
        chance = self._random.random()
        for fault, rate in self._plan.rates.items():
            if chance < rate:
                return Fault.OK if fault is Fault.LOST_ANSWER and not write else fault
            chance -= rate
        return Fault.OK
