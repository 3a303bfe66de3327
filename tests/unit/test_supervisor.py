"""The parts of one machine: whatever ends is started again, and nothing outlives the supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from connector import supervisor
from connector.supervisor import Child

FOREVER = "import time; time.sleep(600)"
#: Says when it takes signals, and ignores the polite one.
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        if child.process is not None and child.process.poll() is None:
            child.process.kill()
            child.process.wait(10)


def a_child(code: str, log: Path | None = None) -> Child:
    return Child("child", [sys.executable, "-c", code], log=log)


def keep_until(child: Child, done: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        supervisor.keep(child, os.environ)
        time.sleep(0.02)


@pytest.mark.parametrize("code", [0, 1, 143])
def test_a_child_that_ends_is_started_again_whatever_its_exit_code(code: int, children, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    child = a_child(f"open({str(starts)!r}, 'a').write('x'); raise SystemExit({code})")
    children.append(child)

    keep_until(child, lambda: starts.exists() and len(starts.read_text()) >= 3)


def test_a_killed_child_is_started_again(children) -> None:
    child = a_child(FOREVER)
    children.append(child)
    supervisor.keep(child, os.environ)
    first = child.process
    assert first is not None

    first.kill()
    first.wait(10)
    keep_until(child, lambda: child.process not in (None, first))

    assert child.process is not None
    assert child.process.poll() is None


def test_a_child_that_ends_at_once_is_started_later_and_later_up_to_a_ceiling(children) -> None:
    child = a_child("raise SystemExit(1)")
    children.append(child)
    waits = []

    for _ in range(8):
        child.due = 0.0
        supervisor.keep(child, os.environ)
        assert child.process is not None
        child.process.wait(20)
        supervisor.keep(child, os.environ)
        waits.append(child.wait)

    assert waits == sorted(waits)
    assert waits[0] < waits[3] < supervisor.LONGEST_WAIT
    assert waits[-1] == supervisor.LONGEST_WAIT


def test_waiting_for_a_child_does_not_hold_up_the_others(children) -> None:
    child = a_child("raise SystemExit(1)")
    children.append(child)
    supervisor.keep(child, os.environ)
    assert child.process is not None
    child.process.wait(20)
    child.wait = supervisor.LONGEST_WAIT

    before = time.monotonic()
    supervisor.keep(child, os.environ)

    assert time.monotonic() - before < 1
    assert child.process is None


def test_a_child_that_ran_well_starts_again_at_once_after_earlier_trouble(children) -> None:
    child = a_child("raise SystemExit(1)")
    children.append(child)
    child.wait = supervisor.LONGEST_WAIT
    supervisor.keep(child, os.environ)
    assert child.process is not None
    child.process.wait(20)
    child.started -= supervisor.HEALTHY + 1

    supervisor.keep(child, os.environ)

    assert child.wait == supervisor.FIRST_WAIT


def test_a_childs_own_variables_reach_it_and_its_output_goes_to_the_log(children, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = a_child("import os, sys; print(os.environ['OF_THE_CHILD']); print('oops', file=sys.stderr)", log=log)
    child.variables = {"OF_THE_CHILD": "only its own"}
    children.append(child)
    supervisor.keep(child, os.environ)
    assert child.process is not None
    child.process.wait(20)

    written = log.read_text()

    assert "only its own" in written
    assert "oops" in written


def test_ending_ends_every_child(children) -> None:
    children += [a_child(FOREVER), a_child(FOREVER), a_child(FOREVER)]
    for child in children[:2]:
        supervisor.keep(child, os.environ)

    supervisor.end_all(children)

    assert [child.process and child.process.poll() for child in children] == [-15, -15, None]


def test_a_child_that_will_not_end_is_killed(children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.5)
    log = tmp_path / "log"
    child = a_child(STUBBORN, log=log)
    children.append(child)
    keep_until(child, lambda: log.exists() and "deaf" in log.read_text())

    supervisor.end_all(children)

    assert child.process is not None
    assert child.process.wait(10) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread looks every second")
def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """What the supervisor starts asks to die with it (see connector.processes)."""
    child = (
        "import os, time; from connector.processes import die_with_parent; "
        "die_with_parent(int(os.environ['HEARBACK_PARENT'])); print('watching', flush=True); time.sleep(600)"
    )
    parent = (
        "import os, sys, time; from pathlib import Path; from connector import supervisor; "
        f"child = supervisor.Child('c', [sys.executable, '-c', {child!r}], log=Path({str(tmp_path / 'log')!r})); "
        "supervisor.keep(child, {**os.environ, 'HEARBACK_PARENT': str(os.getpid())}); "
        "print(child.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        grandchild = psutil.Process(int(killed.stdout.readline()))
        wait_for(lambda: "watching" in (tmp_path / "log").read_text())

        killed.kill()
        killed.wait(10)

    wait_for(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    """The parent may die between the fork and the wish to die with it."""
    code = "from connector.processes import die_with_parent; die_with_parent(1 << 22); import time; time.sleep(600)"

    ended = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)

    assert ended.returncode == -signal.SIGTERM


def wait_for(done: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
