"""The `hearback` command on a database and a folder of a test's own."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from click.testing import CliRunner, Result
from web_support import ENVIRON, SECRET_KEY, free_port

from connector import publishing
from connector.cli import main
from connector.services import Services
from connector.settings import default_folder
from connector.store import Store
from connector.vault import Vault

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@dataclass
class Desk:
    """A terminal: the environment a person has set, and the folder they edit."""

    url: str
    config: Path
    data: Path
    crm_port: int
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: object, said: str = "", **environment: str | None) -> Result:
        """Run the command in this process; `said` is typed in, `environment` is laid over the desk's own."""
        given = [str(argument) for argument in arguments]
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            variables = {**self.environment, **environment}
            return CliRunner(catch_exceptions=False).invoke(main, given, input=said, env=variables)
        finally:
            # A command sets up the logs of its process, and this process is ours.
            root.handlers[:] = handlers
            root.setLevel(level)

    def start(self, *arguments: object, **options: object) -> "subprocess.Popen[str]":
        """Run the command as a process of its own."""
        command = [sys.executable, "-m", "connector.cli", *(str(argument) for argument in arguments)]
        return subprocess.Popen(command, env={**os.environ, **self.environment}, text=True, **options)  # type: ignore[call-overload, no-any-return]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.config / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    @contextmanager
    def services(self) -> Iterator[Services]:
        """Open what a worker has, with the desk's folder published."""
        with Store(self.url, size=2) as store:
            published = publishing.publish(store, self.config)
            assert published.hash, published.complaints
            yield Services(store, Vault(SECRET_KEY), environ={**os.environ, **self.environment})

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement.encode()).fetchall()


def desk_on(url: str, folder: Path) -> Desk:
    """Set up a desk with a copy of the sample organisation, whose sandbox CRM has a port of its own."""
    port = free_port()
    desk = Desk(url, Path(shutil.copytree(default_folder(), folder / "config")), folder / "data", port)
    desk.edit("hearback.yaml", ":8651", f":{port}")
    desk.environment |= ENVIRON | {
        "HEARBACK_CONFIG": str(desk.config),
        "HEARBACK_DATABASE_URL": url,
        "HEARBACK_DATA": str(desk.data),
        "HEARBACK_SECRET_KEY": SECRET_KEY,
    }
    return desk


def refused(result: Result, *words: str, code: int = 1) -> None:
    """Check that a command ended with one clear line and no traceback."""
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("hearback: ")
    for word in words:
        assert word in lines[0]


def wait_until(done: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def without(environment: Mapping[str, str], *names: str) -> dict[str, str | None]:
    """Return an environment for `Desk.run` that lacks some variables."""
    return {**environment, **dict.fromkeys(names)}
