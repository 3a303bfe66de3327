"""Kills by SIGKILL at seeded random moments, each while work is in flight."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from kill_stage import Stage, answers

#: How often each target is hit, out of thirteen.
MIX = {"web parent": 3, "web child": 3, "worker": 4, "supervisor": 1, "process group": 2}
#: The longest wait for a target that is being started again.
PATIENCE = 45.0
#: How long a kill waits for a moment with work that its target holds; after that any work will do.
PICKY = 3.0
#: A worker that is younger has hardly begun.
GROWN = 3.0
#: granian takes a child that dies twice within 5.5 s for one that never will do, and ends.
RESPAWNED = 6.0

_IN_FLIGHT = """
SELECT (SELECT count(*) FROM delivery WHERE state = 'stored'),
    (SELECT count(*) FROM command WHERE state = 'pending'),
    (SELECT count(*) FROM command WHERE state = 'pending' AND leased_until > clock_timestamp())
"""


@dataclass(frozen=True, slots=True)
class InFlight:
    """What was unfinished at one moment."""

    requests: int
    deliveries: int
    commands: int
    leased: int

    def __bool__(self) -> bool:
        return bool(self.requests or self.deliveries or self.commands)

    def held_by(self, kind: str) -> bool:
        """Tell whether the target of a kill has something to lose."""
        if kind.startswith("web"):
            return self.requests > 1
        return bool(self.leased or self.deliveries)


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: when, what, how many processes, and what was in flight."""

    at: float
    kind: str
    processes: int
    in_flight: InFlight


@dataclass
class Killer:
    """Kills one target after the other; the product restarts what it owns, the test restarts the product."""

    stage: Stage
    seed: int
    count: int
    pause: tuple[float, float]
    unanswered: Callable[[], int]
    kills: list[Kill] = field(default_factory=list)

    @property
    def plan(self) -> list[str]:
        """Return the targets in their seeded order; every kind is among them as soon as there is room."""
        draw = random.Random(self.seed)
        more = [kind for kind, times in MIX.items() for _ in range(times)] * self.count
        draw.shuffle(more)
        plan = [*MIX, *more][: self.count]
        draw.shuffle(plan)
        return plan

    def run(self) -> None:
        draw = random.Random(f"pauses {self.seed}")
        started = time.monotonic()
        for kind in self.plan:
            time.sleep(draw.uniform(*self.pause))
            victims = self._victims(kind, draw)
            in_flight = self._wait_for_work(kind)
            self._kill(kind, victims)
            self.kills.append(Kill(time.monotonic() - started, kind, len(victims), in_flight))

    def _victims(self, kind: str, draw: random.Random) -> list[psutil.Process]:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._candidates(kind)
            if found and (not kind.startswith("web") or answers(f"{self.stage.url}/healthz")):
                return found if kind == "process group" else [draw.choice(found)]
            assert time.monotonic() < deadline, f"no {kind} to kill within {PATIENCE:.0f} s: {self.stage.tail()}"
            time.sleep(0.05)

    def _candidates(self, kind: str) -> Sequence[psutil.Process]:
        process = self.stage.process
        assert process is not None
        match kind:
            case "web parent":
                return self.stage.web_parents()
            case "web child":
                return [child for child in self.stage.web_children() if time.time() - child.create_time() > RESPAWNED]
            case "worker":
                return [worker for worker in self.stage.workers() if time.time() - worker.create_time() > GROWN]
            case _:
                supervisor = psutil.Process(process.pid)
                children = supervisor.children(recursive=True) if kind == "process group" else []
                # One that has not yet started its parts would prove nothing.
                return [supervisor, *children] if self.stage.workers() else []

    def _wait_for_work(self, kind: str) -> InFlight:
        started = time.monotonic()
        with self.stage.watch() as connection:
            while True:
                row = connection.execute(_IN_FLIGHT).fetchone()
                assert row is not None
                in_flight = InFlight(self.unanswered(), *row)
                waited = time.monotonic() - started
                if in_flight.held_by(kind) or (in_flight and waited > PICKY) or waited > PATIENCE:
                    return in_flight
                time.sleep(0.005)

    def _kill(self, kind: str, victims: Sequence[psutil.Process]) -> None:
        if kind == "process group":
            os.killpg(victims[0].pid, signal.SIGKILL)
        else:
            with suppress(psutil.NoSuchProcess):
                victims[0].kill()
        if kind in ("process group", "supervisor"):
            self.stage.restart()

    def table(self) -> str:
        lines = ["    at    target         processes  requests  deliveries  commands  leased"]
        for kill in self.kills:
            held = kill.in_flight
            lines.append(
                f"{kill.at:6.1f} s  {kill.kind:13}  {kill.processes:9}  {held.requests:8}  {held.deliveries:10}  "
                f"{held.commands:8}  {held.leased:6}"
            )
        return "\n".join(lines)

    def by_kind(self) -> Counter[str]:
        return Counter(kill.kind for kill in self.kills)

    @property
    def with_work(self) -> int:
        return sum(bool(kill.in_flight) for kill in self.kills)
