"""Salesforce, writes: A4 to A20 and A23 as they apply.

A14 and A25: keys are unique external ids and SOQL reads the database; the one ambiguous case is told. A16: Salesforce
refuses an owner who may not own by an error, so nothing is read back; assignment rules are off (A4).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from salesforce_rig import SalesforceRig, adapter_of
from salesforce_server.org import KEY, Refused
from salesforce_server.server import Answer

from connector.adapters.salesforce.client import API_VERSION
from connector.adapters.testing import fresh_key
from connector.adapters.testing.leaks import leaked
from connector.errors import (
    AmbiguousKey,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermissionDenied,
    RateLimited,
    RecordLocked,
    RecordNotFound,
    TransientError,
)
from connector.model.crm import ObjectType, Outcome, Record, RecordRef, Upsert, Value, WriteResult


@pytest.fixture
def rig() -> Iterator[SalesforceRig]:
    with ExitStack() as stack:
        yield SalesforceRig(stack)


def a_lead(rig: SalesforceRig, **more: Value) -> Upsert:
    key = fresh_key()
    fields: dict[str, Value] = {"last_name": "Nowak", "company": "Nowak GmbH", "email": f"{key}@example.com"}
    return Upsert(ObjectType.LEAD, key, {**fields, "owner": rig.owner, **more})


def a_task(rig: SalesforceRig, **more: Value) -> Upsert:
    fields: dict[str, Value] = {"title": "Call", "status": "open", "owner": rig.owner, **more}
    return Upsert(ObjectType.TASK, fresh_key(), fields)


def one(rig: SalesforceRig, command: Upsert) -> WriteResult:
    (result,) = rig.adapter.upsert([command])
    assert isinstance(result, WriteResult), repr(result)
    return result


def refused(rig: SalesforceRig, command: Upsert) -> ConnectorError:
    (result,) = rig.adapter.upsert([command])
    assert isinstance(result, ConnectorError), repr(result)
    return result


def row(rig: SalesforceRig, result: WriteResult) -> dict[str, Any]:
    return rig.org.rows[result.ref.id]


def test_a_thousand_leads_with_owner_and_task_take_fifteen_calls(rig: SalesforceRig) -> None:
    """A13: the budget of an organisation is shared with everything else that calls its API."""
    adapter = adapter_of(rig.server)
    before = len(rig.server.seen)
    for _ in range(5):
        leads = adapter.upsert(
            [a_lead(rig, status="new", reason="first of the pool", country="DE") for _ in range(200)]
        )
        tasks = [
            a_task(rig, lead=r.ref.id, due="2026-03-02T12:00:00+00:00") for r in leads if isinstance(r, WriteResult)
        ]
        assert all(isinstance(result, WriteResult) for result in adapter.upsert(tasks))

    assert len(rig.org.living("Lead")) == len(rig.org.living("Task")) == 1000
    assert all(task["WhoId"] and task["OwnerId"] == rig.owner for task in rig.org.living("Task"))
    assert len(rig.server.seen) - before <= 15


def test_every_write_carries_both_headers_also_after_a_renewal(rig: SalesforceRig) -> None:
    """A4: the server refuses a write without them."""
    one(rig, a_lead(rig))
    rig.server.expire()
    one(rig, a_lead(rig))

    writes = [call for call in rig.server.seen if call.is_write]
    assert len(writes) == 3
    assert {call.headers["sforce-auto-assign"] for call in writes} == {"FALSE"}
    assert all("allowSave=true" in call.headers["sforce-duplicate-rule-header"] for call in writes)


def test_every_path_carries_the_pinned_version(rig: SalesforceRig) -> None:
    """A6."""
    one(rig, a_lead(rig))
    rig.adapter.check()
    rig.adapter.parts()

    paths = [call.path for call in rig.server.data()]
    assert paths
    assert all(f"/v{API_VERSION}/" in path or path.endswith(f"/m/{API_VERSION}") for path in paths)


@pytest.mark.parametrize("fault", ["cut", "half", "500"])
@pytest.mark.parametrize("kind", ["lead", "task"])
def test_a_lost_answer_is_unknown_and_found_again(rig: SalesforceRig, fault: str, kind: str) -> None:
    """A9: one record in the end."""
    command = a_lead(rig) if kind == "lead" else a_task(rig)
    rig.server.lose_next(fault)

    with pytest.raises(OutcomeUnknown):
        rig.adapter.upsert([command])

    found = rig.adapter.find(command.object_type, [command.key])
    assert isinstance(found[command.key], RecordRef)
    assert [r[KEY] for r in rig.org.living("Lead" if kind == "lead" else "Task")] == [command.key]


def test_two_workers_with_one_new_key_make_one_record(rig: SalesforceRig) -> None:
    """A12."""
    command = a_lead(rig)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: adapter_of(rig.server).upsert([command])[0], range(4)))

    assert len({result.ref for result in results if isinstance(result, WriteResult)}) == 1
    assert len(rig.org.living("Lead")) == 1


def test_a_key_that_was_taken_meanwhile_is_sent_again_once(rig: SalesforceRig) -> None:
    """A12: of two upserts of a new key one is refused for its value."""
    command, refusals = a_lead(rig), [Refused("DUPLICATE_VALUE", "duplicate value found", [KEY])]

    def trigger(_object: str, _fields: object) -> None:
        if refusals:
            raise refusals.pop()

    rig.org.trigger = trigger

    assert one(rig, command).outcome is Outcome.CREATED


def test_a_record_twice_in_a_batch_is_written_once(rig: SalesforceRig) -> None:
    """A13: the later values win; twice in one call would be refused."""
    command = a_lead(rig)
    before = rig.requests()

    first, second = rig.adapter.upsert([command, replace(command, fields={"city": "Berlin"})])

    assert first == second
    assert isinstance(first, WriteResult)
    assert (row(rig, first)["LastName"], row(rig, first)["City"]) == ("Nowak", "Berlin")
    assert rig.requests() - before == 1


def test_money_is_exact_to_the_last_digit(rig: SalesforceRig) -> None:
    """A18: a float has no room for it."""
    command = Upsert(ObjectType.DEAL, fresh_key(), {"name": "Pumps", "amount": "1234567890123456.78"})

    assert rig.adapter.fetch(one(rig, command).ref).fields["amount"] == "1234567890123456.78"


def test_known_and_new_records_in_one_batch_take_one_call_each(rig: SalesforceRig) -> None:
    """A13: in order, whatever way each went."""
    known = [one(rig, a_lead(rig)).ref for _ in range(2)]
    commands = [a_lead(rig), replace(a_lead(rig), record=known[0]), a_lead(rig), replace(a_lead(rig), record=known[1])]
    before = rig.requests()

    results = rig.adapter.upsert(commands)

    assert rig.requests() - before == 2
    assert [r.outcome for r in results if isinstance(r, WriteResult)] == [
        Outcome.CREATED,
        Outcome.UPDATED,
        Outcome.CREATED,
        Outcome.UPDATED,
    ]
    assert [r.ref for r in results if isinstance(r, WriteResult)][1::2] == known


def test_what_one_call_applied_stays_known_when_the_next_one_fails(rig: SalesforceRig) -> None:
    """A9, A13: a task that was made must not be made again because an update had no answer."""
    known = one(rig, a_task(rig)).ref
    rig.server.next(
        Answer(500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": ""}]), lambda call: call.method == "PATCH"
    )

    made, updated = rig.adapter.upsert([a_task(rig), replace(a_task(rig), record=known)])

    assert isinstance(made, WriteResult)
    assert isinstance(updated, OutcomeUnknown)


def test_what_was_not_sent_is_surely_not_applied(rig: SalesforceRig) -> None:
    """A9: after a call without an answer the rest waits, and says so."""
    known = one(rig, a_task(rig)).ref
    rig.server.next(Answer(200, fault="cut"), lambda call: call.method == "PATCH")

    lost, unsent = rig.adapter.upsert([replace(a_task(rig), record=known), a_task(rig)])

    assert isinstance(lost, OutcomeUnknown)
    assert isinstance(unsent, TransientError)
    assert len(rig.org.living("Task")) == 1


def test_a_key_on_several_records_writes_nothing_and_names_them(rig: SalesforceRig) -> None:
    """A14: somebody took the uniqueness off the field."""
    command = a_lead(rig)
    ids = [rig.org.insert("Lead", LastName="A", Company="B", **{KEY: command.key}) for _ in range(2)]

    error = refused(rig, command)

    assert isinstance(error, AmbiguousKey)
    assert all(id_ in str(error) for id_ in ids)
    assert isinstance(rig.adapter.find(ObjectType.LEAD, [command.key])[command.key], AmbiguousKey)


@pytest.mark.parametrize("told", [True, False], ids=["told in the item", "told to the record alone"])
@pytest.mark.parametrize("sobject", ["Lead", "Contact"])
def test_a_person_the_crm_has_is_linked_with_owner_and_task(rig: SalesforceRig, sobject: str, told: bool) -> None:
    """A15."""
    other = rig.org.add_user("Somebody Else")
    known = rig.org.insert(sobject, LastName="Nowak", Email="n@example.com", OwnerId=other)
    rig.org.duplicate_rule = lambda fields: [known] if fields.get("LastName") == "Nowak" else []
    rig.org.tells_matches = told
    command = a_lead(rig, reason="first of the pool")

    result = one(rig, command)
    task = one(rig, a_task(rig, lead=result.ref.id))

    assert (result.outcome, result.ref.id) == (Outcome.LINKED, known)
    assert row(rig, result)["OwnerId"] == rig.owner
    assert row(rig, result)["Email"] == "n@example.com"
    assert row(rig, task)["WhoId"] == known
    assert rig.org.living("Lead") == ([rig.org.rows[known]] if sobject == "Lead" else [])


def test_a_lead_that_is_a_contact_to_the_crm_is_updated_and_read_there(rig: SalesforceRig) -> None:
    """A15: the binding holds a contact's id from then on."""
    known = rig.org.insert("Contact", LastName="Nowak", Email="n@example.com")
    ref = RecordRef(ObjectType.CONTACT, known)

    assert one(rig, replace(a_lead(rig, status="new"), record=ref)).ref == ref
    assert one(rig, replace(a_lead(rig), record=RecordRef(ObjectType.LEAD, known))).ref == ref
    assert rig.adapter.fetch(ref).fields["owner"] == rig.owner


