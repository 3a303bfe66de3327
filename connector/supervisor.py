"""One machine: start every part as a child process, restart whatever ends, publish what an admin edits."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import requests

from connector import publishing, sandboxing, wakes
from connector.errors import ConfigurationError, StoreUnavailable
from connector.processes import PARENT, web_command
from connector.settings import build
from connector.settings.values import Connection, Settings
from connector.store import Store, configuration, embedded, migrations

log = logging.getLogger(__name__)

TICK = 0.5
#: A child that ends at once is started again after this long, doubling up to the ceiling.
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
#: A child that ran this long is healthy: its next wait starts from the beginning.
HEALTHY = 10.0
GRACE = 20.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes of what, and where they listen."""

    host: str = "127.0.0.1"
    port: int = 8650
    workers: int = 2
    web_processes: int = 2
    web_threads: int = 8
    #: Where the children's output goes; their parent's own if None.
    log: Path | None = None


@dataclass(slots=True)
class Child:
    """A process that should always run."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait: float = FIRST_WAIT
    due: float = field(default=0.0)


def run(layout: Layout, folder: Path, *, ready: Callable[[], None], stop: threading.Event | None = None) -> None:
    """Run until told to stop. Owns the embedded database; children die with this process.

    Raises:
        ConfigurationError: the folder is broken and no earlier version is in force.
    """
    stopping = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
    own_database = not os.environ.get("HEARBACK_DATABASE_URL")
    url = embedded.database_url(owner=True)
    migrations.apply(url)
    with Store(url, size=1) as store:
        watcher = Watcher(store, folder)
        watcher.first()
        settings = watcher.active()
        children = _children(layout, settings, url)
        _seed_later(settings)
        try:
            _keep_alive(children, Database(url, own=own_database), watcher, stopping, ready)
        finally:
            end_all(children)


@dataclass(frozen=True, slots=True)
class Database:
    """The database all children share; started again when it is our own and gone."""

    url: str
    own: bool

    def keep(self) -> None:
        """Start our own server again if it does not answer; somebody else's is theirs to start."""
        if not self.own:
            return
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            log.warning("the embedded database is gone, starting it again")
            embedded.start(embedded.data_folder(), owner=True)


class Watcher:
    """Publishes a folder whenever it changes; complains once about a broken one."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._seen: object = None
        self._settling: object = None

    def first(self) -> None:
        """Publish at start, unless that is done by hand and some version is in force.

        Raises:
            ConfigurationError: the folder is broken and nothing was ever published.
        """
        self._seen = publishing.fingerprint(self._folder)
        if publishing.anything_active(self._store) and self._by_hand():
            return
        published = publishing.publish(self._store, self._folder)
        self._complain(published)
        if published.hash is None and not publishing.anything_active(self._store):
            raise ConfigurationError(
                f"{self._folder} has {len(published.complaints)} mistakes and nothing was published before: "
                "run `hearback check`"
            )

    def active(self) -> Settings:
        """Return the settings in force."""
        with self._store.transaction() as tx:
            digest = configuration.active_hash(tx)
            return build(json.loads(configuration.document(tx, str(digest))))

    def look(self) -> None:
        """Publish if a file changed and the organisation has not asked to publish by hand.

        A change counts once two looks in a row see the same: half a table may be a valid table. Without the
        database it counts at a later look.
        """
        now = publishing.fingerprint(self._folder)
        before, self._settling = self._settling, now
        if now == self._seen or now != before:
            return
        if self._by_hand():
            log.info("the folder changed: `hearback rules publish` puts it in force")
        else:
            self._complain(publishing.publish(self._store, self._folder))
        self._seen = now

    def _by_hand(self) -> bool:
        settings = publishing.read(self._folder).settings
        return settings is not None and settings.publish == "manual"

    def _complain(self, published: publishing.Published) -> None:
        for complaint in published.complaints:
            log.warning("configuration: %s", complaint)
        if published.hash is None:
            log.error("configuration is broken; the last good version stays in force")
        elif published.changed:
            log.info("configuration published", extra={"version": published.hash})
            # Who waits may fit somebody now.
            wakes.put_down(self._store.url, ["held"])


def _children(layout: Layout, settings: Settings, url: str) -> list[Child]:
    web = web_command(host=layout.host, port=layout.port, processes=layout.web_processes, threads=layout.web_threads)
    children = [Child("web", web)]
    children += [
        Child(f"worker-{number}", [sys.executable, "-m", "connector.cli", "worker"])
        for number in range(1, layout.workers + 1)
    ]
    children += [
        Child(f"crm-{connection.key}", *_sandbox(layout, connection, url)) for connection in sandboxes(settings)
    ]
    for child in children:
        child.log = layout.log
    return children


def sandboxes(settings: Settings) -> list[Connection]:
    """Return the connections whose sandbox CRM runs here."""
    return [connection for connection in settings.connections.values() if sandboxing.runs_here(connection)]


def _sandbox(layout: Layout, connection: Connection, url: str) -> tuple[list[str], dict[str, str]]:
    return sandboxing.child(
        connection,
        os.environ,
        database_url=url,
        webhook_url=f"http://{layout.host}:{layout.port}/crm/{connection.key}",
        parent=os.getpid(),
    )


def _seed_later(settings: Settings) -> None:
    """Give the sandbox CRMs their users once they answer, without holding up the start."""
    for connection in sandboxes(settings):
        threading.Thread(target=_seed, args=(settings, connection), name="seed", daemon=True).start()


def _seed(settings: Settings, connection: Connection) -> None:
    try:
        sandboxing.seed_users(settings, connection, os.environ)
    except requests.RequestException as err:
        log.error("the sandbox CRM has no users yet", extra={"why": type(err).__name__})


def _keep_alive(
    children: Sequence[Child],
    database: Database,
    watcher: Watcher,
    stopping: threading.Event,
    ready: Callable[[], None],
) -> None:
    environment = {**os.environ, "HEARBACK_DATABASE_URL": database.url, PARENT: str(os.getpid())}
    announced = False
    while not stopping.is_set():
        for child in children:
            keep(child, environment)
        if not announced:
            announced = True
            ready()
        database.keep()
        with suppress(StoreUnavailable):
            watcher.look()
        stopping.wait(TICK)


def keep(child: Child, environment: Mapping[str, str]) -> None:
    """Start a child that is not running, later and later if it ends again and again; never block."""
    now = time.monotonic()
    if child.process is not None and child.process.poll() is not None:
        log.warning("child ended", extra={"child": child.name, "code": child.process.returncode})
        child.wait = FIRST_WAIT if now - child.started > HEALTHY else min(child.wait * 2, LONGEST_WAIT)
        child.due, child.process = now + child.wait, None
    if child.process is None and now >= child.due:
        child.process = _start(child, {**environment, **child.variables})
        child.started = now


def _start(child: Child, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    if child.log is None:
        return subprocess.Popen(child.command, env=environment)  # noqa: S603 (our own commands)
    with child.log.open("ab") as log_file:
        return subprocess.Popen(child.command, env=environment, stdout=log_file, stderr=log_file)  # noqa: S603


def end_all(children: Sequence[Child]) -> None:
    """Ask every child to end, and kill those that do not in time."""
    for child in children:
        if child.process is not None:
            child.process.terminate()
    deadline = time.monotonic() + GRACE
    for child in children:
        if child.process is not None:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
