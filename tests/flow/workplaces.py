"""CRMs where reps work with credentials of their own: what each sees of a lead there, answers, and may not do."""

import re
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import orjson
import requests
from frontline import Frontline

from connector.flows import rereading, sync
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from connector.model.identity import new_id

# The loopback servers stand with the adapters' tests.
sys.path.append(str(Path(__file__).parents[1] / "adapters"))

from hubspot_rig import HubSpotRig, LeadObjectsRig, a_delivery, an_event
from hubspot_rig import running as running_hubspot
from hubspot_server.server import CLIENT_ID, CLIENT_SECRET
from salesforce_rig import SalesforceRig, outbound
from salesforce_server.server import VERSION

RESPONSE = 'response: {due: "4h", remind_at: [50], accept: yes, accept_due: "1h"}'
#: A Monday, 10:00 in Warsaw; everybody there works from 9:00 to 17:00.
MORNING = datetime(2026, 11, 23, 9, tzinfo=UTC)
CAMPAIGN = "cordless-autumn-de"
CRM = "sandbox"


@dataclass(frozen=True)
class Page:
    """What a rep reads of a lead in their CRM."""

    owner: str
    reason: str
    source: str
    campaign: str
    due: datetime
    response: str


@dataclass(frozen=True)
class Refusal:
    """What a CRM answered instead of doing it."""

    status: int
    code: str


class Login:
    """A rep in their CRM, by a token of their own."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    @abstractmethod
    def sees(self, lead: UUID) -> Page | None:
        """Return what the rep reads of a lead; None where there is none for them."""

    @abstractmethod
    def sets(self, record: str, **fields: str) -> Refusal | None:
        """Change fields of a lead, by their names there; return the refusal."""

    @abstractmethod
    def answers(self, record: str, said: str) -> Refusal | None:
        """Answer to an assignment."""

    @abstractmethod
    def todo(self, record: str) -> Sequence[str]:
        """Return the ids of open tasks on a lead that are the rep's own."""

    @abstractmethod
    def ticks(self, task: str) -> Refusal | None:
        """Mark a task as done."""

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self._url + path, timeout=10, **options)


def token_of(url: str, **form: str) -> str:
    """Trade a rep's refresh token for a token, at the CRM's own endpoint."""
    answer = requests.post(url, data={"grant_type": "refresh_token", **form}, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


class Workplace(Frontline):
    """A line whose owners must accept, and work in a CRM by their own logins."""

    #: Whether a rep's credentials reach the leads of others.
    shared: ClassVar[bool]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, response=RESPONSE, at=MORNING)

    def set_clock(self, at: datetime) -> None:
        """Set our clock; the CRM's, once there is one, is the same."""
        super().set_clock(at)
        self.at = at
        if hasattr(self, "rig"):
            self.set_crm_clock(at)

    @abstractmethod
    def set_crm_clock(self, at: datetime) -> None:
        """Set the clock of the CRM."""

    @abstractmethod
    def login(self, person: str) -> Login:
        """Have a rep sign in."""

    @abstractmethod
    def hook(self, record: str) -> Delivery:
        """Return what the CRM sends when a lead has changed."""

    def a_lead(self) -> tuple[UUID, str]:
        """Have somebody in Warsaw answer a mailing; return the lead and its record."""
        lead = self.lead(campaign=CAMPAIGN, utm_source="newsletter")
        assert self.rows("SELECT purpose, error FROM command WHERE state <> 'done'") == []
        return lead, self.record_of(lead)

    def record_of(self, lead: UUID) -> str:
        ((record,),) = self.rows("SELECT record_id FROM binding WHERE key = %s", f"lead:{lead}")
        return str(record)

    def hears(self, way: str, record: str) -> None:
        """Learn of a change by a webhook, or by looking."""
        if way == "webhook":
            delivery = self.hook(record)
            self.services.crm.verify_webhook(delivery)
            accept(self.services, delivery)
            while sync.work(self.services):
                pass
            while rereading.work(self.services, CRM):
                pass
        else:
            sync.poll(self.services, CRM)
        self.look()


