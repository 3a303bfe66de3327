"""(e) From POST to the owner readable in the sandbox CRM, and the acknowledgement, at a steady rate."""

import threading
import time
from typing import Any

import requests

from tests.benchmarks.rig import TOKENS, Rig, form_body, load, percentile

RATE = 200
SECONDS = 20
#: Posts before the clock counts, so that every process is warm.
WARM = 200
OFFSET = 5_000_000


def bench(rig: Rig) -> dict[str, Any]:
    """Post forms at a fixed rate, whatever the answers do, and watch the CRM's change feed."""
    with rig.sandbox(webhooks=True), rig.web() as address, rig.workers(2):
        url = f"{address}/in/{TOKENS['HEARBACK_FORM_TOKEN']}"
        load(url, [form_body(OFFSET - 1 - n) for n in range(WARM)], connections=8)
        time.sleep(3)
        seen: dict[str, float] = {}
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(rig, seen, stop), daemon=True)
        watcher.start()
        count = RATE * SECONDS
        posted = load(url, [form_body(OFFSET + n) for n in range(count)], connections=64, rate=RATE)
        deadline = time.monotonic() + 60
        wanted = [f"person{OFFSET + n}@firma{OFFSET + n}.de" for n in range(count)]
        while time.monotonic() < deadline and not all(email in seen for email in wanted):
            time.sleep(0.1)
        stop.set()
        watcher.join()
    waits = [seen[email] - posted["starts"][n] for n, email in enumerate(wanted) if email in seen]
    return {
        "rate": f"{RATE}/s for {SECONDS} s",
        "not_readable_within_a_minute": count - len(waits),
        "owner_readable_p50_ms": round(percentile(waits, 0.5) * 1000),
        "owner_readable_p99_ms": round(percentile(waits, 0.99) * 1000),
        "acknowledged_p50_ms": round(percentile(posted["latencies"], 0.5) * 1000, 1),
        "acknowledged_p99_ms": round(percentile(posted["latencies"], 0.99) * 1000, 1),
        "answers": posted["statuses"],
        "wanted": "aim: readable p99 1000 ms, acknowledged p99 25 ms",
    }


def watch(rig: Rig, seen: dict[str, float], stop: threading.Event) -> None:
    """Read the CRM's change feed like any other program and note when each lead with an owner shows up."""
    cursor = ""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKENS['HEARBACK_SANDBOX_TOKEN']}"
        while not stop.is_set():
            page = session.get(
                f"http://127.0.0.1:{rig.crm_port}/api/changes?cursor={cursor}&limit=1000", timeout=10
            ).json()
            now = time.time()
            for change in page["changes"]:
                fields = change["record"]["fields"]
                if change["object"] == "leads" and fields.get("OwnerId"):
                    seen.setdefault(fields["Email"], now)
            if page["cursor"] == cursor:
                time.sleep(0.02)
            cursor = page["cursor"]
