"""Killed at any commit and at any call to a CRM, and started again, everything ends as if nothing had happened."""

import ast
import json
import os
import queue
import subprocess
import sys
import tempfile
import zlib
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
from crash_state import State, difference, effects_of, state_of
from psycopg import sql

from connector import flows, publishing
from connector.adapters.sandbox.process import SandboxProcess
from connector.store import Store

LANES = 2


def at(server: str, database: str) -> str:
    """Return the URL of another database on the server."""
    return server.replace("/postgres?", f"/{database}?", 1)


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
                wrong = [f"{point}: {line}" for line in check(lane, point)]
            finally:
                free.put(lane)
            # All points together take long; this is seen with -s.
            print(".", *wrong, sep="\n" if wrong else "", end="", flush=True)
            return wrong

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


def chosen(points: list[Point]) -> list[Point]:
    """Return all points with HEARBACK_FULL=1; otherwise one of each kind in each part of each flow."""
    if os.environ.get("HEARBACK_FULL"):
        return points
    alike: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        alike.setdefault((point.what, point.kind), []).append(point)
    # Any of them will do; which one must not change from run to run.
    return [some[zlib.crc32(f"{what}/{kind}".encode()) % len(some)] for (what, kind), some in alike.items()]


def _played(run: Run, point: Point, **more: object) -> list[str]:
    told = run.play(at=point.place, kind=point.kind, **more)
    if told["places"][point.place : point.place + 1] != [point.what]:
        return [f"the run never came there: {told['error']}"]
    if told["code"] == crash_driver.KILLED:
        told = run.play(**more)
    return [told["error"]] if told["code"] else run.repeated


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_wherever_it_breaks_off_the_story_ends_the_same(stage: Stage) -> None:
    """P1, P2, P3, P5: nothing is lost, nothing happens twice."""

    def check(lane: Lane, point: Point) -> list[str]:
        with lane.fresh() as run:
            return _played(run, point) or difference(stage.reference, run.state)

    points = chosen(stage.points)
    wrong = stage.over(points, check)

    print(f"{len(points)} of {len(stage.points)} fault points, {len(stage.places)} places")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_without_looking_before_sending_again_the_same_check_fails(stage: Stage) -> None:
    """P5, the mutant: a task whose answer was lost is there twice."""
    point = next(p for p in stage.points if p.what.startswith("POST /api/batch/tasks") and p.kind == "lost")

    with stage.lanes[0].fresh() as run:
        wrong = _played(run, point, mutant=True)

    assert any("'created': 2" in line for line in wrong)


#: Transactions the story need not come past, and why.
ELSEWHERE = {
    "batches._count_failure": "a delivery that breaks the program: tests of intake",
    "batches._one_by_one": "the same",
    "feedback.invitation": "reads only",
    "audit.entries": "reads only",
    "verify.verify": "reads only",
    "verify.check": "reads only",
    "responses.work": "reads only",
    "captcha._settle": "the story has no captcha: tests of captchas kill around each step",
    "captcha.work": "the same",
    "balance._leads": "reads only",
    "replay.what_if": "reads only",
    "replay._first_shown": "reads only",
    "replay._taken": "reads only",
    "replay._runs": "reads only",
    "replay._entries": "reads only",
    "reroute.affected": "reads only",
    "reroute._work_batch": "by hand, after a publication: tests of the rules' commands",
    "responses._remind": "the story's owners are given no time to respond: tests of responses",
    "responses._settle": "the same",
    "alerting._not_sent": "nothing is amiss in the story: tests of alerts",
    "alerting.send_next": "nothing is amiss in the story: tests of alerts",
    "alerting.watch": "nothing is amiss in the story: tests of alerts",
    "card_page.find": "reads only",
    "catching_up._pause_of": "reads only",
    "catching_up.count": "reads only",
    "catching_up.mirror_of": "reads only",
    "catching_up.catch_up": "by hand: tests of the commands for connections",
    "connection_status.status": "reads only",
    "rereading.work": "the story's CRM sends its records: tests of re-reading",
    "rereading._record": "the same",
    "responses._only_observed": "reads only",
    "rest.pause_for": "the story's CRM asks for no rest: tests of re-reading and calls",
    "keying.mailed": "reads only",
    "keying.token_of": "reads only",
    "keying.readings": "reads only",
    "keying.key": "the story's cards are a house's: tests of keying",
    "keying.key_again": "the same",
    "keying.settle": "the same",
    "comparing.compare_campaign": "reads only",
    "erasing._begin": "nobody asks to be forgotten: tests of rights kill at each commit",
    "erasing._clear": "nobody asks to be forgotten: tests of rights kill at each commit",
    "erasing._clear_leads": "nobody asks to be forgotten: tests of rights kill at each commit",
    "erasing._look_and_clear": "nobody asks to be forgotten: tests of rights kill at each commit",
    "erasing.erase": "nobody asks to be forgotten: tests of rights kill at each commit",
    "erasing.preview": "reads only",
    "exporting.consents_of": "reads only",
    "exporting.export": "reads only",
    "fetch._record": "no sender of the story keeps its leads: tests of the second fetch kill around each step",
    "fetch.seconds_to_next": "reads only",
    "fetch.work": "no sender of the story keeps its leads: tests of the second fetch kill around each step",
    "importing._bodies": "reads only",
    "inspecting._inspect": "reads only",
    "inspecting.release": "by hand, in the console: tests of the console",
    "inspecting.release_all": "by hand, in the console: tests of the console",
    "inspecting.reveal": "by hand, in the console: tests of the console",
    "learning.learn": "reads only",
    "mailing._add": "by hand, before a mailing: tests of cards",
    "mailing._changed": "by hand, before a mailing: tests of cards",
    "mailing._sent": "by hand, before a mailing: tests of cards",
    "mailing.send": "by hand, before a mailing: tests of cards",
    "searching.person": "reads only",
    "searching.scan": "reads only",
    "users.add": "accounts of the console: tests of the console",
    "users.in_session": "reads only",
    "users.named": "reads only",
    "users.set_password": "accounts of the console: tests of the console",
    "users.sign_in": "accounts of the console: tests of the console",
}


@pytest.mark.slow
def test_the_story_comes_past_every_transaction_of_the_flows(stage: Stage) -> None:
    """The points are complete only if no flow commits behind the story's back."""
    written = set()
    for file in Path(flows.__path__[0]).glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and any(map(_opens_transaction, ast.walk(function))):
                written.add(f"{file.stem}.{function.name}")
    reads_only = {name for name in written if name.startswith("reading.")}

    assert sorted((written - reads_only - set(stage.sites)) ^ ELSEWHERE.keys()) == []


def _opens_transaction(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"transaction", "statement"}
    )
