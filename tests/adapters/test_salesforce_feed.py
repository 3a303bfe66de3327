"""Salesforce, reads: A21 to A25, W13."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from salesforce_rig import SalesforceRig
from salesforce_server.server import Answer, Call

from connector.adapters.salesforce import feed
from connector.adapters.salesforce.feed import Walk, step
from connector.adapters.testing import fresh_key
from connector.errors import InvalidRecord, RateLimited, UnexpectedAnswer
from connector.model.crm import CrmEvent, EventType, ObjectType, Upsert

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def rig() -> Iterator[SalesforceRig]:
    with ExitStack() as stack:
        rig = SalesforceRig(stack)
        rig.org.moment = NOON
        yield rig


def all_since(rig: SalesforceRig, cursor: str = "") -> tuple[list[CrmEvent], str]:
    events: list[CrmEvent] = []
    for _ in range(200):
        page, following = rig.adapter.changes_since(cursor)
        events += page
        if following == cursor:
            return events, cursor
        cursor = following
    raise AssertionError("the feed does not end")


def test_the_first_load_tells_everything_there_is(rig: SalesforceRig) -> None:
    """A22, A23: people, accounts, contacts, leads, deals, tasks and logged calls; also what was deleted."""
    account = rig.org.insert("Account", Name="Nowak GmbH", Website="https://www.nowak.example/start")
    contact = rig.org.insert("Contact", LastName="Nowak", AccountId=account)
    lead = rig.org.insert("Lead", LastName="Nowak", Company="N", Status="Working - Contacted")
    gone = rig.org.insert("Lead", LastName="Gone", Company="N")
    rig.org.delete(gone)
    _, deal = rig.org.convert(lead, deal="Pumps")
    task = rig.org.insert("Task", Subject="Call", Status="Not Started", WhoId=contact, WhatId=deal)
    call = rig.org.insert(
        "Task", Status="Completed", TaskSubtype="Call", CallDurationInSeconds=90, CallType="Outbound", WhatId=deal
    )
    rig.org.insert("Task", Status="Not Started", TaskSubtype="Call")

    events, _ = all_since(rig)

    by_ref = {(event.ref.object_type, event.ref.id): event for event in events}
    told = {key: event.record.fields for key, event in by_ref.items() if event.record}
    assert told[ObjectType.ACCOUNT, account]["domain"] == "nowak.example"
    assert told[ObjectType.CONTACT, contact]["account"] == account
    assert told[ObjectType.LEAD, lead]["status"] == "converted"
    assert by_ref[ObjectType.LEAD, gone].type is EventType.RECORD_DELETED
    assert deal is not None
    assert (told[ObjectType.DEAL, deal]["lead"], told[ObjectType.DEAL, deal]["stage"]) == (lead, "open")
    assert told[ObjectType.TASK, task]["contact"] == contact
    seen = told[ObjectType.CALL, call]
    assert (seen["seconds"], seen["direction"], seen["source"], seen["deal"]) == (90, "outbound", "manual", deal)
    assert told[ObjectType.USER, rig.inactive_owner]["active"] is False
    assert len([key for key in by_ref if key[0] in (ObjectType.TASK, ObjectType.CALL)]) == 2


def test_a_first_load_goes_on_from_where_it_was_interrupted(
    rig: SalesforceRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22: the cursor of each page is enough."""
    monkeypatch.setattr(feed, "PAGE", 7)
    leads = [rig.org.insert("Lead", LastName=str(n), Company="N") for n in range(40)]
    first, cursor = rig.adapter.changes_since("")
    second, cursor = rig.adapter.changes_since(cursor)
    rig.server.expire()

    rest, _ = all_since(rig, cursor)

    told = [event.ref.id for event in (*first, *second, *rest) if event.ref.object_type is ObjectType.LEAD]
    assert told == leads


