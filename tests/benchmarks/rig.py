"""What the benchmarks share: a database, the sample organisation without caps, processes."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import requests

from connector import sandboxing
from connector.adapters.sandbox.process import SandboxProcess, free_port
from connector.publishing import publish
from connector.services import Services
from connector.settings import build, default_folder
from connector.store import Store, embedded, migrations
from connector.vault import Vault

KEY = "benchmark-secret-key-benchmark-secret-key"
TOKENS = {
    "HEARBACK_SANDBOX_TOKEN": "bench-sandbox-token",
    "HEARBACK_SANDBOX_WEBHOOK_SECRET": "bench-webhook-secret",
    "HEARBACK_FORM_TOKEN": "bench-form-token",
    "HEARBACK_FORM_US_TOKEN": "bench-form-us-token",
    "HEARBACK_TYPEFORM_TOKEN": "bench-typeform-token",
    "HEARBACK_TYPEFORM_SECRET": "bench-typeform-secret",
    "HEARBACK_API_KEY": "bench-api-key",
    "HEARBACK_SECRET_KEY": KEY,
}
FORM = "application/x-www-form-urlencoded"


def loop() -> float:
    """Return how long a million additions take now, in seconds: this machine's clock differs by four in minutes."""
    begin, total = time.perf_counter(), 0
    for number in range(1_000_000):
        total += number * number
    return time.perf_counter() - begin


@dataclass
class Rig:
    """A database with the organisation published, and where things listen."""

    folder: Path
    url: str
    crm_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **TOKENS,
            "HEARBACK_DATABASE_URL": self.url,
            "HEARBACK_DATA": str(self.folder),
            "HEARBACK_LOG": "text",
            "HEARBACK_PARENT": str(os.getpid()),
        }

    def services(self) -> Services:
        return Services(Store(self.url).open(), Vault(KEY), environ=self.environment)

    @contextmanager
    def sandbox(self, *, webhooks: bool = False) -> Iterator[SandboxProcess]:
        """Run the sandbox CRM with the organisation's users."""
        hook = f"http://127.0.0.1:{self.web_port}/crm/sandbox" if webhooks else ""
        crm = SandboxProcess(
            self.url,
            token=TOKENS["HEARBACK_SANDBOX_TOKEN"],
            webhook_url=hook,
            webhook_secret=TOKENS["HEARBACK_SANDBOX_WEBHOOK_SECRET"],
            port=self.crm_port,
        )
        with crm:
            with psycopg.connect(self.url) as connection:
                row = connection.execute(
                    "SELECT document FROM configuration JOIN active_configuration USING (hash)"
                ).fetchone()
            assert row is not None
            settings = build(json.loads(bytes(row[0])))
            sandboxing.seed_users(settings, settings.connections["sandbox"], TOKENS)
            yield crm

    @contextmanager
    def process(self, *command: str, log: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one of our processes; its output goes to a file in the rig's folder."""
        with (self.folder / log).open("ab") as output:
            child = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
            try:
                yield child
            finally:
                child.terminate()
                child.wait(40)

    @contextmanager
    def workers(self, count: int = 2) -> Iterator[None]:
        if not count:
            yield
            return
        with self.process(sys.executable, "-m", "connector.cli", "worker", log="worker.log"), self.workers(count - 1):
            yield

    @contextmanager
    def web(self, *, processes: int = 2, threads: int = 8) -> Iterator[str]:
        """Run the web half; yield its address."""
        address = f"http://127.0.0.1:{self.web_port}"
        sizes = ("--processes", str(processes), "--threads", str(threads))
        command = (sys.executable, "-m", "webhooks", "--host", "127.0.0.1", "--port", str(self.web_port), *sizes)
        with self.process(*command, log="web.log"):
            await_http(f"{address}/healthz")
            yield address


@contextmanager
def rig() -> Iterator[Rig]:
    """Make a database of its own with the sample organisation published, without caps on open leads."""
    folder = Path(tempfile.mkdtemp(prefix="hearback-bench-"))
    folder.chmod(0o755)
    try:
        url = embedded.start(folder, owner=True)
        migrations.apply(url)
        made = Rig(folder, url)
        config = folder / "config"
        shutil.copytree(default_folder(), config)
        uncap(config / "people.csv")
        main = config / "hearback.yaml"
        main.write_text(main.read_text("utf-8").replace(":8651", f":{made.crm_port}"), "utf-8")
        with Store(url, size=1) as store:
            published = publish(store, config)
        assert published.hash, published.complaints
        yield made
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def uncap(people: Path) -> None:
    """Take the limits on open leads out of a people.csv: a benchmark wants every lead assigned."""
    rows = list(csv.reader(io.StringIO(people.read_text("utf-8"))))
    column = rows[0].index("max_open")
    for row in rows[1:]:
        row[column] = ""
    with people.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def form_body(number: int) -> bytes:
    """Return a form post of a person of their own, in all three countries."""
    country, code, phone = (
        ("DE", f"{1067 + number * 37 % 98000:05d}", f"030 {20000000 + number}"),
        ("PL", f"{number * 7 % 100:02d}-{number % 1000:03d}", f"+48 22 {1000000 + number % 8999999}"),
        ("US", f"{501 + number * 31 % 98000:05d}", f"+1 212 {2000000 + number % 7999999}"),
    )[number % 3]
    return urlencode(
        {
            "vorname": f"Anna{number}",
            "nachname": "Muster",
            "email": f"person{number}@firma{number}.de",
            "telefon": phone,
            "firma": f"Firma {number} GmbH",
            "plz": code,
            "land": country,
            "nachricht": "Bitte um Rückruf",
            "website": "",
        }
    ).encode()


def load(url: str, bodies: Sequence[bytes], *, connections: int, rate: float | None = None) -> dict[str, Any]:
    """Post bodies from a process of its own; return what it measured."""
    command = [sys.executable, "-m", "tests.benchmarks.load", url, FORM, "--connections", str(connections)]
    command += ["--header", "Accept: application/json"]
    if rate:
        command += ["--rate", str(rate)]
    done = subprocess.run(command, input=b"\n".join(bodies), capture_output=True, check=True, timeout=600)
    return dict(json.loads(done.stdout))


def await_http(url: str, patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            with requests.Session() as session:
                session.trust_env = False
                if session.get(url, timeout=2).status_code < 500:
                    return
        except requests.RequestException:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(0.1)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
