"""Background work. A job is a wake-up and carries no work: the rows say what is to be done."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import procrastinate
from procrastinate.exceptions import ConnectorException

from connector.errors import ConnectorError, HearbackError, StoreUnavailable
from connector.flows import (
    alerting,
    calls,
    captcha,
    deliver,
    fetch,
    followups,
    held,
    housekeeping,
    intake,
    rereading,
    responses,
    sync,
)
from connector.services import Services
from connector.wakes import expand

log = logging.getLogger(__name__)

#: How many seconds between two sweeps that make up for lost wake-ups.
SWEEP = 5
RECONNECT = 1.0
MINUTE = 60
CONCURRENCY = 6
#: With a backlog another process is asked to help, once every so many rounds.
LEND_A_HAND = 20


class Singly:
    """Runs each job at most once at a time in this process; a call meanwhile means one more run after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._again: set[str] = set()

    def again(self, job: str) -> bool:
        """Ask the run in progress for one more round; return False when there is none."""
        with self._lock:
            if job in self._running:
                self._again.add(job)
                return True
            return False

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


#: Jobs that work a batch and say how much there was.
_PLAIN: Mapping[str, Callable[[Services], int]] = {
    "captcha": captcha.work,
    "followups": followups.sweep,
    "intake": intake.work,
    "sync": sync.work,
}


#: Jobs that look at everything there is, each time.
_TIDY: Mapping[str, Callable[[Services], None]] = {"alerts": alerting.work, "housekeeping": housekeeping.work}


class Workers:
    """The jobs of this process.

    A wake-up for a job that runs here already is a note in memory: if this process dies, the sweep of another
    makes up for it.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self._singly = Singly()
        self.stopping = threading.Event()
        self._timers: dict[str, threading.Timer] = {}
        self._lend_a_hand = services.wake
        services.wake = self._wake

    def _wake(self, queue: str) -> None:
        # Work is committed already: a wake-up that fails must not look as if the work had.
        with suppress(HearbackError):
            for job in expand(self.services, queue):
                if not self._singly.again(job):
                    self._lend_a_hand(job)

    def run(self, job: str) -> None:
        """Work off a queue until nothing is waiting."""
        self._singly.run(job, lambda: self._drain(job))

    def _drain(self, job: str) -> None:
        try:
            rounds = 0
            while not self.stopping.is_set() and self._once_counted(job):
                rounds += 1
                if rounds % LEND_A_HAND == 2:  # noqa: PLR2004 (one round is no backlog yet)
                    self._lend_a_hand(job)
        except StoreUnavailable:
            log.warning("the store is gone, work waits", extra={"job": job})
        except ConnectorError as err:
            log.warning("CRM call failed, work waits", extra={"job": job, "why": type(err).__name__})

    def _alarm(self, queue: str, seconds: float | None) -> None:
        """Wake a queue for what falls due before the next sweep; what comes later is seen by that."""
        if seconds is not None and seconds < 2 * SWEEP:
            if queue in self._timers:
                self._timers[queue].cancel()
            timer = self._timers[queue] = threading.Timer(seconds, self.services.wake, (queue,))
            timer.daemon = True
            timer.start()

    def _once_counted(self, job: str) -> int:
        try:
            return self._once(job)
        finally:
            calls.flush(self.services)

    def _once(self, job: str) -> int:
        name, _, connection = job.partition(":")
        if name in _PLAIN:
            return _PLAIN[name](self.services)
        match name:
            case "fetch":
                return self._fetch(job)
            case "commands":
                return deliver.work(self.services, connection)
            case "held":
                since = held.now(self.services)
                held.work(self.services)
                self._alarm(job, held.seconds_to_next(self.services, since))
            case "poll":
                if not sync.is_being_read(self.services, connection):
                    sync.poll(self.services, connection, self.stopping.is_set)
            case "reread":
                return rereading.work(self.services, connection)
            case "responses":
                self._alarm(job, responses.work(self.services))
            case _ if name in _TIDY:
                _TIDY[name](self.services)
            case _:
                log.error("unknown job", extra={"job": job})
        return 0

    def _fetch(self, job: str) -> int:
        taken = fetch.work(self.services)
        if not taken:
            self._alarm(job, fetch.seconds_to_next(self.services))
        return taken


def build(workers: Workers) -> procrastinate.App:
    """Return the procrastinate app of a worker process."""
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=workers.services.store.url, min_size=1, max_size=3)
    )

    # queueing_lock is given by whoever defers; a killed worker would keep a plain lock.
    @app.task(name="work", queue="hearback")
    def _work(job: str) -> None:
        workers.run(job)

    @app.periodic(cron=f"* * * * * */{SWEEP}")
    @app.task(name="sweep", queue="hearback", queueing_lock="sweep")
    def _sweep(timestamp: int) -> None:
        sweep_once(workers.services, timestamp)

    return app


def wake_all(services: Services) -> None:
    """Wake every queue of rows that wait."""
    for queue in ("intake", "captcha", "fetch", "sync", "held", "followups", "responses", "commands", "reread"):
        services.wake(queue)


def sweep_once(services: Services, timestamp: int) -> None:
    """Wake every queue: the jobs look at the rows, never at the tick, so skipped ticks do no harm."""
    wake_all(services)
    if timestamp % MINUTE < SWEEP:
        services.wake("alerts")
        services.wake("poll")
        services.wake("housekeeping")


async def work_for_ever(workers: Workers) -> None:
    """Run the worker; reconnect whenever the database comes back. Ends when the process is told to stop.

    After a short restart of the database procrastinate's loop ends normally, after a longer one with an
    error: both mean "again".
    """
    while not workers.stopping.is_set():
        app = build(workers)
        try:
            async with app.open_async():
                # What came in meanwhile does not wait for the next tick.
                wake_all(workers.services)
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
