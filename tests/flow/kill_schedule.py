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
from kill_stage import Stage

#: How often each target is hit, out of thirteen.
MIX = {"web parent": 3, "web child": 3, "worker": 4, "supervisor": 1, "process group": 2}
#: The longest wait for a target that is being started again, or for work to be in flight.
PATIENCE = 30.0

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
        kinds = [kind for kind, times in MIX.items() for _ in range(times)]
        rounds = [*MIX, *(kinds * (self.count // len(kinds) + 1))][: self.count]
        random.Random(self.seed).shuffle(rounds)
        return rounds

    def run(self) -> None:
        draw = random.Random(f"pauses {self.seed}")
        started = time.monotonic()
        for kind in self.plan:
            time.sleep(draw.uniform(*self.pause))
            victims = self._victims(kind, draw)
            in_flight = self._wait_for_work()
            self._kill(kind, victims)
            self.kills.append(Kill(time.monotonic() - started, kind, len(victims), in_flight))

    def _victims(self, kind: str, draw: random.Random) -> list[psutil.Process]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self._candidates(kind)
            if found:
                return found if kind == "process group" else [draw.choice(found)]
            time.sleep(0.05)
        raise AssertionError(f"no {kind} to kill within {PATIENCE:.0f} s: {self.stage.tail()}")

    def _candidates(self, kind: str) -> Sequence[psutil.Process]:
        process = self.stage.process
        assert process is not None
        match kind:
            case "web parent":
                return self.stage.web_parents()
            case "web child":
                return self.stage.web_children()
            case "worker":
                return self.stage.workers()
            case _:
                with suppress(psutil.NoSuchProcess):
                    supervisor = psutil.Process(process.pid)
                    children = supervisor.children(recursive=True)
                    # One that has not yet started anything would prove nothing.
                    return [supervisor, *(children if kind == "process group" else [])] if children else []
                return []

    def _wait_for_work(self) -> InFlight:
        deadline = time.monotonic() + PATIENCE
        with self.stage.watch() as connection:
            while True:
                row = connection.execute(_IN_FLIGHT).fetchone()
                assert row is not None
                in_flight = InFlight(self.unanswered(), *row)
                if in_flight or time.monotonic() > deadline:
                    return in_flight
                time.sleep(0.01)

    def _kill(self, kind: str, victims: Sequence[psutil.Process]) -> None:
        if kind in ("process group", "supervisor"):
            process = self.stage.process
            assert process is not None
            if kind == "process group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait(10)
            self.stage.start()
            return
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def by_kind(self) -> Counter[str]:
        return Counter(kill.kind for kill in self.kills)

    @property
    def with_work(self) -> int:
        return sum(bool(kill.in_flight) for kill in self.kills)
