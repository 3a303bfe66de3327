"""The whole loop over Salesforce: an answer becomes a lead there, and what happens there comes back."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from salesforce_rig import HOOK, SalesforceRig, outbound
from web_support import BROWSER, FORM, Web, fresh_database, services_on, web_of

from connector.flows import deliver, intake, rereading, sync
from connector.services import Services
from connector.settings import default_folder

CRM = "sandbox"
CONNECTION = """
    adapter: salesforce
    mode: write
    rep_tasks: true
    options: {base_url: "https://nordhammer.my.salesforce.com", client_id: c, organization_id: 00D000000000001AAA}
    secrets: {client_secret: "${HEARBACK_SANDBOX_TOKEN}", webhook: "${HEARBACK_SANDBOX_WEBHOOK_SECRET}"}
"""


@dataclass
class Loop:
    rig: SalesforceRig
    services: Services
    web: Web
    woken: list[str]

    def lead(self) -> dict[str, Any]:
        (row,) = self.rig.org.living("Lead")
        return row


@pytest.fixture
def loop(postgres: str, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    folder = tmp_path / "config"
    shutil.copytree(default_folder(), folder)
    with ExitStack() as stack:
        rig = SalesforceRig(stack)
        write_config(folder, rig)
        url = stack.enter_context(fresh_database(postgres, template))
        services = stack.enter_context(services_on(url, folder=folder))
        monkeypatch.setattr(services, "adapter", lambda _settings, _connection: rig.adapter)
        woken: list[str] = []
        services.wake = woken.append
        yield Loop(rig, services, web_of(services), woken)


def write_config(folder: Path, rig: SalesforceRig) -> None:
    """Have the sample organisation use this CRM, and everybody in it be the same user."""
    main = folder / "hearback.yaml"
    text = main.read_text("utf-8")
    start, end = text.index("    adapter: sandbox"), text.index("# One entry per way in.")
    text = text[:start] + CONNECTION.lstrip("\n") + "\n" + text[end:]
    main.write_text(text.replace("CMP-2601", rig.org.insert("Campaign", Name="Akku-Herbst 2026")), "utf-8")
    people = folder / "people.csv"
    numbers = iter(range(1000))

    def user(_match: re.Match[str]) -> str:
        return rig.org.add_user(f"Rep {next(numbers)}")

    people.write_text(re.sub(r"U-\d+", user, people.read_text("utf-8")), "utf-8")


def post(loop: Loop, **more: str) -> None:
    form = {
        "vorname": "Ada",
        "nachname": "Nowak",
        "email": "ada@nowak.example",
        "plz": "20095",
        "telefon": "040 1234567",
        "produktgruppe": "cordless",
        "nachricht": "bitte anrufen",
        "einwilligung": "ja",
        **more,
    }
    loop.web.client.post(FORM, data=form, headers=BROWSER)
    while intake.work(loop.services):
        pass
    deliver.work(loop.services, CRM)


def test_an_answer_becomes_a_lead_with_owner_reason_and_task(loop: Loop) -> None:
    """WB1, A15: the person gave no company, and is a lead all the same."""
    post(loop)

    lead, (task,) = loop.lead(), loop.rig.org.living("Task")
    assert loop.web.rows("SELECT DISTINCT state FROM command") == [{"state": "done"}]
    assert (lead["LastName"], lead["Company"], lead["Status"]) == ("Nowak", "[not provided]", "Open - Not Contacted")
    assert lead["OwnerId"] == task["OwnerId"] != loop.rig.owner
    assert lead["Hearback_Reason__c"]
    assert lead["LeadSource"]
    assert (task["WhoId"], task["IsClosed"]) == (lead["Id"], False)
    assert task["ActivityDate"]
    assert not [fault for fault in loop.rig.org.payload_faults if "REQUIRED_FIELD_MISSING" not in fault]


def test_our_own_writes_are_no_news(loop: Loop) -> None:
    """W18, P9."""
    post(loop)
    seen = sync.poll(loop.services, CRM)

    assert seen
    assert loop.web.rows("SELECT type FROM event") == []
    assert loop.web.rows("SELECT state FROM command WHERE state <> 'done'") == []
    assert sync.poll(loop.services, CRM) == 0


def test_a_lead_converted_in_the_crm_is_closed_here_by_polling_alone(loop: Loop) -> None:
    """W13."""
    post(loop)
    sync.poll(loop.services, CRM)
    contact, _ = loop.rig.org.convert(loop.lead()["Id"], deal="Pumps")

    sync.poll(loop.services, CRM)
    rereading.work(loop.services, CRM)

    assert loop.web.rows("SELECT status FROM lead") == [{"status": "closed"}]
    assert {"object_type": "contact", "record_id": contact} in loop.web.rows(
        "SELECT object_type, record_id FROM binding"
    )


def test_a_lead_merged_into_another_is_followed(loop: Loop) -> None:
    """A23: it stays open, and its key leads to the other record."""
    post(loop)
    sync.poll(loop.services, CRM)
    other = loop.rig.org.insert("Lead", LastName="Nowak", Company="N", OwnerId=loop.lead()["OwnerId"])
    loop.rig.org.merge(next(row["Id"] for row in loop.rig.org.living("Lead") if row["Id"] != other), other)

    sync.poll(loop.services, CRM)
    rereading.work(loop.services, CRM)

    assert loop.web.rows("SELECT status FROM lead") == [{"status": "assigned"}]
    assert {"object_type": "lead", "record_id": other} in loop.web.rows("SELECT object_type, record_id FROM binding")


def test_a_lead_of_a_mailing_joins_its_campaign(loop: Loop) -> None:
    """The id stands in crm_ids of the sample's campaign."""
    post(loop, campaign="cordless-autumn-de")

    (member,), (campaign,) = loop.rig.org.living("CampaignMember"), loop.rig.org.living("Campaign")
    assert loop.web.rows("SELECT DISTINCT state FROM command") == [{"state": "done"}]
    assert (member["LeadId"], member["CampaignId"]) == (loop.lead()["Id"], campaign["Id"])
    assert loop.lead()["Hearback_Campaign__c"] == "cordless-autumn-de"


