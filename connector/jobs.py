"""Background work. A job is a wake-up and carries no work: the rows say what is to be done."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from connector.errors import ConnectorError, HearbackError, StoreUnavailable
from connector.flows import deliver, followups, held, housekeeping, intake, sync
from connector.services import Services

log = logging.getLogger(__name__)

#: At most one wake-up per process and queue in this time.
SPACING = 0.05
#: How many seconds between two sweeps that make up for lost wake-ups.
SWEEP = 5
RECONNECT = 1.0
MINUTE = 60
CONCURRENCY = 6

#: Queues with one job for each connection.
PER_CONNECTION = frozenset(("commands", "poll"))


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


def expand(services: Services, queue: str) -> list[str]:
    """Return the jobs behind a queue: one, or one for each connection."""
    if queue not in PER_CONNECTION:
        return [queue]
    return [f"{queue}:{connection}" for connection in services.current().settings.connections]


def defer(app: procrastinate.App, job: str) -> None:
    """Put a wake-up into the queue unless one is waiting there already."""
    with suppress(AlreadyEnqueued):
        app.configure_task("work", queueing_lock=job, queue="hearback").defer(job=job)


class Singly:
    """Runs each job at most once at a time in this process; a call meanwhile means one more run after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._again: set[str] = set()

    def run(self, job: str, work: Callable[[], None]) -> None:
        """Run `work`, or leave it to the run in progress."""
        with self._lock:
            if job in self._running:
                self._again.add(job)
                return
            self._running.add(job)
        try:
            while True:
                work()
                with self._lock:
                    if job not in self._again:
                        self._running.discard(job)
                        return
                    self._again.discard(job)
        finally:
            with self._lock:
                self._running.discard(job)


class Workers:
    """The jobs of this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._singly = Singly()
        self.stopping = threading.Event()

    def run(self, job: str) -> None:
        """Work off a queue until nothing is waiting."""
        self._singly.run(job, lambda: self._drain(job))

    def _drain(self, job: str) -> None:
        try:
            while not self.stopping.is_set():
                taken = self._once(job)
                if not taken:
                    return
                if taken > 1:
                    # There is a backlog: another process may lend a hand.
                    self._services.wake(job)
        except StoreUnavailable:
            log.warning("the store is gone, work waits", extra={"job": job})
        except ConnectorError as err:
            log.warning("CRM call failed, work waits", extra={"job": job, "why": type(err).__name__})

    def _once(self, job: str) -> int:
        name, _, connection = job.partition(":")
        match name:
            case "intake":
                return intake.work(self._services)
            case "sync":
                return sync.work(self._services)
            case "commands":
                return deliver.work(self._services, connection)
            case "held":
                held.work(self._services)
            case "poll":
                sync.poll(self._services, connection)
            case "followups":
                followups.sweep(self._services)
            case "housekeeping":
                housekeeping.work(self._services)
            case _:
                log.error("unknown job", extra={"job": job})
        return 0


def build(services: Services, workers: Workers) -> procrastinate.App:
    """Return the procrastinate app of a worker process."""
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=services.store.url, min_size=1, max_size=3)
    )

    # queueing_lock is given by whoever defers; a killed worker would keep a plain lock.
    @app.task(name="work", queue="hearback")
    def _work(job: str) -> None:
        workers.run(job)

    @app.periodic(cron=f"* * * * * */{SWEEP}")
    @app.task(name="sweep", queue="hearback", queueing_lock="sweep")
    def _sweep(timestamp: int) -> None:
        sweep_once(services, timestamp)

    return app


def sweep_once(services: Services, timestamp: int) -> None:
    """Wake every queue: the jobs look at the rows, never at the tick, so skipped ticks do no harm."""
    for queue in ("intake", "sync", "held", "followups", "commands"):
        services.wake(queue)
    if timestamp % MINUTE < SWEEP:
        services.wake("poll")
        services.wake("housekeeping")


async def work_for_ever(services: Services, workers: Workers) -> None:
    """Run the worker; reconnect whenever the database comes back. Ends when the process is told to stop.

    After a short restart of the database procrastinate's loop ends normally, after a longer one with an
    error: both mean "again".
    """
    while not workers.stopping.is_set():
        app = build(services, workers)
        try:
            async with app.open_async():
                await app.run_worker_async(**_options())
        except (ConnectorException, OSError) as err:
            log.warning("the job queue is gone, reconnecting", extra={"why": type(err).__name__})
        await asyncio.sleep(RECONNECT)


def _options() -> dict[str, Any]:
    return {
        "concurrency": CONCURRENCY,
        "delete_jobs": "always",
        "install_signal_handlers": False,
        "fetch_job_polling_interval": 2.0,
        "shutdown_graceful_timeout": 15.0,
    }
