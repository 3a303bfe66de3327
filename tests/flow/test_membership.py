"""What goes with a lead into its CRM: campaign membership, what its link said, consent (issue 5, item 4)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, jan

from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, WriteResult
from connector.store import decisions


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    yield made
    made.close()


def leads_sent(desk: Desk) -> list[Upsert]:
    return [command for call in desk.crm.calls for command in call if command.object_type is ObjectType.LEAD]


def post(desk: Desk, **fields: str) -> None:
    desk.post(**jan(**fields))
    desk.work()
    desk.send()


def test_a_lead_joins_its_campaign_by_the_crms_own_id(desk: Desk) -> None:
    post(desk, campaign="NH26-PM", utm_source="brief", utm_campaign="messen", einwilligung="ja")

    (lead,) = leads_sent(desk)

    assert lead.campaign == "CMP-2603"
    assert lead.fields["campaign"] == "pomiary-2026"
    assert "campaign_id" not in lead.fields, "a membership is no field of the lead"
    assert json.loads(str(lead.fields["attribution"])) == {"utm_campaign": "messen", "utm_source": "brief"}
    assert json.loads(str(lead.fields["consent"])) == {"email": True}


def test_who_answers_another_mailing_joins_that_campaign_too(desk: Desk) -> None:
    """What is known of the person stays; the campaign's own report counts them."""
    post(desk, campaign="NH26-PM")
    post(desk, campaign="NH27-WF")
    post(desk, campaign="NH26-PM")

    first, second = leads_sent(desk)

    assert (first.campaign, second.campaign) == ("CMP-2603", "CMP-2701")
    assert second.fields == {}
    assert desk.crm.records["r1"]["campaign"] == "pomiary-2026"


@pytest.mark.parametrize("campaign", ["", "made-up"])
def test_a_campaign_the_crm_has_no_id_for_is_joined_by_nobody(desk: Desk, campaign: str) -> None:
    post(desk, campaign=campaign)

    assert [lead.campaign for lead in leads_sent(desk)] == [""]


def test_decisions_know_nothing_of_the_crms_ids(desk: Desk) -> None:
    """P4: a record recomputes whatever a campaign is called in a CRM."""
    post(desk, campaign="NH26-PM")

    with desk.services.store.transaction() as tx:
        (row,) = decisions.since(tx, 0, 9)

    assert b"CMP-" not in row.record


class ConvertingCrm:
    """Answers that a lead has become a contact."""

    def __init__(self, desk: Desk) -> None:
        self._write = desk.crm._write

    def __call__(self, command: Upsert) -> WriteResult:
        if command.object_type is ObjectType.LEAD and command.record is not None:
            return WriteResult(RecordRef(ObjectType.CONTACT, "c1"), Outcome.MOVED)
        return self._write(command)


def test_a_lead_that_was_converted_is_written_as_what_it_is_now(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A23: the binding follows, and so do the tasks."""
    post(desk)
    monkeypatch.setattr(desk.crm, "_write", ConvertingCrm(desk))
    post(desk, telefon="+48 600 100 200")
    monkeypatch.undo()
    desk.crm.calls.clear()

    post(desk, firma="Kos SA")

    (lead,) = leads_sent(desk)
    tasks = [each for call in desk.crm.calls for each in call if each.object_type is ObjectType.TASK]
    assert lead.record == RecordRef(ObjectType.CONTACT, "c1")
    assert [task.fields["lead"] for task in tasks] == ["c1"]