def test_several_duplicates_are_for_a_person_to_decide(rig: SalesforceRig) -> None:
    """A14, A15."""
    ids = [rig.org.insert("Lead", LastName="Nowak", Company="N") for _ in range(2)]
    rig.org.duplicate_rule = lambda _fields: ids

    assert isinstance(refused(rig, a_lead(rig)), AmbiguousKey)


@pytest.mark.parametrize("missing", [("company",), ("last_name",), ("company", "last_name")])
def test_a_person_without_company_or_name_is_a_lead_too(rig: SalesforceRig, missing: tuple[str, ...]) -> None:
    """A20: Salesforce asks for both. An existing lead keeps what it has (K3)."""
    command = a_lead(rig)
    bare = replace(command, fields={name: v for name, v in command.fields.items() if name not in missing})

    made = one(rig, bare)
    one(rig, command)
    one(rig, bare)

    assert made.outcome is Outcome.CREATED
    assert (row(rig, made)["LastName"], row(rig, made)["Company"]) == ("Nowak", "Nowak GmbH")


@pytest.mark.parametrize(
    ("code", "fields", "kind"),
    [
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["Phone"], InvalidRecord),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["LeadSource"], InvalidRecord),
        ("STRING_TOO_LONG", ["City"], InvalidRecord),
        ("INSUFFICIENT_ACCESS_OR_READONLY", [], PermissionDenied),
        ("UNABLE_TO_LOCK_ROW", [], RecordLocked),
        ("UNKNOWN_EXCEPTION", [], OutcomeUnknown),
    ],
)
def test_refusals_are_told_by_their_code_without_the_values(
    rig: SalesforceRig, code: str, fields: list[str], kind: type[ConnectorError]
) -> None:
    """A8, A17, A26: Salesforce's own texts quote what was written."""
    command = a_lead(rig)

    def trigger(_object: str, written: Any) -> None:
        raise Refused(code, "bad value: " + ("your rule" if "VALIDATION" in code else str(written["Email"])), fields)

    rig.org.trigger = trigger
    before = rig.requests()
    error = refused(rig, command)

    assert type(error) is kind
    assert error.code == code
    assert rig.requests() - before == 1
    assert not leaked(error, [str(command.fields["email"])])
    if isinstance(error, InvalidRecord):
        assert list(error.fields) == fields


