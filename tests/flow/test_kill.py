"""The kill test: nothing acknowledged is lost, nothing is done twice, whatever dies by SIGKILL and whenever.

By default a small version runs: 600 submissions and 6 kills, about a minute on two quiet cores. `HEARBACK_FULL=1`
in the environment runs the full one: 5,000 submissions and 24 kills in some three minutes. `HEARBACK_SEED` chooses
another order of submissions and kills; the default is fixed. Both print what was killed and what was in
flight at that moment (`pytest -s` or `-rP` shows it).

After a kill of a worker the commands it had leased wait until the lease runs out (20 s), so every run ends
with a quiet tail of about that length.
"""

import csv
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import kill_checks as expect
import pytest
from kill_checks import Checks
from kill_clients import Clients, submissions
from kill_crm import People
from kill_schedule import Killer
from kill_stage import Stage, stage

FALLBACK = "henrik.voss"
SEED = int(os.environ.get("HEARBACK_SEED", "2026"))


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    submissions: int
    rate: float
    kills: int
    pause: tuple[float, float]
    max_open: int
    closings: float
    deals: int


SMALL = Size(submissions=600, rate=40, kills=6, pause=(0.5, 2.0), max_open=8, closings=10, deals=4)
FULL = Size(submissions=5_000, rate=70, kills=24, pause=(0.8, 3.0), max_open=25, closings=25, deals=30)


@pytest.fixture
def size() -> Size:
    return FULL if os.environ.get("HEARBACK_FULL") == "1" else SMALL


@pytest.fixture
def running(size: Size) -> Iterator[Stage]:
    with stage(max_open=size.max_open) as on_stage:
        yield on_stage


@contextmanager
def explained(running: Stage, killer: Killer) -> Iterator[None]:
    try:
        yield
    except BaseException:
        print(killer.table(), expect.diagnosis(running), sep="\n")
        raise


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_acknowledged_submission_ends_in_one_fate_and_one_effect(running: Stage, size: Size) -> None:
    """P1 to P5, R36, F15: clients repeat, processes die, the CRM fails; the books and the CRM agree in the end."""
    clients = Clients(running.url, submissions(size.submissions, SEED), size.rate)
    people = People(running, SEED, size.closings, size.deals)
    killer = Killer(running, SEED, size.kills, size.pause, lambda: clients.unanswered)
    started = time.monotonic()

    with explained(running, killer), people.at_work(), ThreadPoolExecutor(3) as pool:
        parts = {
            name: pool.submit(_timed, work)
            for name, work in (("posts", clients.run), ("kills", killer.run), ("deals", people.sell))
        }
        ended = {name: part.result() - started for name, part in parts.items()}
    with explained(running, killer):
        settled = expect.wait_until_settled(running)

    with running.watch() as connection:
        check = Checks(connection)
        fates = expect.check_fates(check, clients.receipts)
        expect.check_people(check, [submission.email for submission in clients.todo])
        expect.check_decisions(check)
        at_cap, waited = expect.check_caps(check, size.max_open, fallback=FALLBACK)
        expect.check_ledger(running, check)
        commands, overruled = expect.check_effects(check)
        users = _users(running)
        expect.check_crm_agrees(check, users)
        expect.check_followups(check, size.deals)
        expect.check_attainment(check, users)
        print(_summary(check, clients, people, killer, running))
        print(
            f"fates {dict(fates)}; commands {dict(commands)}\n"
            f"updates repeated over a person's change in between: {overruled}\n"
            f"reps at their cap of {size.max_open}: {at_cap}; leads that had to wait: {waited}\n"
            + "".join(f"{name} {seconds:.0f} s, " for name, seconds in ended.items())
            + f"then {settled:.0f} s until quiet"
        )
    assert clients.ask_again(share=20) == 0
    assert killer.with_work >= min(20, size.kills)
    assert at_cap >= 10
    assert waited > 0
    assert people.done["deals played"] == size.deals


def _timed(work: Callable[[], None]) -> float:
    work()
    return time.monotonic()


def _users(running: Stage) -> dict[str, str]:
    with (running.postgres.folder / "config" / "people.csv").open(encoding="utf-8") as file:
        return {row["key"]: row["user:sandbox"] for row in csv.DictReader(file)}


def _summary(check: Checks, clients: Clients, people: People, killer: Killer, running: Stage) -> str:
    faults = dict(check.rows("SELECT fault, count(*) FROM sandbox.request_log WHERE fault IS NOT NULL GROUP BY 1"))
    calls = check.one("SELECT count(*) FROM sandbox.request_log WHERE path LIKE '/api/batch/%%'")
    doubtful = check.one("SELECT count(*) FROM command WHERE unknown")
    return "\n".join(
        [
            f"\nseed {killer.seed}: {len(clients.todo)} submissions, {len(killer.kills)} kills",
            killer.table(),
            f"kills by kind {dict(killer.by_kind())}, with work in flight {killer.with_work}",
            f"`serve` was started {running.starts} times",
            f"posts repeated {dict(clients.repeats)}; in the CRM {dict(people.done)}",
            f"calls of the CRM with writes {calls}, faults injected {faults}",
            f"commands with an attempt of unknown outcome {doubtful}",
        ]
    )
