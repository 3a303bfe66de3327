"""One running BottleCRM: its database, its people, and the ways in that people have."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import requests
from psycopg import sql

from connector.adapters.sandbox.process import free_port

OVERLAY = Path(__file__).with_name("overlay")
ROLE = "bottlecrm"
ORG = "Nordhammer"


@dataclass(frozen=True)
class Member:
    """Somebody with a user in the CRM: `profile` is what owns records, `token` and `jwt` are their own."""

    email: str
    profile: str
    token: str = field(repr=False)
    jwt: str = field(repr=False)


class BottleCrm:
    """BottleCRM on gunicorn. As a context: its database made, started, and stopped at the end.

    `postgres` is the URL of a server where databases may be made; BottleCRM gets a role of its own there that is no
    superuser, as its row-level security wants it.
    """

    def __init__(
        self,
        python: Path,
        postgres: str,
        database: str,
        people: Sequence[Mapping[str, object]],
        *,
        workers: int = 1,
        threads: int = 4,
        timezone: str = "Europe/Berlin",
        broker: str = "",
    ) -> None:
        self._python, self._postgres, self._database = python, postgres, database
        self._wanted = {"org": ORG, "timezone": timezone, "people": list(people)}
        self._workers, self._threads = workers, threads
        self._broker = broker
        self._folder = Path(tempfile.mkdtemp(prefix="bottlecrm-"))
        self._key = secrets.token_urlsafe(48)
        self._child: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.org = ""
        self.people: dict[str, Member] = {}

    @property
    def url(self) -> str:
        """Return the address of the CRM."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """Return where its own tables are."""
        return self._postgres.replace("/postgres?", f"/{self._database}?", 1)

    def __enter__(self) -> Self:
        self._make_database()
        self._manage("migrate", "-v0", "--run-syncdb")
        made = json.loads(self._python_run([str(OVERLAY / "bootstrap.py")], json.dumps(self._wanted).encode()))
        self.org = made["org"]
        self.people = {email: Member(email, **known) for email, known in made["people"].items()}
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start serving and wait until it answers."""
        argv = [str(self._python), "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--preload"]
        argv += ["--workers", str(self._workers), "--threads", str(self._threads), "--keep-alive", "30"]
        with (self._folder / "server.txt").open("ab") as log:
            self._child = subprocess.Popen(
                [*argv, "bc_wsgi:application"],
                env=self._environment(),
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"BottleCRM did not start: {self.log()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the process with its workers."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                # Its database goes too: nothing is worth a graceful end, which waits for kept connections.
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait(20)

    def cpu_seconds(self) -> float:
        """Return the processor time its processes have had, without its database's."""
        assert self._child is not None
        parent = psutil.Process(self._child.pid)
        return sum(sum(each.cpu_times()[:2]) for each in (parent, *parent.children(recursive=True)))

    def log(self) -> str:
        """Return what the CRM wrote down."""
        return (self._folder / "server.txt").read_text(errors="replace")

    def call(self, method: str, path: str, body: object = None, *, by: str, jwt: bool = False) -> Any:
        """Work in the CRM as one of its people, by their own token; return the answer's JSON."""
        member = self.people[by]
        answer = requests.request(
            method,
            self.url + path,
            json=body,
            headers={"Authorization": f"Bearer {member.jwt if jwt else member.token}"},
            timeout=30,
            proxies={"http": ""},
        )
        if not answer.ok:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def execute(self, statement: str, *parameters: object) -> None:
        """Change the CRM's own tables, for what its API does not do."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement, parameters)  # type: ignore[arg-type] # a literal of a test

    def token(self, email: str, scopes: Sequence[str]) -> str:
        """Return a token of somebody's that may do only this."""
        given = {"name": "narrow", "scopes": list(scopes)}
        return str(self.call("POST", "/api/profile/tokens/", given, by=email, jwt=True)["token"])

    def webhook_to(self, address: str, *, by: str, events: Sequence[str]) -> str:
        """Add an endpoint for the CRM's webhooks as an admin does, signed in; return its secret."""
        made = self.call("POST", "/api/webhooks/", {"url": address, "events": list(events)}, by=by, jwt=True)
        return str(made["secret"])

    def telephony(self, *, by: str, deal: str, seconds: int, direction: str = "outbound") -> None:
        """Have the telephony write down a call of somebody's about a deal."""
        told = {"org": self.org, "profile": self.people[by].profile, "deal": deal}
        call = json.dumps({**told, "seconds": seconds, "direction": direction}).encode()
        self._python_run([str(OVERLAY / "telephony.py")], call)

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read the CRM's own tables, for what its API does not show."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type] # a literal of a test

    def _make_database(self) -> None:
        name, role = sql.Identifier(self._database), sql.Identifier(ROLE)
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone()
            if not known:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER PASSWORD {}").format(role, sql.Literal(ROLE))
                )
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))

    def _environment(self) -> dict[str, str]:
        parts = urlsplit(self._postgres)
        host = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])[0]
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYENV", "VIRTUAL_ENV"))},
            # Where gunicorn puts its control socket.
            "HOME": str(self._folder),
            "PYTHONPATH": str(OVERLAY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "bc_settings",
            "ENV_TYPE": "dev",
            "SECRET_KEY": self._key,
            "DBNAME": self._database,
            "DBUSER": ROLE,
            "DBPASSWORD": ROLE,
            "DBHOST": host,
            "DBPORT": str(parts.port or ""),
            "DB_POOL_ENABLED": "true",
            "DB_POOL_MIN_SIZE": "1",
            "BC_BROKER": self._broker,
        }

    def _manage(self, *arguments: str) -> None:
        self._python_run(["-m", "django", *arguments])

    def _python_run(self, arguments: list[str], given: bytes = b"") -> bytes:
        done = subprocess.run(
            [str(self._python), *arguments],
            input=given,
            env=self._environment(),
            cwd=self._folder,
            capture_output=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[-1]} failed: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/healthz/", timeout=2, proxies={"http": ""}).ok
        return False