def test_a_wrong_owner_is_told_from_another_wrong_reference(rig: SalesforceRig) -> None:
    """A16: both have one code, and neither names a field."""
    assert isinstance(refused(rig, a_lead(rig, owner="005000000000999AAA")), OwnerRefused)
    error = refused(rig, a_task(rig, lead="00Q000000000999AAA"))
    assert not isinstance(error, OwnerRefused)


def test_an_id_or_key_cannot_leave_its_place(rig: SalesforceRig) -> None:
    """A5: nothing else is called, and no query is changed."""
    before = rig.requests()
    for bad in ("https://evil.example/x", "../../User", "00Q' OR Id != '", "00Q000000000001AAA\r\nX: y", "a/b?c#d"):
        assert isinstance(refused(rig, replace(a_lead(rig), record=RecordRef(ObjectType.LEAD, bad))), InvalidRecord)
        with pytest.raises(InvalidRecord):
            rig.adapter.fetch(RecordRef(ObjectType.LEAD, bad))
    assert rig.requests() == before

    for key in ("a/b?c#d", "it's", "x' OR Hearback_Key__c != '", "../up", "%2e%2e"):
        ref = one(rig, replace(a_lead(rig), key=key)).ref
        assert dict(rig.adapter.find(ObjectType.LEAD, [key])) == {key: ref}