def test_equal_stamps_lose_nothing(rig: SalesforceRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A22: a page may end between two records of one second."""
    monkeypatch.setattr(feed, "PAGE", 3)
    rig.org.moment = NOON - timedelta(days=1)
    leads = [rig.org.insert("Lead", LastName=str(n), Company="N") for n in range(10)]
    rig.org.moment = NOON

    events, _ = all_since(rig)

    assert [event.ref.id for event in events if event.ref.object_type is ObjectType.LEAD] == leads


def test_a_record_committed_late_is_told(rig: SalesforceRig) -> None:
    """A22: its stamp is older than what was read already."""
    rig.org.shift = timedelta(minutes=-1)
    rig.org.insert("Lead", LastName="Early", Company="N")
    rig.org.shift = timedelta()
    _, cursor = all_since(rig)
    rig.org.shift = timedelta(minutes=-4)
    late = rig.org.insert("Lead", LastName="Late", Company="N")
    rig.org.shift = timedelta()

    events, after = all_since(rig, cursor)

    assert [event.ref.id for event in events] == [late]
    assert rig.adapter.changes_since(after) == ([], after)


def test_two_changes_within_a_second_are_both_told_and_in_order(rig: SalesforceRig) -> None:
    """A22: stamps have whole seconds."""
    lead = rig.org.insert("Lead", LastName="A", Company="N")
    first, cursor = all_since(rig)
    rig.org.edit(lead, LastName="B")

    (second,), _ = all_since(rig, cursor)

    (before,) = [event for event in first if event.ref.id == lead]
    assert second.record is not None
    assert second.record.fields["last_name"] == "B"
    assert second.occurred_at > before.occurred_at


def test_the_clock_is_the_crms(rig: SalesforceRig) -> None:
    """A22: ours may be a day ahead."""
    rig.org.moment = NOON - timedelta(days=365)
    rig.org.insert("Lead", LastName="A", Company="N")
    _, cursor = all_since(rig)
    lead = rig.org.insert("Lead", LastName="B", Company="N")

    events, _ = all_since(rig, cursor)

    assert [event.ref.id for event in events] == [lead]


def test_a_quiet_look_costs_two_calls_and_keeps_the_cursor(rig: SalesforceRig) -> None:
    """A28: a look a minute is 2,880 calls a day."""
    rig.org.insert("Lead", LastName="A", Company="N")
    _, cursor = all_since(rig)
    before = rig.server.used

    assert rig.adapter.changes_since(cursor) == ([], cursor)
    assert rig.server.used - before == 2


def test_the_cursor_stays_small(rig: SalesforceRig) -> None:
    """A22: what is settled needs no mark."""
    rig.org.moment = NOON - timedelta(days=1)
    for number in range(600):
        rig.org.insert("Lead", LastName=str(number), Company="N")
    rig.org.moment = NOON

    _, cursor = all_since(rig)

    assert len(cursor) < 2_000


def test_our_own_write_comes_back_with_our_key(rig: SalesforceRig) -> None:
    """W18: by the key the core knows it, and the values are those it wrote."""
    _, cursor = all_since(rig)
    command = Upsert(
        ObjectType.LEAD, fresh_key(), {"last_name": "A", "company": "N", "status": "new", "owner": rig.owner}
    )
    rig.adapter.upsert([command])

    (event,), _ = all_since(rig, cursor)

    assert event.record is not None
    assert event.record.key == command.key
    assert {name: event.record.fields[name] for name in command.fields} == dict(command.fields)


def test_the_answer_of_a_rep_comes_back(rig: SalesforceRig) -> None:
    """The picklist on the lead's page is the canonical `response`."""
    lead = rig.org.insert("Lead", LastName="A", Company="N")
    _, cursor = all_since(rig)
    rig.org.moment = NOON + timedelta(minutes=1)
    rig.org.edit(lead, Hearback_Response__c="rejected_wrong_territory")

    (event,), _ = all_since(rig, cursor)

    assert event.record is not None
    assert event.record.fields["response"] == "rejected_wrong_territory"


@pytest.mark.parametrize("which", ["same page", "out of order"])
def test_a_feed_that_repeats_itself_ends(rig: SalesforceRig, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    """A21."""
    monkeypatch.setattr(feed, "PAGE", 2)
    rows = [
        {"Id": f"00Q00000000000{n}AAA", "SystemModstamp": "2026-03-02T12:00:00.000+0000", "Status": "x"} for n in (1, 2)
    ]
    if which == "out of order":
        rows[0]["SystemModstamp"] = "2026-03-02T13:00:00.000+0000"

    def same(call: Call) -> Answer | None:
        if not call.path.endswith("/composite"):
            return None
        rig.server.faults.append(same)
        subs = json.loads(call.body)["compositeRequest"]
        answers = [
            {"httpStatusCode": 200, "body": {"records": rows if sub["referenceId"] == "lead" else []}} for sub in subs
        ]
        return Answer(200, {"compositeResponse": answers})

    rig.adapter.check()
    rig.server.faults.append(same)

    with pytest.raises(UnexpectedAnswer):
        all_since(rig)


def test_an_object_the_edition_lacks_does_not_silence_the_others(rig: SalesforceRig) -> None:
    """A27: `check` says so."""
    del rig.org.schema.objects["Opportunity"]
    lead = rig.org.insert("Lead", LastName="A", Company="N")

    events, _ = all_since(rig)

    assert lead in {event.ref.id for event in events}


def test_a_limit_reached_by_a_look_is_told(rig: SalesforceRig) -> None:
    """A28."""
    rig.server.limit = rig.server.used

    with pytest.raises(RateLimited):
        rig.adapter.changes_since("")


@pytest.mark.parametrize("cursor", ["x", "[]", '{"lead": 1}', '{"lead": {"settled": 1}}'])
def test_a_cursor_that_is_none_is_refused(rig: SalesforceRig, cursor: str) -> None:
    with pytest.raises(InvalidRecord):
        rig.adapter.changes_since(cursor)


def test_marks_are_dropped_when_they_are_settled() -> None:
    """A22: the pure step."""
    row = {"Id": "00Q000000000001AAA", "SystemModstamp": "2026-03-02T12:00:00.000+0000"}
    place = ("2026-03-02T12:00:00.000Z", str(row["Id"]))
    fresh = step(Walk(), [row], [place], NOON)
    again = step(fresh.walk, [row], [place], NOON + timedelta(minutes=4))
    settled = step(again.walk, [row], [place], NOON + timedelta(minutes=6))

    assert (len(fresh.rows), len(again.rows), len(settled.rows)) == (1, 0, 0)
    assert (len(again.walk.seen), len(settled.walk.seen)) == (1, 0)
    assert settled.walk.settled == place
