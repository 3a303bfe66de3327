"""Three CRMs that one pool of reps works in: Salesforce and HubSpot on loopback, and the real BottleCRM.

Each is looked at, and worked in, by its own means; `OpenLead` says the same of all three.
"""

import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bottlecrm_server import office
from bottlecrm_server.process import BottleCrm
from web_support import post_from

from connector import publishing
from connector.adapters.base import Adapter
from connector.flows import deliver, held, rereading, responses, sync
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Store
from connector.vault import Vault

# The loopback servers stand with the adapters' tests, reps' logins with the flows'.
sys.path.append(str(Path(__file__).parents[1] / "adapters"))
sys.path.append(str(Path(__file__).parents[1] / "flow"))

import crash_scenario
from crash_driver import ENVIRON, SECRET_KEY
from hubspot_rig import HubSpotRig
from hubspot_rig import running as running_hubspot
from hubspot_server.server import CLIENT_ID, CLIENT_SECRET
from salesforce_rig import SalesforceRig
from workplaces import HubSpotLogin, SalesforceLogin, token_of

ADMIN = str(office.US["email"])
SALESFORCE, HUBSPOT, BOTTLE = CRMS = ("sf", "hs", "bottle")


@dataclass(frozen=True)
class Rep:
    """Where somebody works, and their caps: of open leads, and of leads in any 24 hours."""

    crms: tuple[str, ...]
    max_open: int | None = None
    max_per_day: int | None = None


CONNECTIONS = """\
  sf:
    adapter: salesforce
    mode: write
    rep_tasks: true
    options: {base_url: "https://nordhammer.my.salesforce.com", client_id: c, organization_id: 00D000000000001AAA}
    secrets: {client_secret: "${CRM_TOKEN}"}
  hs:
    adapter: hubspot
    mode: write
    rep_tasks: true
    options: {base_url: "http://127.0.0.1:8652", portal: "62515"}
    secrets: {token: "${CRM_TOKEN}"}
  bottle:
    adapter: bottlecrm
    mode: write
    rep_tasks: true
    options: {base_url: "URL"}
    secrets: {token: "${BOTTLE_TOKEN}"}
"""
#: One pool; three of its rules say which CRM a lead goes to, the fourth leaves that to its owner.
ZONES = {"1": SALESFORCE, "2": HUBSPOT, "3": BOTTLE, "4": ""}


@dataclass(frozen=True)
class OpenLead:
    """An open lead as its CRM has it: whose user owns it, and our key of it ("" where it was born there)."""

    record: str
    user: str
    key: str


class Crm(ABC):
    """One CRM, as people work in it. `users` are their users there."""

    def __init__(self, key: str, users: Mapping[str, str]) -> None:
        self.key = key
        self.users = users

    def person(self, user: str) -> str:
        """Return who a user is."""
        return next(person for person, known in self.users.items() if known == user)

    @abstractmethod
    def open(self) -> list[OpenLead]:
        """Return the leads that are open there."""

    @abstractmethod
    def close(self, lead: OpenLead) -> None:
        """Have the owner close a lead."""

    @abstractmethod
    def born(self, person: str, email: str) -> None:
        """Have somebody enter a lead there, for a rep."""

    @abstractmethod
    def rejects(self, lead: OpenLead) -> None:
        """Have the owner reject a lead, by credentials of their own."""

    def tick(self) -> None:  # noqa: B027 - only one of them needs it
        """Let a little time pass there."""


class Salesforce(Crm):
    """An organisation under private sharing."""

    def __init__(self, rig: SalesforceRig, users: Mapping[str, str]) -> None:
        super().__init__(SALESFORCE, users)
        self.rig = rig
        rig.people.assign("Hearback_Rep", *users.values())

    def open(self) -> list[OpenLead]:
        rows = [row for row in self.rig.org.living("Lead") if not row["IsConverted"]]
        return [
            OpenLead(row["Id"], row["OwnerId"], row["Hearback_Key__c"] or "")
            for row in rows
            if not row["Status"].startswith("Closed")
        ]

    def close(self, lead: OpenLead) -> None:
        assert self._login(lead).sets(lead.record, Status="Closed - Not Converted") is None

    def born(self, person: str, email: str) -> None:
        more = {"Status": "Working - Contacted", "OwnerId": self.users[person]}
        self.rig.org.insert("Lead", LastName="Born", Company="Born", Email=email, **more)

    def rejects(self, lead: OpenLead) -> None:
        assert self._login(lead).answers(lead.record, "rejected_bad_data") is None

    def _login(self, lead: OpenLead) -> SalesforceLogin:
        url = self.rig.server.url
        refresh = self.rig.people.authorise(lead.user)
        return SalesforceLogin(url, token_of(f"{url}/services/oauth2/token", refresh_token=refresh))


