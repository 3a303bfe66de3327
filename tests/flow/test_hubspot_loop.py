"""The whole loop over HubSpot: an answer becomes a contact with owner, reason and task; what its owner answers acts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from frontline import START, Frontline

from connector.flows import housekeeping, rereading, sync
from connector.flows.accept import accept
from connector.model.identity import new_id
from connector.store import crm_leads

# The loopback server stands with the adapters' tests.
sys.path.append(str(Path(__file__).parents[1] / "adapters"))

from hubspot_rig import HubSpotRig, LeadObjectsRig, a_delivery, an_event, running
from hubspot_server.account import iso

HOUR = timedelta(hours=1)


class HubSpotLine(Frontline):
    """A line whose owners work in HubSpot."""

    rig: HubSpotRig

    def connect(self, rig: HubSpotRig) -> None:
        self.rig = rig
        rig.server.account.shift = START - datetime.now(UTC)
        self.edit("people.csv", "U-", "7000")
        self.publish()
        for key, person in self.services.current().settings.people.items():
            if person.users.get("sandbox"):
                rig.server.account.add_owner(person.users["sandbox"], person.name, f"{key}@nordhammer.example")
        self.services.crm = rig.adapter

    @property
    def leads(self) -> str:
        return "leads" if self.rig.leads else "contacts"

    def held(self, lead: UUID) -> tuple[str, dict[str, str]]:
        """Return id and properties of what HubSpot shows the owner of a lead."""
        stored = self.rig.server.account.objects[self.leads].values()
        return next((s.id, s.properties) for s in stored if s.properties.get("hearback_key") == f"lead:{lead}")

    def answers(self, lead: UUID, **properties: str) -> str:
        """Have a person set properties of a lead; return its id."""
        id_, _ = self.held(lead)
        account = self.rig.server.account
        account.shift += timedelta(minutes=1)
        account.set(self.leads, id_, **properties)
        return id_

    def hears(self, kind: str, record: str, **more: object) -> None:
        """Take in a webhook, and read again what it names."""
        at = self.rig.server.account.now()
        object_type = "0-136" if self.rig.leads else "0-1"
        body = orjson.dumps([an_event(kind, record, at=at, object_type=object_type, **more)])
        delivery = a_delivery(body, sent_at=at, received_at=at)
        self.rig.adapter.verify_webhook(delivery)
        accept(self.services, delivery.__class__(**_fields(delivery) | {"id": new_id(), "source": "crm:sandbox"}))
        while sync.work(self.services):
            pass
        while rereading.work(self.services, "sandbox"):
            pass

    def polls(self) -> None:
        self.run("UPDATE connection_state SET paused_until = NULL")
        self.rig.server.account.shift += timedelta(seconds=5)
        sync.poll(self.services, "sandbox")


def _fields(delivery: object) -> dict[str, object]:
    return {name: getattr(delivery, name) for name in delivery.__slots__}  # type: ignore[attr-defined]


@pytest.fixture(params=[HubSpotRig, LeadObjectsRig], ids=["contacts", "lead objects"])
def line(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[HubSpotLine]:
    made = HubSpotLine(database_url, tmp_path)
    with contextmanager(running)(request.param) as rig:
        made.connect(rig)
        yield made
    made.close()


def test_an_answer_stands_on_a_page_of_the_owners(line: HubSpotLine) -> None:
    lead = line.lead()

    id_, held = line.held(lead)
    account = line.rig.server.account
    tasks = [account.objects["tasks"][task].properties for task in account.linked(line.leads, "tasks", id_)]
    assert held["hubspot_owner_id"] == line.user(line.owner(lead))
    assert held["hearback_reason"]
    assert held["hearback_response_due"] == iso(line.instant(lead, "touch_due"))
    assert [task["hubspot_owner_id"] for task in tasks] == [held["hubspot_owner_id"]]
    assert tasks[0]["hs_timestamp"] == held["hearback_response_due"]


@pytest.mark.parametrize("way", ["webhook", "poll"])
def test_a_rejected_lead_goes_to_somebody_else(line: HubSpotLine, way: str) -> None:
    """W13: with every webhook lost, the poll brings it."""
    lead = line.lead()
    first = line.owner(lead)
    line.polls()

    id_ = line.answers(lead, hearback_response="rejected_wrong_territory")
    if way == "webhook":
        line.hears("object.propertyChange", id_)
    else:
        line.polls()
    line.look()

    _, held = line.held(lead)
    assert line.owner(lead) != first
    assert held["hubspot_owner_id"] == line.user(line.owner(lead))
    assert not held.get("hearback_response")


def test_our_own_writes_are_no_news(line: HubSpotLine) -> None:
    """W18."""
    lead = line.lead()
    before = line.given(lead)

    line.hears("object.creation", line.held(lead)[0])
    line.polls()

    assert line.given(lead) == before


def test_an_owner_who_works_on_a_lead_has_responded(line: HubSpotLine) -> None:
    lead = line.lead()
    touched = {"hs_pipeline_stage": "attempting-stage-id"} if line.rig.leads else {"hs_lead_status": "CONNECTED"}

    line.hears("object.propertyChange", line.answers(lead, **touched))

    assert line.state(lead) == "touched"


def test_a_ticked_task_is_a_response(line: HubSpotLine) -> None:
    """No webhook tells of tasks: the poll does."""
    lead = line.lead()
    line.polls()
    account = line.rig.server.account
    (task,) = account.linked(line.leads, "tasks", line.held(lead)[0])
    account.shift += timedelta(minutes=1)
    account.set("tasks", task, hs_task_status="COMPLETED")

    line.polls()

    assert line.state(lead) == "touched"


def test_a_lead_whose_record_is_deleted_is_closed(line: HubSpotLine) -> None:
    lead = line.lead()
    id_, _ = line.held(lead)
    line.rig.server.account.archive(line.leads, id_)

    line.hears("object.deletion", id_)

    assert line.rows("SELECT status FROM lead WHERE id = %s", lead) == [("closed",)]


def test_an_open_lead_born_there_counts_until_it_ends(line: HubSpotLine) -> None:
    """R12: by the poll alone, and by a webhook alone."""
    if line.rig.leads:
        pytest.skip("a contact is no lead where lead objects are")
    account, owner = line.rig.server.account, line.user("agnieszka.wilk")
    line.polls()
    born = account.put("contacts", email="b@b.example", hs_lead_status="IN_PROGRESS", hubspot_owner_id=owner)
    account.put("contacts", email="c@c.example", lifecyclestage="lead", hubspot_owner_id=owner)
    line.polls()
    assert born_of(line) == {"agnieszka.wilk": 1}

    account.shift += timedelta(minutes=1)
    account.set("contacts", born, hs_lead_status="")
    line.polls()
    assert born_of(line) == {}

    account.set("contacts", born, hs_lead_status="OPEN")
    line.hears("object.propertyChange", born)
    assert born_of(line) == {"agnieszka.wilk": 1}

    account.set("contacts", born, lifecyclestage="customer")
    line.hears("object.propertyChange", born)
    assert born_of(line) == {}
    kept = line.rows("SELECT owner FROM mirror_record WHERE object_type = 'contact' AND email = 'b@b.example'")
    assert kept == [(owner,)], "the person is known all the while"


def born_of(line: HubSpotLine) -> dict[str, int]:
    with line.services.store.transaction() as tx:
        return crm_leads.counts(tx, "sandbox")


def test_a_merged_contact_stays_ours(line: HubSpotLine) -> None:
    """W10."""
    if line.rig.leads:
        pytest.skip("lead objects are not merged here")
    lead = line.lead()
    ours, _ = line.held(lead)
    account = line.rig.server.account
    other = account.put("contacts", email="twin@example.com", firstname="Twin")
    account.shift += timedelta(minutes=1)
    new = account.merge("contacts", other, ours)

    merged = {"primaryObjectId": int(other), "mergedObjectIds": [int(ours)], "newObjectId": int(new)}
    line.hears("object.merge", new, **merged)
    account.set("contacts", new, hearback_response="accepted")
    line.hears("object.propertyChange", new)

    assert line.rows("SELECT record_id FROM binding WHERE key = %s", f"lead:{lead}") == [(new,)]
    assert line.rows("SELECT status FROM lead WHERE id = %s", lead) != [("closed",)]


def test_whom_hubspot_was_told_to_forget_is_erased_here_too(line: HubSpotLine) -> None:
    """W10: with the submission and its body, and what is said of them later stays out."""
    lead, other = line.lead(), line.lead()
    line.polls()
    (email,) = line.rows("SELECT data ->> 'email' FROM lead WHERE id = %s", lead)[0]
    account = line.rig.server.account
    (contact,) = [id_ for id_, held in account.objects["contacts"].items() if held.properties.get("email") == email]
    if line.rig.leads:
        account.purge("leads", line.held(lead)[0])
    account.purge("contacts", contact)

    line.hears("contact.privacyDeletion", contact, objectTypeId="0-1")
    housekeeping.work(line.services)
    line.hears("object.propertyChange", contact, objectTypeId="0-1")
    line.polls()

    assert line.rows("SELECT erased_at IS NOT NULL FROM lead WHERE id = %s", lead) == [(True,)]
    assert line.rows("SELECT erased_at IS NOT NULL FROM lead WHERE id = %s", other) == [(False,)]
    assert line.rows(
        "SELECT count(*) FROM delivery_body JOIN submission USING (delivery_id) WHERE lead_id = %s", lead
    ) == [(0,)]
    assert line.rows("SELECT count(*) FROM mirror_record WHERE email = %s", email) == [(0,)]
    assert line.rows("SELECT asked_by, finished_at IS NOT NULL FROM erasure") == [("connection sandbox", True)]
