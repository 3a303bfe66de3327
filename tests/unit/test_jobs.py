"""Wake-ups: a job runs once at a time in a process, none is lost, and a running one needs no other process."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from connector import jobs
from connector.jobs import Singly, Workers


def test_a_call_during_a_run_means_one_more_run() -> None:
    singly, rounds = Singly(), []

    def work() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            singly.run("intake", work)
            assert singly.again("intake")

    singly.run("intake", work)

    assert len(rounds) == 2
    assert not singly.again("intake")


def test_a_failed_run_leaves_the_way_free() -> None:
    singly = Singly()

    with pytest.raises(ZeroDivisionError):
        singly.run("intake", lambda: 1 / 0)  # type: ignore[arg-type, return-value]

    assert not singly.again("intake")


def workers(monkeypatch: pytest.MonkeyPatch, once: Any) -> tuple[Any, list[str]]:
    """Return workers on two connections with one job, and the wake-ups that leave the process."""
    sent: list[str] = []
    settings = SimpleNamespace(connections={"north": None, "south": None})
    services: Any = SimpleNamespace(wake=sent.append, current=lambda: SimpleNamespace(settings=settings))
    made = Workers(services)
    monkeypatch.setattr(made, "_once", lambda job: once(made, job))
    # What other tests of this process called is not theirs to put down.
    monkeypatch.setattr(jobs.calls, "flush", lambda _services: None)
    return made, sent


def test_a_running_job_takes_its_wake_ups_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[str] = []

    def once(made: Workers, job: str) -> int:
        rounds.append(job)
        if len(rounds) == 1:
            made.services.wake("commands")
        return 0

    made, sent = workers(monkeypatch, once)
    made.run("commands:north")

    assert rounds == ["commands:north", "commands:north"]
    assert sent == ["commands:south"]


def test_a_backlog_asks_other_processes_for_help(monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter(range(jobs.LEND_A_HAND + 2, -1, -1))
    made, sent = workers(monkeypatch, lambda _made, _job: next(left))

    made.run("intake")

    assert sent == ["intake", "intake"]


def test_stopping_ends_a_run_between_two_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = threading.Semaphore(3)

    def once(made: Workers, _job: str) -> int:
        if not rounds.acquire(blocking=False):
            made.stopping.set()
        return 1

    made, _ = workers(monkeypatch, once)
    made.run("intake")

    assert made.stopping.is_set()