def test_an_outbound_message_is_stored_and_acknowledged_and_its_record_read_again(loop: Loop) -> None:
    """W5, W11, W16: no call to the CRM at the door; what the body says is not taken in."""
    post(loop)
    delivery = outbound([loop.lead()["Id"]], received_at=datetime.now(UTC))
    calls = loop.rig.requests()

    answer = loop.web.client.post(f"/crm/{CRM}/{HOOK}", data=delivery.body, content_type="text/xml; charset=utf-8")

    assert (answer.status_code, answer.mimetype) == (200, "text/xml")
    assert b"<Ack>true</Ack>" in answer.data
    assert loop.rig.requests() == calls
    loop.woken.clear()
    assert sync.work(loop.services) == 1
    assert "reread" in loop.woken
    assert loop.web.rows("SELECT state, fate FROM delivery WHERE kind = 'crm'") == [
        {"state": "done", "fate": "applied"}
    ]
    assert loop.web.rows("SELECT * FROM mirror_record") == []
    assert loop.rig.requests() == calls
    assert rereading.work(loop.services, CRM) == 1
    assert loop.rig.requests() == calls + 1


def test_a_message_told_before_the_feed_does_not_hide_what_the_feed_says(loop: Loop) -> None:
    """W7, W16: a deal that was only named is no state of a deal."""
    deal = loop.rig.org.insert("Opportunity", Name="Pumps", StageName="Prospecting", CloseDate="2026-12-31")
    sync.poll(loop.services, CRM)
    # Stamps have whole seconds: what changed in the second of the first load counts as history.
    loop.rig.org.shift = timedelta(seconds=2)
    loop.rig.org.edit(deal, StageName="Closed Won")
    body = outbound([deal], received_at=datetime.now(UTC), type_="Opportunity").body
    loop.web.client.post(f"/crm/{CRM}/{HOOK}", data=body, content_type="text/xml")
    sync.work(loop.services)

    sync.poll(loop.services, CRM)

    assert loop.web.rows("SELECT type FROM event") == [{"type": "opportunity.won"}]


@pytest.mark.parametrize("path", [f"/crm/{CRM}", f"/crm/{CRM}/wrong", f"/crm/{CRM}/{HOOK}x"])
def test_without_the_secret_there_is_no_acknowledgement(loop: Loop, path: str) -> None:
    """W9, W11: 401, and the body is kept for a look."""
    answer = loop.web.client.post(path, data=outbound(["00Q000000000001AAA"], received_at=datetime.now(UTC)).body)

    assert answer.status_code == 401
    assert b"Ack" not in answer.data
    assert HOOK not in answer.text
