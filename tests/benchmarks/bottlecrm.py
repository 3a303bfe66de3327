"""(k) From POST to the owner readable in BottleCRM, the real one, at a steady rate, with tasks and webhooks."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

# The CRM's server is a helper of the tests, which find it on their own path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bottlecrm_server import office
from bottlecrm_server.install import Lack, installed
from bottlecrm_server.process import BottleCrm

from connector.publishing import publish
from connector.store import Store
from tests.benchmarks.rig import TOKENS, Rig, form_body, load, percentile

RATE = 15
SECONDS = 60
WARM = 60
OFFSET = 7_000_000
#: As many as there are cores, and threads to wait for its database.
WORKERS, THREADS = 2, 4


def bench(rig: Rig) -> dict[str, Any]:
    """Post forms at a fixed rate and look into the CRM's tables for each lead with its owner."""
    python = installed()
    if isinstance(python, Lack):
        return {"skipped": python.reason}
    config = rig.folder / "config"
    with BottleCrm(python, rig.url, "bottlecrm", office.people_of(config), workers=WORKERS, threads=THREADS) as crm:
        _connect(rig, crm, config)
        with rig.web() as address, rig.workers(2):
            url = f"{address}/in/{TOKENS['HEARBACK_FORM_TOKEN']}"
            load(url, [form_body(OFFSET - 1 - n) for n in range(WARM)], connections=2, rate=RATE)
            _await_idle(crm, WARM)
            return _measured(url, crm)


def _connect(rig: Rig, crm: BottleCrm, config: Path) -> None:
    admin = str(office.US["email"])
    profiles = {email: member.profile for email, member in crm.people.items()}
    office.configure(config, crm_url=crm.url, web_port=rig.web_port, profiles=profiles)
    office.install(crm.url, crm.people[admin].token)
    address, events = office.hook(rig.web_port)
    TOKENS[office.TOKEN] = crm.people[admin].token
    TOKENS[office.WEBHOOK] = crm.webhook_to(address, by=admin, events=events)
    with Store(rig.url, size=1) as store:
        published = publish(store, config)
    assert published.hash, published.complaints


def _measured(url: str, crm: BottleCrm) -> dict[str, Any]:
    seen: dict[str, float] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(crm, seen, stop), daemon=True)
    watcher.start()
    count, worked = RATE * SECONDS, crm.cpu_seconds()
    posted = load(url, [form_body(OFFSET + n) for n in range(count)], connections=16, rate=RATE)
    wanted = [f"person{OFFSET + n}@firma{OFFSET + n}.de" for n in range(count)]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not all(email in seen for email in wanted):
        time.sleep(0.1)
    behind = _await_idle(crm, WARM + count)
    stop.set()
    watcher.join()
    waits = [seen[email] - posted["starts"][n] for n, email in enumerate(wanted) if email in seen]
    return {
        "rate": f"{RATE}/s for {SECONDS} s, a task with each lead, {WORKERS} workers of {THREADS} threads in the CRM",
        "not_readable_within_two_minutes": count - len(waits),
        "owner_readable_p50_ms": round(percentile(waits, 0.5) * 1000) if waits else None,
        "owner_readable_p99_ms": round(percentile(waits, 0.99) * 1000) if waits else None,
        "owner_readable_max_ms": round(max(waits) * 1000) if waits else None,
        "tasks_done_after_s": round(behind, 1),
        "crm_cpu_ms_per_lead_with_task": round((crm.cpu_seconds() - worked) / count * 1000),
        "load_average": round(os.getloadavg()[0], 1),
        "acknowledged_p99_ms": round(percentile(posted["latencies"], 0.99) * 1000, 1),
        "answers": posted["statuses"],
        "wanted": "aim: readable p99 2000 ms",
    }


def _watch(crm: BottleCrm, seen: dict[str, float], stop: threading.Event) -> None:
    """Note when each lead has an owner in the CRM's committed tables: from then on its API shows it.

    Its own list would cost the CRM more than all the work that is measured.
    """
    with psycopg.connect(crm.database_url, autocommit=True) as connection:
        since = connection.execute("SELECT now()").fetchone()
        while not stop.is_set():
            rows = connection.execute(
                "SELECT DISTINCT email FROM lead l JOIN lead_assigned_to a ON a.lead_id = l.id WHERE created_at > %s",
                since,
            ).fetchall()
            now = time.time()
            for (email,) in rows:
                seen.setdefault(str(email), now)
            time.sleep(0.02)


def _await_idle(crm: BottleCrm, tasks: int, patience: float = 180.0) -> float:
    """Wait until the CRM holds so many tasks; return how long that took, in seconds."""
    began = time.monotonic()
    with psycopg.connect(crm.database_url, autocommit=True) as connection:
        while time.monotonic() - began < patience:
            row = connection.execute("SELECT count(*) FROM task").fetchone()
            if row is not None and row[0] >= tasks:
                break
            time.sleep(0.2)
    return time.monotonic() - began