class SalesforceLogin(Login):
    _FIELDS = (
        "Id,OwnerId,Hearback_Reason__c,LeadSource,Hearback_Campaign__c,Hearback_Response_Due__c,Hearback_Response__c"
    )

    def sees(self, lead: UUID) -> Page | None:
        found = self.query(f"SELECT {self._FIELDS} FROM Lead WHERE Hearback_Key__c = 'lead:{lead}'")
        if not found:
            return None
        (row,) = found
        return Page(
            row["OwnerId"],
            row["Hearback_Reason__c"],
            row["LeadSource"],
            row["Hearback_Campaign__c"],
            datetime.fromisoformat(row["Hearback_Response_Due__c"]),
            row["Hearback_Response__c"] or "",
        )

    def query(self, text: str) -> list[dict[str, Any]]:
        answer = self._call("GET", f"{VERSION}query", params={"q": text})
        answer.raise_for_status()
        return list(answer.json()["records"])

    def reads(self, record: str) -> Refusal | None:
        return _refused(self._call("GET", f"{VERSION}sobjects/Lead/{record}"))

    def sets(self, record: str, **fields: str) -> Refusal | None:
        return _refused(self._call("PATCH", f"{VERSION}sobjects/Lead/{record}", json=fields))

    def answers(self, record: str, said: str) -> Refusal | None:
        return self.sets(record, Hearback_Response__c=said)

    def deletes(self, record: str) -> Refusal | None:
        return _refused(self._call("DELETE", f"{VERSION}sobjects/Lead/{record}"))

    def todo(self, record: str) -> Sequence[str]:
        own = [row for row in self.query("SELECT Id, WhoId, IsClosed FROM Task") if row["WhoId"] == record]
        return [row["Id"] for row in own if not row["IsClosed"]]

    def ticks(self, task: str) -> Refusal | None:
        return _refused(self._call("PATCH", f"{VERSION}sobjects/Task/{task}", json={"Status": "Completed"}))


class SalesforceWorkplace(Workplace):
    """Private sharing, and the permission set for reps."""

    rig: SalesforceRig
    shared = False

    def connect(self, rig: SalesforceRig) -> None:
        self.rig = rig
        self.set_crm_clock(self.at)
        self._make_users()
        main = self.folder / "hearback.yaml"
        campaign = rig.org.insert("Campaign", Name="Akku-Herbst 2026")
        main.write_text(main.read_text("utf-8").replace("CMP-2601", campaign), "utf-8")
        self.publish()
        self.services.crm = rig.adapter
        rig.people.assign("Hearback_Rep", *self.reps())

    def _make_users(self) -> None:
        path = self.folder / "people.csv"
        text = path.read_text("utf-8")
        for cell in sorted(set(re.findall(r"U-\d+", text))):
            text = text.replace(cell, self.rig.org.add_user(f"Rep {cell}"))
        path.write_text(text, "utf-8")

    def reps(self) -> Sequence[str]:
        people = self.services.current().settings.people.values()
        return sorted({person.users[CRM] for person in people if CRM in person.users})

    def set_crm_clock(self, at: datetime) -> None:
        self.rig.org.shift = at - datetime.now(UTC)

    def login(self, person: str) -> SalesforceLogin:
        refresh = self.rig.people.authorise(self.user(person))
        url = self.rig.server.url
        return SalesforceLogin(url, token_of(f"{url}/services/oauth2/token", client_id="app", refresh_token=refresh))

    def hook(self, record: str) -> Delivery:
        return _ours(outbound([record], received_at=self.rig.org.now()))


