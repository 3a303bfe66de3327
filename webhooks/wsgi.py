"""What granian imports in each worker process: the application around services of its own."""

import multiprocessing
import os
import signal
import threading
import time

from flask import Flask

from connector import logs
from connector.errors import ConfigurationError
from connector.processes import die_with_parent
from connector.services import open_services
from connector.wakes import install_waker
from webhooks.app import create_app
from webhooks.serve import THREADS, URL

# A post must hear 503 rather than wait for a lock; max_connections of the embedded server is 100.
_LOCK_TIMEOUT_MS = 1500
_POOL = 4
# An orphan holds the port its successor needs.
_ORPHAN_SECONDS = 5


def build() -> Flask:
    """Build the application of this process.

    Raises:
        ConfigurationError: nobody says which database to use.
    """
    started_by = multiprocessing.parent_process()
    parent = started_by.pid if started_by and started_by.pid else os.getppid()
    die_with_parent(parent)
    threading.Thread(target=_end_as_orphan, args=(parent,), name="orphan-watch", daemon=True).start()
    logs.configure(os.environ)
    url = os.environ.get(URL)
    if not url:
        raise ConfigurationError(f"{URL} is not set: start the web half with `hearback serve` or `hearback web`")
    services = open_services(url, size=_POOL, lock_timeout_ms=_LOCK_TIMEOUT_MS)
    install_waker(services)
    return create_app(services, threads=int(os.environ.get(THREADS, "8")))


def _end_as_orphan(parent: int) -> None:
    """End after the parent for certain: granian loses a SIGTERM that comes while it starts."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


app = build()
