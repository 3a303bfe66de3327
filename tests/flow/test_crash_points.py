"""Killed at any commit and at any call to a CRM, and started again, everything ends as if nothing had happened."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import crash_driver
import crash_scenario
import psycopg
import pytest
from conftest import at
from crash_state import State, difference, effects_of, state_of
from psycopg import sql

from connector import publishing
from connector.adapters.sandbox.process import SandboxProcess
from connector.store import Store

#: All points with HEARBACK_FULL=1, otherwise one in so many.
STRIDE = 1 if os.environ.get("HEARBACK_FULL") else 12
LANES = 2


@dataclass(frozen=True, slots=True)
class Point:
    """A place of the story, and what happens there."""

    place: int
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.what} (place {self.place})"


@dataclass
class Lane:
    """One sandbox CRM and one driver; plays one story after another, each on fresh databases."""

    server: str
    template: str
    folder: Path
    number: int
    crm: SandboxProcess
    driver: subprocess.Popen[str]
    told: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def fresh(self) -> Iterator["Run"]:
        name = f"crash_{self.number}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(self.template))
            )
            # Processes are killed here, never the server.
            connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
        shift = (crash_scenario.START - datetime.now(UTC)).total_seconds()
        with psycopg.connect(at(self.server, name), autocommit=True) as connection:
            connection.execute("UPDATE clock SET shift = make_interval(secs => %s)", (shift,))
        self._clear_crm(shift)
        yield Run(self, at(self.server, name), shift)

    def _clear_crm(self, shift: float) -> None:
        with psycopg.connect(self.crm.database_url, autocommit=True) as connection:
            connection.execute("TRUNCATE sandbox.record, sandbox.effect_log, sandbox.request_log")
            connection.execute("ALTER SEQUENCE sandbox.change_seq RESTART")
        self.crm.control("clock", {"shift_seconds": shift})
        for user, name in crash_scenario.USERS.items():
            email = f"{name.lower()}@nordhammer.example"
            self.crm.create("users", {"Name": name, "Email": email, "IsActive": True}, id_=user, actor="admin")

    def play(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.driver.stdin.write(json.dumps(order) + "\n")
        self.driver.stdin.flush()
        told: dict[str, Any] = json.loads(self.driver.stdout.readline())
        return told


@dataclass(frozen=True, slots=True)
class Run:
    """A story on databases of its own."""

    lane: Lane
    database: str
    shift: float

    def play(self, **fault: object) -> dict[str, Any]:
        order = {"database": self.database, "crm": self.lane.crm.url, "folder": str(self.lane.folder)}
        return self.lane.play({**order, "shift": self.shift, **fault})

    @property
    def state(self) -> State:
        return state_of(self.database, self.lane.crm.database_url)

    @property
    def repeated(self) -> list[str]:
        """Say which commands took effect more than once, or never reached the CRM."""
        effects = effects_of(self.database, self.lane.crm.database_url)
        return [
            f"command {command} had the effects {dict(counts)}"
            for command, counts in effects.items()
            if counts["created"] + counts["updated"] > 1 or not counts
        ]


@dataclass
class Stage:
    """The lanes, and how the story ends without a fault."""

    lanes: list[Lane]
    places: list[str]
    sites: list[str]
    reference: State

    @property
    def points(self) -> list[Point]:
        """Every point there is: what the story itself came past, three ways each."""
        return [Point(n, kind, what) for n, what in enumerate(self.places) for kind in crash_driver.KINDS]

    def over(self, points: list[Point], check: Callable[[Lane, Point], list[str]]) -> list[str]:
        """Check points on all lanes at once; return what is wrong."""
        free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self.lanes:
            free.put(lane)

        def one(point: Point) -> list[str]:
            lane = free.get()
            try:
                return [f"{point}: {wrong}" for wrong in check(lane, point)]
            finally:
                free.put(lane)

        with ThreadPoolExecutor(len(self.lanes)) as pool:
            return [wrong for found in pool.map(one, points) for wrong in found]


@pytest.fixture(scope="module")
def stage(postgres: str, template: str) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        crash_scenario.write_organisation(folder / "config")
        lanes = [stack.enter_context(_lane(postgres, folder, number)) for number in range(LANES)]
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE crash TEMPLATE {}").format(sql.Identifier(template)))
        with Store(at(postgres, "crash")) as store:
            published = publishing.publish(store, folder / "config")
            assert published.hash, published.complaints
        with lanes[0].fresh() as run:
            told = run.play()
            assert told["code"] == 0, told["error"]
            assert not run.repeated
            yield Stage(lanes, told["places"], told["sites"], run.state)


@contextmanager
def _lane(postgres: str, folder: Path, number: int) -> Iterator[Lane]:
    name = f"crash_crm_{number}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    driver = [sys.executable, str(Path(crash_driver.__file__))]
    crm = SandboxProcess(at(postgres, name), token=crash_scenario.TOKEN, search_lag=crash_driver.SEARCH_LAG)
    with crm, subprocess.Popen(driver, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Lane(postgres, "crash", folder, number, crm, process)
        assert process.stdin is not None
        process.stdin.close()
