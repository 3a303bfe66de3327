"""(a) What storing a delivery costs: posts a second against a bare Flask handler with one INSERT."""

import sys
from typing import Any

import psycopg

from tests.benchmarks import rig as rigs
from tests.benchmarks.rig import Rig, form_body, load

CONNECTIONS = 16
POSTS = 6000
ROUNDS = 3


def bench(rig: Rig) -> dict[str, Any]:
    """Post to both handlers in turn, under the same server with the same processes and threads."""
    with psycopg.connect(rig.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (id bigint GENERATED ALWAYS AS IDENTITY, body bytea)")
    ours, bare = [], []
    sizes = ("--workers", "2", "--blocking-threads", "8", "--backlog", "1024")
    server = (sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", *sizes)
    port = rigs.free_port()
    command = (*server, "--port", str(port), "--log-level", "error", "tests.benchmarks.bare:app")
    with rig.web() as address, rig.process(*command, log="bare.log"):
        rigs.await_http(f"http://127.0.0.1:{port}/")
        for number in range(ROUNDS + 1):
            bodies = [form_body(number * POSTS + i) for i in range(POSTS)]
            theirs = load(f"http://127.0.0.1:{port}/", bodies, connections=CONNECTIONS)
            mine = load(f"{address}/in/{rigs.TOKENS['HEARBACK_FORM_TOKEN']}", bodies, connections=CONNECTIONS)
            assert mine["statuses"] == {"200": POSTS}, mine["statuses"]
            assert theirs["statuses"] == {"200": POSTS}, theirs["statuses"]
            # The first round warms both up.
            if number:
                bare.append(POSTS / theirs["seconds"])
                ours.append(POSTS / mine["seconds"])
    ratios = sorted(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    return {
        "posts_per_second": round(sorted(ours)[len(ours) // 2]),
        "bare_flask_per_second": round(sorted(bare)[len(bare) // 2]),
        "ratio": round(ratios[len(ratios) // 2], 2),
        "wanted": "ratio >= 0.6",
    }
