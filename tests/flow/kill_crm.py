"""People at work in the sandbox CRM: reps who close leads and win deals, an order desk, a customer."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
import requests
from kill_clients import TWICE
from kill_stage import Stage

from connector.errors import ConfigurationError

T = TypeVar("T")

#: The sandbox refuses a second record with an id of the caller's own: so did the first attempt arrive.
ALREADY = "400"
FAULTS = {"rate_429": 0.025, "rate_500": 0.025, "rate_lost_answer": 0.02, "retry_after": 1}
#: Time for every single thing a person waits for, kills and leases that must run out included.
PATIENCE = 180.0

_NEW_LEADS = """
SELECT id, fields ->> 'OwnerId', fields ? 'x_hearback_consent' FROM sandbox.record
WHERE object = 'leads' AND deleted_at IS NULL AND fields ->> 'Status' = 'New' AND fields ->> 'Email' NOT LIKE %s
ORDER BY created_at LIMIT 200
"""
_TASKS = "SELECT id, fields FROM sandbox.record WHERE object = 'tasks' AND fields ->> 'DealId' = %s ORDER BY created_at"


class Stopped(Exception):
    """The play is over before its end."""


@dataclass
class People:
    """Everybody who works in the CRM while the product is being killed."""

    stage: Stage
    seed: int
    closings_per_second: float
    deals: int
    stop: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep_failing(self) -> None:
        """Have the CRM fail as asked; a CRM that was killed has forgotten it."""
        seed = 0
        while not self.stop.wait(0.5):
            seed += 1
            with suppress(requests.RequestException, ConfigurationError):
                self.stage.crm.control("faults", {"seed": seed, **FAULTS})

    def close_leads(self) -> None:
        """Close the oldest open leads steadily, so that those who wait find an owner."""
        draw = random.Random(self.seed)
        while not self.stop.wait(draw.uniform(0.1, 0.3)):
            for lead, owner, _ in self.open_leads()[: max(1, round(self.closings_per_second / 5))]:
                if self.stop.is_set():
                    return
                status = draw.choice(("Closed", "Converted"))
                with suppress(requests.RequestException, ConfigurationError):
                    self.stage.crm.change("leads", lead, {"Status": status}, actor=owner)
                    self.done["leads closed"] += 1

    def open_leads(self) -> list[tuple[str, str, bool]]:
        """Return leads nobody has worked on: id, owner, and whether their person may be asked for an opinion."""
        with self.stage.watch() as connection, suppress(psycopg.Error):
            rows = connection.execute(_NEW_LEADS, (f"{TWICE}%",)).fetchall()
            return [(row[0], row[1], row[2]) for row in rows if row[0] not in self.taken]
        return []

    def take_lead(self, draw: random.Random) -> tuple[str, str] | None:
        """Return an open lead for a deal, never the same twice."""
        with self._lock:
            found = [(lead, owner) for lead, owner, may_ask in self.open_leads() if may_ask]
            if not found:
                return None
            lead, owner = draw.choice(found)
            self.taken.add(lead)
        return lead, owner

    def sell(self) -> None:
        """Play every deal to its end, a few at a time."""
        with ThreadPoolExecutor(15, thread_name_prefix="deal") as pool:
            for _ in pool.map(self._story, range(self.deals)):
                pass

    def _story(self, number: int) -> None:
        with suppress(Stopped):
            Story(self, f"deal-{number:03}", random.Random(f"{self.seed}/{number}")).play()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let the CRM fail and the reps close leads until the block ends."""
        threads = [threading.Thread(target=work, name=work.__name__) for work in (self.keep_failing, self.close_leads)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()


@dataclass
class Story:
    """One deal: won, its first task ticked too early, called for, delivered late, rated by the customer."""

    people: People
    deal: str
    draw: random.Random
    rep: str = ""

    def play(self) -> None:
        lead, self.rep = self.until("a lead to win", lambda: self.people.take_lead(self.draw))
        self.do(lambda: self._crm.change("leads", lead, {"Status": "Converted"}, actor=self.rep))
        amount = f"{self.draw.randint(500, 20_000)}.00"
        fields = {"Name": self.deal, "Amount": amount, "CurrencyCode": "EUR", "OwnerId": self.rep, "LeadId": lead}
        self._create("deals", fields, self.deal)
        self.do(lambda: self._crm.change("deals", self.deal, {"StageName": "Won"}, actor=self.rep))
        first = self.until("the first step's task", lambda: self._task(0))
        self._tick(first, self.rep)
        self.until("the ticked task to be reopened", lambda: self._reopened(first))
        self._call(self.rep, f"{self.deal}-call-1")
        self._tick(first, self.rep)
        self.until("one step to be left", lambda: self._field("x_hearback_open_mandatory") == 1)
        delivered = (datetime.now(UTC) - timedelta(days=20)).isoformat()
        self.do(lambda: self._crm.change("deals", self.deal, {"DeliveredAt": delivered}, actor="order-desk"))
        self._late()
        link = self.until("the survey's link", lambda: self._field("x_hearback_survey_link"))
        self.do(lambda: self._answer(str(link)))
        self.until("the score on the deal", lambda: self._field("x_hearback_score") is not None)
        self.people.done["deals played"] += 1

    def _late(self) -> None:
        """The second call is overdue at once: somebody else gets the task, and makes the call."""
        second, other = self.until("the late task to get another owner", self._reassigned)
        self._call(other, f"{self.deal}-call-2")
        self._tick(second, other)
        self.until("no step to be left", lambda: self._field("x_hearback_open_mandatory") == 0)

    # What a person sees.

    @property
    def _crm(self) -> Any:
        return self.people.stage.crm

    def _tasks(self) -> list[tuple[str, dict[str, Any]]]:
        with self.people.stage.watch() as connection:
            found = connection.execute(_TASKS, (self.deal,)).fetchall()
        return [(id_, fields) for id_, fields in found if fields["x_hearback_key"].startswith("step:")]

    def _task(self, place: int) -> str | None:
        found = self._tasks()
        return found[place][0] if len(found) > place else None

    def _reopened(self, task: str) -> bool:
        fields = dict(self._tasks())[task]
        return fields["Status"] == "Open" and bool(fields.get("Comment"))

    def _reassigned(self) -> tuple[str, str] | None:
        found = self._tasks()
        return (found[1][0], found[1][1]["OwnerId"]) if len(found) > 1 and found[1][1]["OwnerId"] != self.rep else None

    def _field(self, name: str) -> object:
        return self._crm.read("deals", self.deal).get(name)

    # What a person does, again if the CRM was down.

    def _create(self, object_: str, fields: dict[str, object], id_: str) -> None:
        def create() -> None:
            try:
                self._crm.create(object_, fields, id_=id_, actor=self.rep)
            except ConfigurationError as err:
                if ALREADY not in str(err):
                    raise

        self.do(create)

    def _call(self, user: str, id_: str) -> None:
        at = datetime.now(UTC).isoformat()
        fields = {"DealId": self.deal, "UserId": user, "DurationSeconds": 200, "Direction": "Outbound"}
        self._create("calls", fields | {"OccurredAt": at, "Source": "System"}, id_)

    def _tick(self, task: str, user: str) -> None:
        self.do(lambda: self._crm.change("tasks", task, {"Status": "Done"}, actor=user))

    def _answer(self, link: str) -> None:
        with requests.Session() as customer:
            customer.trust_env = False
            answer = customer.post(link, data={"score": "9", "text": "Good."}, timeout=5)
        # Gone: an earlier attempt was recorded though its answer never came.
        if answer.status_code not in (200, 410):
            answer.raise_for_status()

    def do(self, action: Callable[[], None]) -> None:
        def tried() -> bool:
            action()
            return True

        self.until("the CRM to take a change", tried)

    def until(self, what: str, look: Callable[[], T]) -> T:
        deadline = time.monotonic() + PATIENCE
        while not self.people.stop.is_set():
            with suppress(requests.RequestException, ConfigurationError, psycopg.OperationalError):
                found = look()
                if found:
                    return found
            assert time.monotonic() < deadline, f"{self.deal} waited in vain for {what}"
            time.sleep(0.5)
        raise Stopped
