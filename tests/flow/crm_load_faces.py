"""The loopback CRMs of the load test, each with its limits on: what they hold in the end, and how to trouble them."""

import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

# The loopback servers stand with the adapters' tests.
sys.path.append(str(Path(__file__).parents[1] / "adapters"))

from hubspot_rig import HubSpotRig, LeadObjectsRig, running
from hubspot_server.server import TOKEN
from salesforce_rig import SECRET, SalesforceRig
from salesforce_server.org import ORG_ID
from salesforce_server.server import ORIGIN, Answer, Call

from connector.adapters.testing import CUT, Reply

#: A call is a write, a look at what is there, a page of a change feed, or what a process asks before its first write.
WRITE, LOOK, FEED, START = "writes", "looks", "feed", "start"


@dataclass(frozen=True, slots=True)
class Held:
    """One lead as its CRM shows it: whose it is, and (owner, key) of every task that hangs on it."""

    owner: str
    tasks: tuple[tuple[str, str], ...]


class Face(ABC):
    """One loopback CRM."""

    #: Calls for 1,000 leads with owner and task, and the connection of the configuration.
    budget: ClassVar[int]
    adapter: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}
    secret: ClassVar[tuple[str, str]]
    #: Calls a process makes once, before its first write.
    starts: ClassVar[int]

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it listens."""

    @property
    def loopback(self) -> str:
        """Where the adapter is to send instead of the configured address; "" where that is enough."""
        return ""

    @abstractmethod
    def user(self, number: int, name: str) -> str:
        """Make a person who may own records; return their id."""

    @abstractmethod
    def written(self) -> int:
        """Return how many leads and tasks it holds."""

    @abstractmethod
    def leads(self) -> Iterator[tuple[str, Held]]:
        """Yield the key of each lead that lives, as often as there are records with it."""

    @abstractmethod
    def tasks(self) -> int:
        """Return how many tasks there are, whatever they hang on."""

    @abstractmethod
    def calls(self) -> Counter[str]:
        """Return how often it was called since the start of the test, by kind."""

    @abstractmethod
    def on_next_write(self, do: Callable[[], None], *, applied: bool, of: bytes = b"") -> None:
        """Do something when a write arrives whose body holds `of`; apply it or not, and let its answer be lost."""

    @abstractmethod
    def limit(self, delay: timedelta) -> None:
        """Refuse the next call for its limit."""

    @abstractmethod
    def fail(self) -> None:
        """Answer the next call as one that broke down, without doing anything."""

    def lose(self) -> None:
        """Apply the next write, and cut the connection instead of answering."""
        self.on_next_write(lambda: None, applied=True)


class HubSpotFace(Face):
    """HubSpot where leads are contacts, of a small account: 100 calls in ten seconds."""

    budget = 30
    adapter = "hubspot"
    secret = ("token", TOKEN)
    #: Whether there are lead objects.
    starts = 1
    rig_type: ClassVar[type[HubSpotRig]] = HubSpotRig
    calls_in_ten_seconds: ClassVar[int] = 100

    def __init__(self, rig: HubSpotRig, *, search_lag: float) -> None:
        self.server, self.account = rig.server, rig.server.account
        self.server.calls_in_ten_seconds = self.calls_in_ten_seconds
        self.server.searches_a_second = 5
        self.account.search_lag = timedelta(seconds=search_lag)
        self.object = "leads" if rig.leads else "contacts"
        self.options = {"base_url": self.server.url, "portal": "62515"}  # type: ignore[misc]
        self._before = len(self.server.calls)

    @property
    def url(self) -> str:
        return self.server.url

    def user(self, number: int, name: str) -> str:
        id_ = str(7_001_000 + number)
        self.account.add_owner(id_, name, f"rep{number}@nordhammer.example")
        return id_

    def written(self) -> int:
        return len(self.account.objects[self.object]) + len(self.account.objects["tasks"])

    def leads(self) -> Iterator[tuple[str, Held]]:
        for stored in self.account.objects[self.object].values():
            tasks = [
                self.account.objects["tasks"][id_].properties
                for id_ in self.account.linked(self.object, "tasks", stored.id)
            ]
            told = tuple((task["hubspot_owner_id"], task["hearback_key"]) for task in tasks)
            yield stored.properties.get("hearback_key", ""), Held(stored.properties["hubspot_owner_id"], told)

    def tasks(self) -> int:
        return len(self.account.objects["tasks"])

    def calls(self) -> Counter[str]:
        return Counter(self._kind(call.method, call.path) for call in self.server.calls[self._before :])

    def _kind(self, method: str, path: str) -> str:
        if method == "GET":
            return START if re.search(r"/pipelines/|/objects/[^/]+/leads$", path) else FEED
        # The feed asks what changed records are linked to; a look asks which tasks a record has.
        if path.endswith("/search") or re.search(r"/associations/[^/]+/(tasks|deals|calls)/[a-z]+/batch/read$", path):
            return FEED
        return LOOK if path.endswith("/batch/read") else WRITE

    def on_next_write(self, do: Callable[[], None], *, applied: bool, of: bytes = b"") -> None:
        def fault(seen: Any) -> Reply | None:
            if self._kind(seen.method, seen.path.partition("?")[0]) != WRITE or of not in seen.body:
                self.server.faults.append(fault)
                return None
            do()
            if applied:
                self.server.lose_next_answer()
                return None
            return CUT

        self.server.faults.append(fault)

    def limit(self, delay: timedelta) -> None:
        self.server.limit_next(delay)

    def fail(self) -> None:
        self.server.answer_next(Reply(503, {"status": "error", "message": "down"}))


class LeadObjectsFace(HubSpotFace):
    """HubSpot with lead objects, which only larger accounts have: 190 calls in ten seconds."""

    #: Their pipeline's stages, too.
    starts = 2
    rig_type = LeadObjectsRig
    calls_in_ten_seconds = 190

    def leads(self) -> Iterator[tuple[str, Held]]:
        people = Counter(c.properties.get("hearback_person") for c in self.account.objects["contacts"].values())
        assert set(people.values()) <= {1}, "a person twice"
        assert len(people) == len(self.account.objects["leads"])
        assert all(len(self.account.linked("leads", "contacts", id_)) == 1 for id_ in self.account.objects["leads"])
        return super().leads()


class SalesforceFace(Face):
    """Salesforce: batches of 200, and a day's calls of an Enterprise organisation."""

    budget = 15
    adapter = "salesforce"
    secret = ("client_secret", SECRET)
    #: A token, the organisation's words, the fields of leads; twenty users, each as they first own a task.
    starts = 23
    options: ClassVar[Mapping[str, str]] = {
        "base_url": ORIGIN,
        "client_id": "consumer-key",
        "organization_id": ORG_ID,
    }

    def __init__(self, rig: SalesforceRig) -> None:
        self.server, self.org = rig.server, rig.org
        self.server.limit = 100_000
        self._before = len(self.server.seen)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def loopback(self) -> str:
        return self.server.url

    def user(self, number: int, name: str) -> str:
        del number
        return self.org.add_user(name)

    def written(self) -> int:
        return sum(1 for object_ in ("Lead", "Task") for _ in self.org.all(object_))

    def leads(self) -> Iterator[tuple[str, Held]]:
        tasks: dict[str, list[tuple[str, str]]] = {}
        for row in self.org.living("Task"):
            tasks.setdefault(row["WhoId"], []).append((row["OwnerId"], row["Hearback_Key__c"]))
        for row in self.org.living("Lead"):
            yield row["Hearback_Key__c"] or "", Held(row["OwnerId"], tuple(tasks.get(row["Id"], ())))

    def tasks(self) -> int:
        return len(self.org.living("Task"))

    def calls(self) -> Counter[str]:
        return Counter(self._kind(call) for call in self.server.seen[self._before :])

    def _kind(self, call: Call) -> str:
        if "/composite/sobjects" in call.path:
            return WRITE
        if "SystemModstamp" in call.path or (call.path.endswith("/composite") and b"SystemModstamp" in call.body):
            return FEED
        return LOOK if "Hearback_Key__c" in call.path else START

    def on_next_write(self, do: Callable[[], None], *, applied: bool, of: bytes = b"") -> None:
        def fault(call: Call) -> Answer | None:
            if not call.is_write or of not in call.body:
                return None
            do()
            if applied:
                self.server.route(call)
            return Answer(200, fault="cut")

        self.server.faults.append(fault)

    def limit(self, delay: timedelta) -> None:
        body = [{"message": "ConcurrentRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
        # The limit is one of the API, not of signing in.
        limited = Answer(403, body, {"Retry-After": str(int(delay.total_seconds()))})
        self.server.next(limited, lambda call: "/oauth2/" not in call.path)

    def fail(self) -> None:
        body = [{"message": "server unavailable", "errorCode": "SERVER_UNAVAILABLE"}]
        self.server.next(Answer(503, body))


@contextmanager
def hubspot(kind: type[HubSpotFace], search_lag: float) -> Iterator[Face]:
    with contextmanager(running)(kind.rig_type) as rig:
        yield kind(rig, search_lag=search_lag)


@contextmanager
def salesforce(_search_lag: float) -> Iterator[Face]:
    with ExitStack() as stack:
        yield SalesforceFace(SalesforceRig(stack))


FACES = {
    "salesforce": salesforce,
    "hubspot contacts": lambda lag: hubspot(HubSpotFace, lag),
    "hubspot lead objects": lambda lag: hubspot(LeadObjectsFace, lag),
}