def test_a_key_with_awkward_letters_survives_the_path_of_a_single_record(rig: SalesforceRig) -> None:
    """A5: the single form has the key in its path."""
    known = rig.org.insert("Lead", LastName="Nowak", Company="N")
    rig.org.duplicate_rule = lambda _fields: [known]
    rig.org.tells_matches = False

    one(rig, replace(a_lead(rig), key="a/b?c#d é"))

    assert rig.org.rows[known][KEY] == "a/b?c#d é"
    assert rig.server.seen[-2].path.endswith("/Hearback_Key__c/a%2Fb%3Fc%23d%20%C3%A9")


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", "2026-03-03"), ("America/Los_Angeles", "2026-03-02"), ("Asia/Tokyo", "2026-03-03")],
)
def test_a_task_is_due_on_the_day_it_is_where_its_owner_works(rig: SalesforceRig, zone: str, day: str) -> None:
    """A18."""
    rig.org.edit(rig.owner, TimeZoneSidKey=zone)
    made = one(rig, a_task(rig, due="2026-03-02T23:30:00+00:00"))

    assert row(rig, made)["ActivityDate"] == day
    assert rig.adapter.fetch(made.ref).fields["due"] == "2026-03-02T23:30:00+00:00"


def test_a_task_that_gets_another_day_keeps_its_owners_zone(rig: SalesforceRig) -> None:
    """A18: the command names no owner, the record does."""
    rig.org.edit(rig.owner, TimeZoneSidKey="Asia/Tokyo")
    ref = one(rig, a_task(rig)).ref

    one(rig, Upsert(ObjectType.TASK, "k", {"due": "2026-03-02T23:30:00+00:00"}, record=ref))

    assert rig.org.rows[ref.id]["ActivityDate"] == "2026-03-03"