class HubSpotLogin(Login):
    def __init__(self, url: str, token: str, object_: str) -> None:
        super().__init__(url, token)
        self._object = object_

    def sees(self, lead: UUID) -> Page | None:
        names = ("owner", "reason", "source", "campaign", "response_due", "response")
        shown = ["hubspot_owner_id" if name == "owner" else f"hearback_{name}" for name in names]
        query = {"idProperty": "hearback_key", "properties": ",".join(shown)}
        answer = self._call("GET", f"/crm/objects/2026-03/{self._object}/lead:{lead}", params=query)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        owner, reason, source, campaign, due, response = (answer.json()["properties"].get(name, "") for name in shown)
        return Page(owner, reason, source, campaign, datetime.fromisoformat(due), response)

    def sets(self, record: str, **fields: str) -> Refusal | None:
        path = f"/crm/objects/2026-03/{self._object}/{record}"
        return _refused(self._call("PATCH", path, json={"properties": fields}))

    def answers(self, record: str, said: str) -> Refusal | None:
        return self.sets(record, hearback_response=said)

    def todo(self, record: str) -> Sequence[str]:
        path = f"/crm/associations/2026-03/{self._object}/tasks/batch/read"
        linked = self._call("POST", path, json={"inputs": [{"id": record}]}).json()["results"]
        tasks = [str(to["toObjectId"]) for each in linked for to in each["to"]]
        return [task for task in tasks if self._task(task)["hs_task_status"] == "NOT_STARTED"]

    def _task(self, task: str) -> Mapping[str, str]:
        shown = self._call("GET", f"/crm/objects/2026-03/tasks/{task}", params={"properties": "hs_task_status"})
        return dict(shown.json()["properties"])

    def ticks(self, task: str) -> Refusal | None:
        done = {"properties": {"hs_task_status": "COMPLETED"}}
        return _refused(self._call("PATCH", f"/crm/objects/2026-03/tasks/{task}", json=done))


class HubSpotWorkplace(Workplace):
    """Its tokens reach whatever their scopes name, whoever the rep is; only its pages hold people to their own."""

    rig: HubSpotRig
    shared = True

    @property
    def object_(self) -> str:
        return "leads" if self.rig.leads else "contacts"

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return what a rep's app asks them for; tasks come with contacts."""
        return (*self.looking, *(scope.replace(".read", ".write") for scope in self.looking))

    @property
    def looking(self) -> tuple[str, ...]:
        return tuple(f"crm.objects.{name}.read" for name in dict.fromkeys(("contacts", self.object_)))

    def connect(self, rig: HubSpotRig) -> None:
        self.rig = rig
        self.set_crm_clock(self.at)
        self.edit("people.csv", "U-", "7000")
        self.publish()
        for key, person in self.services.current().settings.people.items():
            if CRM in person.users:
                rig.server.account.add_owner(person.users[CRM], person.name, f"{key}@nordhammer.example")
        self.services.crm = rig.adapter

    def set_crm_clock(self, at: datetime) -> None:
        self.rig.server.account.shift = at - datetime.now(UTC)

    def login(self, person: str, scopes: Sequence[str] = ()) -> HubSpotLogin:
        server = self.rig.server
        refresh = server.authorise(self.user(person), *(scopes or self.scopes))
        form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": refresh}
        return HubSpotLogin(server.url, token_of(f"{server.url}/oauth/2026-03/token", **form), self.object_)

    def record_of(self, lead: UUID) -> str:
        return super().record_of(lead).rpartition(":")[2]

    def hook(self, record: str) -> Delivery:
        at = self.rig.server.account.now()
        event = an_event("object.propertyChange", record, at=at, object_type="0-136" if self.rig.leads else "0-1")
        return _ours(a_delivery(orjson.dumps([event]), sent_at=at, received_at=at))


class LeadObjectsWorkplace(HubSpotWorkplace):
    """An account with lead objects."""


def _ours(delivery: Delivery) -> Delivery:
    """Return a delivery as our own door stores it."""
    known = {name: getattr(delivery, name) for name in delivery.__slots__}
    return Delivery(**{**known, "id": new_id(), "source": f"crm:{CRM}"})


def _refused(answer: requests.Response) -> Refusal | None:
    if answer.ok:
        return None
    body = answer.json()
    code = body[0]["errorCode"] if isinstance(body, list) else body["category"]
    return Refusal(answer.status_code, code)


WORKPLACES = {
    "salesforce": SalesforceWorkplace,
    "hubspot contacts": HubSpotWorkplace,
    "hubspot lead objects": LeadObjectsWorkplace,
}


@contextmanager
def working(kind: type[Workplace], url: str, folder: Path) -> Iterator[Workplace]:
    """Open a workplace with its CRM."""
    with ExitStack() as stack:
        place = kind(url, folder)
        stack.callback(place.close)
        place.connect(_rig(kind, stack))
        yield place


def _rig(kind: type[Workplace], stack: ExitStack) -> Any:
    if kind is SalesforceWorkplace:
        return SalesforceRig(stack)
    rig = LeadObjectsRig if kind is LeadObjectsWorkplace else HubSpotRig
    return stack.enter_context(contextmanager(running_hubspot)(rig))
