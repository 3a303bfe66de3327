"""What the demo needs before it starts: secrets, a copy of the sample organisation, free ports."""

import csv
import os
import secrets
import shutil
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from connector.settings import default_folder

SECRETS = (
    "HEARBACK_SANDBOX_TOKEN",
    "HEARBACK_SANDBOX_WEBHOOK_SECRET",
    "HEARBACK_FORM_TOKEN",
    "HEARBACK_FORM_US_TOKEN",
    "HEARBACK_TYPEFORM_TOKEN",
    "HEARBACK_TYPEFORM_SECRET",
    "HEARBACK_API_KEY",
)
PORT, CRM_PORT = 8650, 8651
#: In the demo this rep may have one open lead, so that a second one has to wait.
FULL_REP, HER_LIMIT = "katrin.seidel", "24"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything listens, and where the demo's configuration lies."""

    folder: Path
    config: Path
    port: int
    crm_port: int

    @property
    def url(self) -> str:
        """Return the address of the web half."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def crm_url(self) -> str:
        """Return the address of the sandbox CRM."""
        return f"http://127.0.0.1:{self.crm_port}"


def prepare(folder: Path) -> Stage:
    """Write the demo's configuration and put its secrets into the environment of this process."""
    folder.mkdir(parents=True)
    # The embedded server may run as a user of its own and must get through.
    folder.chmod(0o755)
    os.environ["HEARBACK_DATA"] = str(folder)
    os.environ["HEARBACK_DEMO"] = "1"
    for name in SECRETS:
        os.environ.setdefault(name, secrets.token_urlsafe(24))
    stage = Stage(folder, folder / "config", free_port(PORT), free_port(CRM_PORT))
    shutil.copytree(default_folder(), stage.config)
    _edit(stage.config / "hearback.yaml", f":{PORT}", f":{stage.port}")
    _edit(stage.config / "hearback.yaml", f":{CRM_PORT}", f":{stage.crm_port}")
    _limit(stage.config / "people.csv")
    os.environ["HEARBACK_CONFIG"] = str(stage.config)
    return stage


def wait_until_ready(stage: Stage, stop: threading.Event, patience: float) -> bool:
    """Wait until the web half and the sandbox CRM with its users answer."""
    deadline = time.monotonic() + patience
    while not stop.is_set() and time.monotonic() < deadline:
        if _answers(f"{stage.url}/readyz") and _has_users(stage):
            return True
        time.sleep(0.1)
    return False


def free_port(wanted: int) -> int:
    """Return the wanted port if nobody listens there, else any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def session() -> requests.Session:
    """Return an HTTP session that ignores proxies: everything is on this machine."""
    direct = requests.Session()
    direct.trust_env = False
    return direct


def crm_session() -> requests.Session:
    """Return a session that may use the sandbox CRM."""
    direct = session()
    direct.headers["Authorization"] = f"Bearer {os.environ['HEARBACK_SANDBOX_TOKEN']}"
    return direct


def _answers(url: str) -> bool:
    try:
        return session().get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _has_users(stage: Stage) -> bool:
    people = csv.DictReader((stage.config / "people.csv").open(encoding="utf-8"))
    users = [row["user:sandbox"] for row in people if row["user:sandbox"]]
    try:
        with crm_session() as crm:
            return all(crm.get(f"{stage.crm_url}/api/users/{user}", timeout=2).ok for user in reversed(users))
    except requests.RequestException:
        return False


def _edit(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def _limit(people: Path) -> None:
    lines = people.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [line.replace(f",{HER_LIMIT},", ",1,") if line.startswith(FULL_REP) else line for line in lines]
    people.write_text("".join(changed), encoding="utf-8")