def test_status_words_come_from_metadata(rig: SalesforceRig) -> None:
    """A19: an administrator may call things as they like."""
    for each in rig.org.all("TaskStatus"):
        each["ApiName"] = {"Completed": "Erledigt", "Not Started": "Offen"}.get(each["ApiName"], each["ApiName"])
    for each in rig.org.all("OpportunityStage"):
        each["ApiName"] = {"Closed Won": "Hurra"}.get(each["ApiName"], each["ApiName"])
    deal = rig.org.insert("Opportunity", Name="Pumps", StageName="Hurra", CloseDate="2026-01-01")

    ref = one(rig, a_task(rig, status="done")).ref

    assert rig.org.rows[ref.id]["Status"] == "Erledigt"
    assert rig.adapter.fetch(ref).fields["status"] == "done"
    assert rig.adapter.fetch(RecordRef(ObjectType.DEAL, deal)).fields["stage"] == "won"


def test_a_lead_somebody_works_on_is_told_apart_from_a_new_and_a_closed_one(rig: SalesforceRig) -> None:
    """A19."""
    ref = one(rig, a_lead(rig, status="new")).ref
    said = []
    for status in ("Open - Not Contacted", "Working - Contacted", "Closed - Not Converted", "Made Up"):
        rig.org.edit(ref.id, Status=status)
        said.append(rig.adapter.fetch(ref).fields["status"])

    assert said == ["new", "working", "closed", "Made Up"]


def test_a_merged_lead_is_followed_to_where_it_went(rig: SalesforceRig) -> None:
    """A23."""
    loser, winner = (one(rig, a_lead(rig)).ref for _ in range(2))
    rig.org.merge(loser.id, winner.id)

    moved = one(rig, Upsert(ObjectType.LEAD, "k", {"reason": "second try"}, record=loser))
    task = one(rig, a_task(rig, lead=loser.id))

    assert moved == WriteResult(winner, Outcome.MOVED)
    assert rig.org.rows[winner.id]["Hearback_Reason__c"] == "second try"
    assert row(rig, task)["WhoId"] == winner.id
    assert rig.adapter.fetch(loser).ref == winner


def test_a_converted_lead_is_its_contact_and_its_tasks_go_there(rig: SalesforceRig) -> None:
    """A23."""
    ref = one(rig, a_lead(rig)).ref
    contact, deal = rig.org.convert(ref.id, deal="Pumps")

    moved = one(rig, Upsert(ObjectType.LEAD, "k", {"reason": "again"}, record=ref))
    task = one(rig, a_task(rig, lead=ref.id))

    assert moved == WriteResult(RecordRef(ObjectType.CONTACT, contact), Outcome.MOVED)
    assert (row(rig, task)["WhoId"], row(rig, task)["WhatId"]) == (contact, deal)
    assert rig.adapter.fetch(ref).ref == moved.ref


def test_a_deleted_record_is_gone(rig: SalesforceRig) -> None:
    """A23."""
    ref = one(rig, a_lead(rig)).ref
    rig.org.delete(ref.id)

    assert isinstance(refused(rig, replace(a_lead(rig), record=ref)), RecordNotFound)
    with pytest.raises(RecordNotFound):
        rig.adapter.fetch(ref)


def test_many_records_are_read_by_one_query(rig: SalesforceRig) -> None:
    """A23, A28: each where it is now."""
    refs = [one(rig, a_lead(rig)).ref for _ in range(4)]
    rig.org.merge(refs[0].id, refs[1].id)
    rig.org.delete(refs[2].id)
    rig.adapter.fetch(refs[3])
    before = rig.requests()

    answers = rig.adapter.fetch_many([*refs, RecordRef(ObjectType.LEAD, "bad id")])

    assert rig.requests() - before == 2
    told = [each.ref if isinstance(each, Record) else type(each) for each in answers]
    assert told == [refs[1], refs[1], RecordNotFound, refs[3], InvalidRecord]