class HubSpot(Crm):
    """An account whose leads are contacts."""

    def __init__(self, rig: HubSpotRig, users: Mapping[str, str]) -> None:
        super().__init__(HUBSPOT, users)
        self.rig = rig
        self.account = rig.server.account
        for person, user in users.items():
            self.account.add_owner(user, person.title(), f"{person}@nordhammer.example")

    def open(self) -> list[OpenLead]:
        stored = [each for each in self.account.objects["contacts"].values() if each.archived_at is None]
        return [
            OpenLead(each.id, each.properties.get("hubspot_owner_id", ""), each.properties.get("hearback_key", ""))
            for each in stored
            if each.properties.get("hs_lead_status") in ("NEW", "OPEN", "IN_PROGRESS")
        ]

    def close(self, lead: OpenLead) -> None:
        self.tick()
        assert self._login(lead).sets(lead.record, hs_lead_status="UNQUALIFIED") is None

    def born(self, person: str, email: str) -> None:
        self.tick()
        known = {"lifecyclestage": "lead", "hs_lead_status": "IN_PROGRESS", "hubspot_owner_id": self.users[person]}
        self.account.put("contacts", email=email, lastname="Born", **known)

    def rejects(self, lead: OpenLead) -> None:
        self.tick()
        assert self._login(lead).answers(lead.record, "rejected_bad_data") is None

    def tick(self) -> None:
        """Let the search see what changed."""
        self.account.shift += timedelta(seconds=2)

    def _login(self, lead: OpenLead) -> HubSpotLogin:
        server = self.rig.server
        scopes = ("crm.objects.contacts.read", "crm.objects.contacts.write")
        form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        form["refresh_token"] = server.authorise(lead.user, *scopes)
        return HubSpotLogin(server.url, token_of(f"{server.url}/oauth/2026-03/token", **form), "contacts")


class Bottle(Crm):
    """The real BottleCRM. Reps work in it by their own tokens, the administrator looks."""

    def __init__(self, crm: BottleCrm, users: Mapping[str, str]) -> None:
        super().__init__(BOTTLE, users)
        self.crm = crm

    def open(self) -> list[OpenLead]:
        rows = self.crm.call("GET", "/api/leads/?limit=100", by=ADMIN)["open_leads"]["open_leads"]
        return [self._lead(row) for row in rows]

    def close(self, lead: OpenLead) -> None:
        self._patch(lead, {"status": "closed"})

    def born(self, person: str, email: str) -> None:
        lead = {"title": "Born", "last_name": "Born", "email": email, "status": "in process"}
        self.crm.call("POST", "/api/leads/", {**lead, "assigned_to": [self.users[person]]}, by=ADMIN)

    def rejects(self, lead: OpenLead) -> None:
        self._patch(lead, {"custom_fields": {"hearback_response": "rejected_bad_data"}})

    def _patch(self, lead: OpenLead, fields: Mapping[str, Any]) -> None:
        self.crm.call("PATCH", f"/api/leads/{lead.record}/", dict(fields), by=self._email(lead.user))

    def _email(self, user: str) -> str:
        return next(email for email, member in self.crm.people.items() if member.profile == user)

    @staticmethod
    def _lead(row: Mapping[str, Any]) -> OpenLead:
        (owner,) = row["assigned_to"]
        return OpenLead(row["id"], owner["id"], (row["custom_fields"] or {}).get("hearback_key", ""))


class PoolServices(Services):
    """Services that reach the loopback CRMs by the adapters of their rigs."""

    rigged: Mapping[str, Adapter]

    def adapter(self, settings: Settings, connection: str) -> Adapter:
        """Return the adapter of a connection."""
        return self.rigged.get(connection) or super().adapter(settings, connection)


class Pool:
    """One pool of reps, and their CRMs."""

    def __init__(self, services: PoolServices, crms: Mapping[str, Crm], folder: Path) -> None:
        self.services = services
        self.crms = crms
        self.folder = folder
        self.postal: dict[str, str] = {}

    # What happens.

    def answer(self, zones: str) -> None:
        """Have people of these zones answer, and bring their leads to their owners."""
        post_from(self.services, zones)
        self.send()

    def send(self) -> None:
        """Bring everything decided into the CRMs."""
        for key in CRMS:
            while deliver.work(self.services, key):
                pass
        assert self.rows("SELECT connection, key, state, error FROM command WHERE state <> 'done'") == []

    def hear(self) -> int:
        """Hear what the CRMs say, by looking; return how many waiting leads found an owner by it."""
        for key, crm in self.crms.items():
            crm.tick()
            while sync.poll(self.services, key):
                pass
            while rereading.work(self.services, key):
                pass
        responses.work(self.services)
        placed = held.work(self.services)
        self.send()
        return placed

    def later(self, by: timedelta) -> None:
        """Let time pass for us."""
        with self.services.store.transaction() as tx:
            tx.run("UPDATE clock SET shift = shift + %s", by)

    # What is so.

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.services.store.transaction() as tx:
            return tx.all(query, *parameters)

    def waiting(self) -> int:
        return int(self.rows("SELECT count(*) FROM lead WHERE status = 'held'")[0][0])

    def open(self) -> list[tuple[str, str, OpenLead]]:
        """Return what is open in the CRMs: the CRM, whose it is, and the lead."""
        return [(key, crm.person(lead.user), lead) for key, crm in self.crms.items() for lead in crm.open()]

    def counts(self) -> Counter[str]:
        """Return how many open leads each person has in all CRMs together, theirs and ours."""
        return Counter(person for _, person, _ in self.open())

    def ours(self) -> dict[str, tuple[str, str]]:
        """Return our open leads as the CRMs have them: key -> (CRM, person); each must be in one."""
        found: dict[str, tuple[str, str]] = {}
        for crm, person, lead in self.open():
            if lead.key:
                assert lead.key not in found, f"in {crm} and in {found[lead.key][0]}"
                found[lead.key] = (crm, person)
        return found

    def one_of(self, person: str, crm: str = "") -> tuple[Crm, OpenLead]:
        """Return an open lead of ours a person has, in some CRM or a certain one."""
        for key, owner, lead in self.open():
            if owner == person and lead.key and crm in ("", key):
                return self.crms[key], lead
        raise AssertionError(f"{person} has no lead in {crm or 'any CRM'}")


