"""Wake-ups: how a process tells the workers, after its commit, that there is something to do."""

import logging
import threading
import time
from collections.abc import Collection
from contextlib import suppress

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from connector.errors import HearbackError
from connector.services import Services

log = logging.getLogger(__name__)

#: At most one wake-up per process and queue in this time.
SPACING = 0.05
#: Queues with one job for each connection.
PER_CONNECTION = frozenset(("commands", "poll", "reread"))


class Waker:
    """Defers wake-ups after a commit, from a thread of its own, so that no post waits for one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._wanted: set[str] = set()
        self._signal = threading.Event()
        self._lock = threading.Lock()
        self._app = procrastinate.App(
            connector=procrastinate.SyncPsycopgConnector(conninfo=services.store.url, min_size=1, max_size=1)
        )
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)

    def start(self) -> None:
        """Start waking; wake-ups lost in an outage are made up for by the sweep."""
        self._thread.start()

    def wake(self, queue: str) -> None:
        """Ask for a queue to be worked off soon; returns at once."""
        with self._lock:
            self._wanted.add(queue)
        self._signal.set()

    def _run(self) -> None:
        opened = False
        while True:
            self._signal.wait()
            self._signal.clear()
            with self._lock:
                wanted, self._wanted = self._wanted, set()
            try:
                if not opened:
                    self._app.open()
                    opened = True
                for job in sorted({job for queue in wanted for job in expand(self._services, queue)}):
                    defer(self._app, job)
            except (ConnectorException, HearbackError) as err:
                log.warning("wake-up lost, the sweep makes up for it", extra={"why": type(err).__name__})
            time.sleep(SPACING)


def install_waker(services: Services) -> None:
    """Let the services of this process wake the workers."""
    waker = Waker(services)
    waker.start()
    services.wake = waker.wake


def wake_now(services: Services, queues: Collection[str]) -> None:
    """Put down wake-ups at once, for a command that ends right after; the sweep makes up for lost ones."""
    if not queues:
        return
    with suppress(HearbackError):
        put_down(services.store.url, {job for queue in queues for job in expand(services, queue)})


def put_down(url: str, jobs: Collection[str]) -> None:
    """Put down wake-ups at once in the database at `url`; the sweep makes up for lost ones."""
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url, min_size=1, max_size=1))
    with suppress(ConnectorException), app.open():
        for job in sorted(jobs):
            defer(app, job)


def expand(services: Services, queue: str) -> list[str]:
    """Return the jobs behind a queue: one, or one for each connection."""
    if queue not in PER_CONNECTION:
        return [queue]
    return [f"{queue}:{connection}" for connection in services.current().settings.connections]


def defer(app: procrastinate.App, job: str) -> None:
    """Put a wake-up into the queue unless one is waiting there already."""
    with suppress(AlreadyEnqueued):
        app.configure_task("work", queueing_lock=job, queue="hearback").defer(job=job)