def test_records_merged_in_a_circle_end(rig: SalesforceRig) -> None:
    """A21."""
    one_, other = (one(rig, a_lead(rig)).ref for _ in range(2))
    rig.org.merge(one_.id, other.id)
    rig.org.merge(other.id, one_.id)

    with pytest.raises(RecordNotFound):
        rig.adapter.fetch(one_)


def test_a_lead_joins_its_campaign_once(rig: SalesforceRig) -> None:
    """A11: one call for a batch; a member already is no error, and the person may be a contact."""
    campaign = rig.org.insert("Campaign", Name="Akku-Herbst")
    contact = rig.org.insert("Contact", LastName="Nowak")
    commands = [replace(a_lead(rig), campaign=campaign) for _ in range(3)]
    commands.append(replace(a_lead(rig), record=RecordRef(ObjectType.CONTACT, contact), campaign=campaign))
    for _ in range(2):
        assert all(isinstance(answer, WriteResult) for answer in rig.adapter.upsert(commands))

    members = rig.org.living("CampaignMember")
    assert len(members) == 4
    assert [row["ContactId"] for row in members if row["ContactId"]] == [contact]


def test_a_campaign_nobody_has_loses_no_lead_and_is_named(rig: SalesforceRig) -> None:
    """A27."""
    campaign = rig.org.insert("Campaign", Name="Akku-Herbst")
    made = one(rig, replace(a_lead(rig), campaign="701000000000999AAA"))

    assert made.outcome is Outcome.CREATED
    wrong = ["701000000000999AAA", "CMP-2601", "x' OR Name != '"]
    assert rig.adapter.unknown_campaigns([*wrong, campaign, campaign[:15]]) == wrong


def test_a_membership_without_an_answer_is_tried_again(rig: SalesforceRig) -> None:
    """A9: the lead is written; sent again it is the same lead, and joins."""
    command = replace(a_lead(rig), campaign=rig.org.insert("Campaign", Name="Akku-Herbst"))
    rig.server.next(Answer(200, fault="cut"), lambda call: call.method == "POST" and b"CampaignMember" in call.body)

    assert type(refused(rig, command)) is TransientError
    one(rig, command)

    assert len(rig.org.living("Lead")) == len(rig.org.living("CampaignMember")) == 1


def test_a_deal_keeps_its_stage_when_written_by_key(rig: SalesforceRig) -> None:
    """K3: a new one needs stage and day, an old one has its own."""
    command = Upsert(ObjectType.DEAL, fresh_key(), {"name": "Pumps", "amount": "1200.00", "currency": "EUR"})
    ref = one(rig, command).ref
    rig.org.edit(ref.id, StageName="Closed Won")

    one(rig, command)

    assert rig.adapter.fetch(ref).fields["stage"] == "won"


def test_another_currency_than_the_organisations_is_refused(rig: SalesforceRig) -> None:
    """A18: it would be another amount."""
    command = Upsert(ObjectType.DEAL, fresh_key(), {"name": "Pumps", "amount": "1200.00", "currency": "USD"})

    assert isinstance(refused(rig, command), InvalidRecord)


def test_attainment_has_one_record_for_each_user_and_period(rig: SalesforceRig) -> None:
    """WB4, A11, A18: sent twice, it is there once."""
    fields: dict[str, Value] = {
        "attainment_numerator": "12345678.10",
        "attainment_denominator": "20000000",
        "attainment_provisional": "0.30",
        "attainment_currency": "EUR",
        "attainment_period": "2026-01-01/2026-12-31",
        "attainment_as_of": "2026-03-02T12:00:00+00:00",
    }
    user = RecordRef(ObjectType.USER, rig.owner)
    command = Upsert(ObjectType.USER, f"user:{rig.owner}", fields, record=user)

    assert [one(rig, command) for _ in range(2)] == [WriteResult(user, Outcome.UPDATED)] * 2
    (held,) = rig.org.living("Hearback_Attainment__c")
    assert (held["OwnerId"], held["User__c"]) == (rig.owner, rig.owner)
    read = rig.adapter.fetch(user).fields
    assert {name: read[name] for name in fields} == fields | {"attainment_denominator": "20000000.00"}


