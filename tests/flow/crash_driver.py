"""Runs the story with one fault in it, each time in a process of its own that may be killed.

The faults are put around the two things that reach beyond the process, from outside of the product: every
commit that changes something, and every call to a CRM. One line of JSON on standard input asks for a run.
"""

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import requests
from crash_scenario import Places, Story

from connector.adapters.http import HttpClient
from connector.adapters.sandbox.adapter import SandboxAdapter
from connector.errors import StoreUnavailable
from connector.flows import deliver
from connector.flows.retry import RetryPolicy
from connector.services import Services
from connector.store import Store, Transaction, commands, sync
from connector.vault import Vault

KILLED = 137
#: `before` and `after` kill the process there; after `lost` it lives on without knowing that it worked.
KINDS = ("before", "after", "lost")
ENVIRON = dict.fromkeys(("CRM_TOKEN", "CRM_WEBHOOK_SECRET", "SITE_TOKEN", "QUIZ_TOKEN", "QUIZ_SECRET"), "sandbox-token")
SECRET_KEY = "k" * 40
#: The real times, shortened alike: a lease outlives a call, a look waits for the search index.
LEASE = timedelta(seconds=0.5)
SEARCH_LAG = 0.2


@dataclass(slots=True)
class Faults:
    """The places a run comes to, in order, and what happens at one of them."""

    at: int | None = None
    kind: str = ""
    report: int = -1
    places: list[str] = field(default_factory=list)
    sites: set[str] = field(default_factory=set)

    def place(self, what: str) -> int:
        chain = _flow()
        self.places.append(f"{what} in {' > '.join(dict.fromkeys((chain[0], chain[-1])))}")
        return len(self.places) - 1

    def strike(self, place: int, kind: str) -> None:
        if (place, kind) == (self.at, self.kind):
            self.tell(KILLED)
            os._exit(KILLED)

    def loses(self, place: int) -> bool:
        return (place, "lost") == (self.at, self.kind)

    def tell(self, code: int, error: str = "") -> None:
        said = {"code": code, "places": self.places, "sites": sorted(self.sites), "error": error}
        os.write(self.report, json.dumps(said).encode() + b"\n")


class Wire:
    """Stands in front of the session of a CRM's client."""

    def __init__(self, session: requests.Session, faults: Faults) -> None:
        self._session = session
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        place = self._faults.place(f"{method} {urlsplit(url).path}")
        self._faults.strike(place, "before")
        answer = self._session.request(method, url, **options)
        if self._faults.loses(place):
            raise requests.ConnectionError("the answer is lost")
        self._faults.strike(place, "after")
        return answer


def watch_commits(faults: Faults) -> None:
    original = Store.transaction

    @contextmanager
    def transaction(self: Store) -> Iterator[Transaction]:
        faults.sites.update(_flow())
        with original(self) as tx:
            place: list[int] = []
            tx.after_commit(lambda: _committed(faults, place))
            yield tx
            # A transaction that changes nothing leaves nothing behind, wherever it is cut off.
            if tx.one("SELECT pg_current_xact_id_if_assigned() IS NOT NULL") == (True,):
                place.append(faults.place("commit"))
                faults.strike(place[0], "before")

    Store.transaction = transaction  # type: ignore[method-assign]
    # A statement that commits by itself is a place like any other.
    Store.statement = transaction  # type: ignore[method-assign]


def _committed(faults: Faults, place: list[int]) -> None:
    """Runs before everything else that waits for the commit."""
    if place and faults.loses(place[0]):
        raise StoreUnavailable("the answer to the commit is lost")
    if place:
        faults.strike(place[0], "after")


def watch_calls(faults: Faults, crm: str) -> None:
    original = HttpClient.__init__

    def opened(self: HttpClient, _origin: str, **options: Any) -> None:
        # The configuration names one address; each run has a CRM of its own.
        original(self, crm, **options)
        self._session = Wire(self._session, faults)  # type: ignore[assignment]

    HttpClient.__init__ = opened  # type: ignore[method-assign]


def shorten_waits() -> None:
    commands.LEASE = LEASE
    SandboxAdapter.search_lag = SEARCH_LAG
    deliver.POLICY = RetryPolicy(first=timedelta(seconds=0.05), down=timedelta(seconds=0.05))


def never_look() -> None:
    """Be the product without look-before-resend, deaf to the CRM's own word: what may have arrived is sent again."""
    deliver._looked_up = lambda *_: {}  # type: ignore[assignment]
    sync.hear = lambda *_: None


def _flow() -> list[str]:
    """Return the functions of the product's flows that are at work, outermost first."""
    chain: list[str] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("connector.flows.") and "<" not in frame.f_code.co_name:
            chain.insert(0, f"{module.removeprefix('connector.flows.')}.{frame.f_code.co_name}")
        frame = frame.f_back
    return chain or ["the command line"]


def run(order: dict[str, Any], report: int) -> None:
    """Play the story once; never returns."""
    logging.disable()
    faults = Faults(order.get("at"), order.get("kind", ""), report)
    watch_commits(faults)
    watch_calls(faults, order["crm"])
    shorten_waits()
    if order.get("mutant"):
        never_look()
    try:
        with Store(order["database"], size=2) as store:
            services = Services(store, Vault(SECRET_KEY), environ=ENVIRON)
            Story(services, Places(order["database"], order["crm"], Path(order["folder"]), order["shift"])).play()
    except BaseException:  # noqa: BLE001 (told to the parent, whatever it is)
        faults.tell(1, traceback.format_exc())
        os._exit(1)
    faults.tell(0)
    os._exit(0)


def main() -> None:
    """Fork a run for each line, wait for its end, and answer with what it told."""
    for line in sys.stdin:
        started = time.monotonic()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            run(json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            said = told.read()
        _, status = os.waitpid(child, 0)
        answer = json.loads(said) if said else {"places": [], "sites": [], "error": "it told nothing"}
        answer |= {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - started}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
