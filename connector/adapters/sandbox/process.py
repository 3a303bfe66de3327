"""Start and stop the sandbox CRM as a process of its own: for the demo, and for tests that kill it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import requests

from connector.errors import ConfigurationError

_LOOK_SECONDS = 0.05
_STOP_SECONDS = 10.0


def command(
    *,
    port: int,
    host: str = "127.0.0.1",
    webhook_url: str = "",
    search_lag: float = 2.0,
    duplicate_email: str = "allow",
    die_with: int | None = None,
) -> list[str]:
    """Return the argument vector that runs a sandbox CRM; secrets travel in `environment`.

    `die_with` is the pid of the parent the process is to end with.
    """
    argv = [sys.executable, "-m", "connector.adapters.sandbox", "--host", host, "--port", str(port)]
    argv += ["--search-lag", str(search_lag), "--duplicate-email", duplicate_email]
    if webhook_url:
        argv += ["--webhook-url", webhook_url]
    if die_with is not None:
        argv += ["--die-with-parent", str(die_with)]
    return argv


def environment(*, database_url: str, token: str, webhook_secret: str = "") -> dict[str, str]:
    """Return the variables a sandbox CRM reads, to be laid over the environment of its process."""
    return {
        "SANDBOX_DATABASE_URL": database_url,
        "SANDBOX_TOKEN": token,
        "SANDBOX_WEBHOOK_SECRET": webhook_secret,
    }


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(slots=True)
class SandboxProcess:
    """One sandbox CRM, which keeps its address over restarts. As a context: started, then stopped.

    `admin` is the way in for people: what it writes is done by `actor`, and never meets a fault.
    """

    database_url: str
    token: str = field(repr=False, default="sandbox-token")
    webhook_url: str = ""
    webhook_secret: str = field(repr=False, default="sandbox-webhook-secret")
    search_lag: float = 2.0
    duplicate_email: str = "allow"
    port: int = field(default_factory=free_port)
    _child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address of the CRM."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, patience: timedelta = timedelta(seconds=30)) -> None:
        """Start the process and wait until it answers.

        Raises:
            ConfigurationError: it ended, or did not answer in time.
        """
        self._child = subprocess.Popen(self._argv(), env={**os.environ, **self._environment()})  # noqa: S603
        self._await(time.monotonic() + patience.total_seconds())

    def stop(self) -> None:
        """End the process in good order."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """End the process as a power cut would."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(_STOP_SECONDS)

    def control(self, what: str, settings: Mapping[str, object]) -> None:
        """Post to a control route: faults, clock or rules."""
        self._call("POST", f"/control/{what}", settings)

    def stats(self) -> Mapping[str, Sequence[Mapping[str, object]]]:
        """Return the CRM's own counts."""
        return self._call("GET", "/control/stats", None)

    def create(self, object_: str, fields: Mapping[str, object], *, id_: str | None = None, actor: str) -> str:
        """Create a record as a person working in the CRM; return its id."""
        body = {"fields": fields} | ({"id": id_} if id_ else {})
        return str(self._call("POST", f"/api/{object_}", body, actor)["id"])

    def change(self, object_: str, id_: str, fields: Mapping[str, object], *, actor: str) -> None:
        """Change a record as a person working in the CRM."""
        self._call("PATCH", f"/api/{object_}/{id_}", {"fields": fields}, actor)

    def delete(self, object_: str, id_: str, *, actor: str) -> None:
        """Delete a record as a person working in the CRM."""
        self._call("DELETE", f"/api/{object_}/{id_}", None, actor)

    def read(self, object_: str, id_: str) -> dict[str, Any]:
        """Return the fields of a record in the CRM's own names."""
        return dict(self._call("GET", f"/api/{object_}/{id_}", None, "reader")["fields"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _argv(self) -> list[str]:
        return command(
            port=self.port,
            webhook_url=self.webhook_url,
            search_lag=self.search_lag,
            duplicate_email=self.duplicate_email,
            die_with=os.getpid(),
        )

    def _environment(self) -> dict[str, str]:
        return environment(database_url=self.database_url, token=self.token, webhook_secret=self.webhook_secret)

    def _await(self, deadline: float) -> None:
        while not self._answers():
            if self._child is None or self._child.poll() is not None:
                raise ConfigurationError("the sandbox CRM ended at its start: its message says why")
            if time.monotonic() > deadline:
                self.kill()
                raise ConfigurationError(f"the sandbox CRM does not answer on {self.url}")
            time.sleep(_LOOK_SECONDS)

    def _answers(self) -> bool:
        try:
            with _direct() as session:
                return session.get(f"{self.url}/healthz", timeout=(1, 5)).ok
        except requests.RequestException:
            return False

    def _call(self, method: str, path: str, body: Mapping[str, object] | None, actor: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"X-Acting-User": actor} if actor else {})
        with _direct() as session:
            answer = session.request(method, self.url + path, json=body, headers=headers, timeout=(3, 10))
        if not answer.ok:
            raise ConfigurationError(f"the sandbox CRM refuses {method} {path}: {answer.status_code}")
        return dict(answer.json())


def _direct() -> requests.Session:
    """Return a session that ignores proxies: the CRM is on this machine."""
    session = requests.Session()
    session.trust_env = False
    return session
