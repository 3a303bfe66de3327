"""`hearback serve`: one command runs everything, keeps it running, and takes everything along when it ends."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from cli_support import Desk, desk_on, refused, wait_until
from web_support import FORM, free_port, fresh_database

#: What runs, by a word of its command line.
PARTS = ("granian", "worker", "adapters.sandbox")
GRETA = {"vorname": "Greta", "nachname": "Ohlsen", "email": "g.ohlsen@ohlsen-bau.example", "plz": "20095"}


@dataclass
class Served:
    """A running `hearback serve`, its desk and its address."""

    desk: Desk
    base: str
    process: "subprocess.Popen[str]"
    log: Path

    def children(self) -> dict[str, psutil.Process]:
        """Return the processes it started, by what they are."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                words = child.cmdline()
                found |= {name: child for name in PARTS if any(name in word for word in words[1:])}
        return found

    def ready(self) -> str:
        """Return what /readyz says; "" while nothing answers."""
        try:
            return requests.get(f"{self.base}/readyz", timeout=5).text
        except requests.RequestException:
            return ""


@contextmanager
def served(url: str, folder: Path) -> Iterator[Served]:
    desk = desk_on(url, folder)
    port, log = free_port(), folder / "log"
    with log.open("wb") as stream:
        process = desk.start("serve", "--port", port, "--workers", 1, stdout=stream, stderr=stream)
    running = Served(desk, f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until(lambda: running.ready().startswith("ready") or process.poll() is not None)
        wait_until(lambda: len(running.children()) == 3 or process.poll() is not None)
        yield running
    finally:
        process.terminate()
        process.wait(40)


@pytest.fixture(scope="module")
def running(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with fresh_database(postgres, template) as url, served(url, tmp_path_factory.mktemp("serve")) as started:
        yield started


@pytest.fixture
def ending(database_url: str, tmp_path: Path) -> Iterator[Served]:
    """One that does not survive the test."""
    with served(database_url, tmp_path) as started:
        yield started


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_a_post_becomes_a_lead_in_the_crm_and_a_change_of_the_folder_is_taken_up(running: Served) -> None:
    requests.post(running.base + FORM, data=GRETA, timeout=10).raise_for_status()
    wait_until(lambda: running.desk.query("SELECT FROM command WHERE purpose = 'assign' AND state = 'done'"))
    (lead,) = json.loads(running.desk.run("leads", "list", "--json").stdout)
    assert lead["owner"]
    assert json.loads(running.desk.run("leads", "show", lead["id"], "--json").stdout)["record"]

    first = running.ready()
    running.desk.edit("routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    wait_until(lambda: running.ready() not in ("", first))

    second = running.ready()
    running.desk.edit("routing.yaml", 'max_hold: "5h"', 'max_hold: "soon"')
    wait_until(lambda: "the last good version stays in force" in running.log.read_text())
    assert "routing.yaml:" in running.log.read_text()
    assert running.ready() == second


def test_whatever_is_killed_runs_again(running: Served) -> None:
    before = running.children()

    before["granian"].kill()
    # A worker told to end does so normally: that is no reason to stay away either.
    before["worker"].terminate()
    before["adapters.sandbox"].kill()

    wait_until(lambda: running.children().keys() == before.keys())
    wait_until(lambda: running.ready().startswith("ready"))
    assert not {p.pid for p in running.children().values()} & {p.pid for p in before.values()}


def test_a_polite_stop_ends_every_child_first(ending: Served) -> None:
    everything = psutil.Process(ending.process.pid).children(recursive=True)

    ending.process.terminate()

    assert ending.process.wait(40) == 0
    assert gone(everything)


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere a thread looks every second")
def test_nothing_outlives_a_killed_serve(ending: Served) -> None:
    everything = psutil.Process(ending.process.pid).children(recursive=True)
    assert len(everything) >= 4

    ending.process.kill()

    wait_until(lambda: gone(everything))


def test_a_secret_the_sandbox_needs_is_asked_for_by_name(database_url: str, tmp_path: Path) -> None:
    desk = desk_on(database_url, tmp_path)

    result = desk.run("serve", HEARBACK_SANDBOX_TOKEN=None)

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("hearback: secret HEARBACK_SANDBOX_TOKEN is not set")


def test_a_broken_folder_is_refused_at_the_first_start(database_url: str, tmp_path: Path) -> None:
    desk = desk_on(database_url, tmp_path)
    (desk.config / "people.csv").unlink()

    result = desk.run("serve")

    assert result.exit_code == 1
    assert "run `hearback check`" in result.stderr.splitlines()[-1]


def test_serving_from_a_folder_that_is_not_there_is_refused(database_url: str, tmp_path: Path) -> None:
    desk = desk_on(database_url, tmp_path)

    refused(desk.run("serve", HEARBACK_CONFIG=str(tmp_path / "nowhere")), "nowhere")