@contextmanager
def a_pool(postgres: str, url: str, python: Path, folder: Path, reps: Mapping[str, Rep]) -> Iterator[Pool]:
    """Open the three CRMs with users for these people, and Hearback over them."""
    with ExitStack() as stack:
        staff = [{"email": email_of(p), "name": p.title(), "role": "USER", "active": True} for p in reps]
        real = stack.enter_context(BottleCrm(python, postgres, "bottlecrm_pool", [office.US, *staff]))
        office.install(real.url, real.people[ADMIN].token)
        salesforce = SalesforceRig(stack)
        hubspot = stack.enter_context(contextmanager(running_hubspot)(HubSpotRig))
        crms: dict[str, Crm] = {
            SALESFORCE: Salesforce(salesforce, {p: salesforce.org.add_user(p.title()) for p in _in(reps, SALESFORCE)}),
            HUBSPOT: HubSpot(hubspot, {p: str(7000 + n) for n, p in enumerate(_in(reps, HUBSPOT))}),
            BOTTLE: Bottle(real, {p: real.people[email_of(p)].profile for p in _in(reps, BOTTLE)}),
        }
        config = folder / "config"
        write_config(config, crms, reps, real.url)
        store = stack.enter_context(Store(url).open())
        published = publishing.publish(store, config)
        assert published.hash, published.complaints
        environment = {**ENVIRON, "BOTTLE_TOKEN": real.people[ADMIN].token}
        services = PoolServices(store, Vault(SECRET_KEY), environ=environment)
        services.rigged = {SALESFORCE: salesforce.adapter, HUBSPOT: hubspot.adapter}
        yield Pool(services, crms, config)


def email_of(person: str) -> str:
    return f"{person}@nordhammer.example"


def _in(reps: Mapping[str, Rep], crm: str) -> list[str]:
    return [person for person, rep in reps.items() if crm in rep.crms]


def write_config(folder: Path, crms: Mapping[str, Crm], reps: Mapping[str, Rep], bottle: str) -> None:
    """Write an organisation with one pool of all these people, who must respond within days."""
    crash_scenario.write_organisation(folder)
    main = folder / "hearback.yaml"
    before, _, rest = main.read_text("utf-8").partition("connections:\n")
    after = rest[rest.index("sources:") :].replace(", crm_ids: {crm: CMP-1}", "")
    main.write_text(f"{before}connections:\n{CONNECTIONS.replace('URL', bottle)}{after}", "utf-8")
    head = "key,name,email,lane,role,team,timezone,calendar,languages,active,weight,max_open,max_per_day"
    lines = [f"{head},{','.join(f'user:{key}' for key in CRMS)}"]
    for person, rep in reps.items():
        caps = ",".join("" if cap is None else str(cap) for cap in (rep.max_open, rep.max_per_day))
        users = ",".join(crms[key].users.get(person, "") for key in CRMS)
        role = "manager" if person == "mona" else "rep"
        told = (
            f"{person},{person.title()},{email_of(person)},sales,{role},sales,Europe/Berlin,DE,de,yes,1,{caps},{users}"
        )
        lines.append(told)
    (folder / "people.csv").write_text("\n".join([*lines, ""]), "utf-8")
    members = ", ".join(person for person in reps if person != "mona")
    (folder / "routing.yaml").write_text(
        'fallback: mona\nholding: {max_hold: "1000h"}\nresponse: {due: "100h", remind_at: [99]}\n'
        f"pools:\n  house: {{members: [{members}]}}\n",
        "utf-8",
    )
    rules = [f"zone-{zone},{zone}0,DE,{zone}*,{crm},house" for zone, crm in ZONES.items()]
    (folder / "territories.csv").write_text(
        "\n".join(["rule,order,country,postal,connection,pool", *rules, ""]), "utf-8"
    )
