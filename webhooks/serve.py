"""Starts granian, the server of the web half."""

import os
import sys
import tempfile

from connector.processes import PARENT, die_with_parent
from webhooks.metrics import SHARED

URL = "HEARBACK_DATABASE_URL"
THREADS = "HEARBACK_WEB_THREADS"
# Who started us, when that process wants us to end with it.


# Connections that wait in the kernel while every thread is busy.
_BACKLOG = 1024
# How long a stopped worker may finish what it began before it is killed, in seconds.
_GRACE_SECONDS = 15


def command(host: str, port: int, processes: int = 2, threads: int = 8) -> list[str]:
    """Return the command line that serves HTTP; its environment must hold HEARBACK_DATABASE_URL."""
    options = {"--host": host, "--port": port, "--processes": processes, "--threads": threads}
    given = [str(part) for pair in options.items() for part in pair]
    return [sys.executable, "-m", "webhooks", *given]


def run(host: str, port: int, processes: int, threads: int) -> None:
    """Become granian. It restarts a worker that dies, and on SIGTERM finishes what it began."""
    if os.environ.get(PARENT):
        # The wish outlives the exec below.
        die_with_parent(int(os.environ[PARENT]))
    os.environ[THREADS] = str(threads)
    os.environ.setdefault(SHARED, tempfile.mkdtemp(prefix="hearback-metrics-"))
    arguments = _granian(host, port, processes, threads)
    os.execv(arguments[0], arguments)  # noqa: S606 (our own interpreter, no shell)


def _granian(host: str, port: int, processes: int, threads: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "granian",
        *("--interface", "wsgi"),
        *("--http", "1"),
        "--no-ws",
        *("--host", host),
        *("--port", str(port)),
        *("--workers", str(processes)),
        *("--blocking-threads", str(threads)),
        *("--backlog", str(_BACKLOG)),
        "--respawn-failed-workers",
        *("--workers-kill-timeout", str(_GRACE_SECONDS)),
        *("--log-level", "error"),
        "--no-access-log",
        "webhooks.wsgi:app",
    ]