def test_what_a_survey_and_follow_up_say_lands_on_the_deal(rig: SalesforceRig) -> None:
    """WB5."""
    deal = rig.org.insert("Opportunity", Name="Pumps", StageName="Closed Won", CloseDate="2026-01-01")
    ref = RecordRef(ObjectType.DEAL, deal)
    fields: dict[str, Value] = {
        "score": 9,
        "score_at": "2026-03-02T12:00:00+00:00",
        "survey_link": "https://hearback.example/s/abc",
        "feedback_text": "Danke!",
        "open_mandatory": 2,
        "overdue": 0,
    }

    one(rig, Upsert(ObjectType.DEAL, f"deal:{deal}", fields, record=ref))

    read = rig.adapter.fetch(ref).fields
    assert {name: read[name] for name in fields} == fields


def test_country_picklists_are_written_by_code_where_an_organisation_has_them(rig: SalesforceRig) -> None:
    """A20: the text field then takes labels of the list alone."""
    from salesforce_server.schema import Field  # noqa: PLC0415

    rig.org.schema.add("Lead", Field("CountryCode", "picklist", 10, values=("DE", "PL"), restricted=True))
    rig.org.schema.objects["Lead"]["Country"].updateable = rig.org.schema.objects["Lead"]["Country"].createable = False

    made = one(rig, a_lead(rig, country="DE"))

    assert rig.adapter.fetch(made.ref).fields["country"] == "DE"


def test_texts_for_people_are_cut_and_data_is_not(rig: SalesforceRig) -> None:
    """A17: a task with a long title is still a task."""
    made = one(rig, a_task(rig, title="x" * 300, comment="y" * 300))

    assert len(row(rig, made)["Subject"]) == len(row(rig, made)["Hearback_Comment__c"]) == 255
    assert isinstance(refused(rig, a_lead(rig, city="z" * 41)), InvalidRecord)


def test_writing_stops_before_the_last_calls_of_the_day(rig: SalesforceRig) -> None:
    """A28: people's own tools keep some; reading goes on and sees when there is room."""
    rig.server.limit = 1000
    rig.server.used = 948
    one(rig, a_lead(rig))
    one(rig, a_lead(rig))
    before = rig.requests()

    with pytest.raises(RateLimited) as caught:
        rig.adapter.upsert([a_lead(rig)])

    assert rig.requests() == before
    assert caught.value.retry_after == timedelta(minutes=15)
    budget = rig.adapter.budget()
    assert budget is not None
    assert (budget.used, budget.limit) == (950, 1000)
    rig.server.used = 10
    next(rig.adapter.owners())
    one(rig, a_lead(rig))


def test_nothing_without_a_key_is_created_late(rig: SalesforceRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A9: whoever leased the command after us would look before our record is there."""
    monkeypatch.setattr("connector.adapters.salesforce.sending.PATIENCE", -1.0)

    with pytest.raises(TransientError):
        rig.adapter.upsert([a_task(rig)])

    assert not rig.org.living("Task")


def test_payloads_pass_describe(rig: SalesforceRig) -> None:
    """A20: the loopback organisation checks every payload; these are all fields the flows write."""
    lead = one(
        rig,
        a_lead(
            rig,
            first_name="Ada",
            phone="+48600100200",
            job_title="Head",
            street="Hauptstr. 1",
            postal_code="10115",
            city="Berlin",
            region="BE",
            country="DE",
            message="hello",
            product="cordless",
            status="new",
            source="website",
            campaign="NH26-AK",
            language="de",
            reason="first of the pool",
            consent='{"email": true}',
            attribution='{"utm_source": "x"}',
            response_due="2026-03-02T12:00:00+00:00",
            response="accepted",
        ),
    )
    one(rig, a_task(rig, lead=lead.ref.id, body="why", comment="c", due="2026-03-02T12:00:00+00:00"))

    assert not rig.org.payload_faults
