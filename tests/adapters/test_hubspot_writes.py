"""HubSpot: what a write may end in (A2-A20 of the CRM reference).

Not here: A4 (its headers are Salesforce's), A14 (our unique property cannot stand on two records; tasks, where it
can, are in `test_a_marker_on_two_tasks_is_ambiguous`).
"""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hubspot_rig import GONE, OTHER, OWNER, HubSpotRig, LeadObjectsRig
from hubspot_server import Account
from hubspot_server.server import CLIENT_ID, CLIENT_SECRET, REFRESH, TOKEN

from connector.adapters import metering
from connector.adapters.hubspot.adapter import HubSpotAdapter, from_settings
from connector.adapters.hubspot.auth import OAuth
from connector.adapters.testing import CUT, Reply, fresh_key
from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermissionDenied,
    RateLimited,
    RecordLocked,
    RecordNotFound,
    Unavailable,
    UnexpectedAnswer,
    UnsupportedCapability,
)
from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, Value, WriteResult


def a_lead(key: str = "", **fields: Value) -> Upsert:
    key = key or fresh_key()
    base: dict[str, Value] = {
        "first_name": "Ada",
        "last_name": "Nowak",
        "email": f"{key}@example.com",
        "owner": OWNER,
        "status": "new",
        "reason": "postal code 10: pool Berlin",
    }
    return Upsert(ObjectType.LEAD, key, {**base, **fields}, trace=f"trace-{key}")


def a_task(lead: str, key: str = "", **fields: Value) -> Upsert:
    key = key or fresh_key()
    base: dict[str, Value] = {
        "title": "Call Ada",
        "status": "open",
        "due": "2026-03-02T12:00:00+00:00",
        "owner": OWNER,
        "lead": lead,
    }
    return Upsert(ObjectType.TASK, key, {**base, **fields}, trace=f"trace-{key}")


def written(rig: HubSpotRig, command: Upsert) -> WriteResult:
    (result,) = rig.adapter.upsert([command])
    assert isinstance(result, WriteResult), repr(result)
    return result


def refused(rig: HubSpotRig, command: Upsert) -> ConnectorError:
    (result,) = rig.adapter.upsert([command])
    assert isinstance(result, ConnectorError), repr(result)
    return result


# The transport.


@pytest.mark.parametrize(
    ("policy", "wait"),
    [("SECONDLY", timedelta(seconds=1)), ("TEN_SECONDLY_ROLLING", timedelta(seconds=10)), ("DAILY", None)],
)
def test_each_rate_limit_says_how_long_it_lasts(hubspot: HubSpotRig, policy: str, wait: timedelta | None) -> None:
    """A2: one request, also without a Retry-After."""
    hubspot.server.limit_next(None, policy)
    before = hubspot.requests()

    with pytest.raises(RateLimited) as caught:
        hubspot.adapter.upsert([a_lead()])

    assert (caught.value.retry_after, caught.value.code) == (wait, policy)
    assert hubspot.requests() - before == 1


def test_calls_stop_before_the_limit_and_not_at_it(hubspot: HubSpotRig) -> None:
    """A28: what HubSpot says is left is not used up; nothing is sent."""
    hubspot.server.remaining = 3
    hubspot.adapter.upsert([a_lead()])
    before = hubspot.requests()

    with pytest.raises(RateLimited) as caught:
        hubspot.adapter.upsert([a_lead()])

    assert hubspot.requests() == before
    assert timedelta() < (caught.value.retry_after or timedelta()) <= timedelta(seconds=10)


def test_contacts_are_not_written_when_their_leads_could_not_follow(hubspot_leads: LeadObjectsRig) -> None:
    """A28: broken off in between, both calls would be made again, and a look before them."""
    hubspot_leads.adapter.upsert([a_lead()])
    hubspot_leads.server.remaining = 7
    hubspot_leads.adapter.upsert([a_lead()])
    before = hubspot_leads.requests()

    with pytest.raises(RateLimited):
        hubspot_leads.adapter.upsert([a_lead()])

    assert hubspot_leads.requests() == before


def test_the_last_calls_of_a_day_are_left_to_others(hubspot: HubSpotRig) -> None:
    """A28."""
    hubspot.server.daily_remaining = 100
    hubspot.adapter.upsert([a_lead()])

    with pytest.raises(RateLimited):
        hubspot.adapter.upsert([a_lead()])


def test_searches_have_a_budget_of_their_own(hubspot: HubSpotRig) -> None:
    """A28: five a second for the account, told by no header; one of them is left to others."""
    hubspot.server.searches_a_second = 5
    adapter = from_settings("test", {"base_url": hubspot.server.url}, {"token": TOKEN})

    limited = 0
    for _ in range(9):
        try:
            adapter.find(ObjectType.TASK, ["task:1"])
        except RateLimited:
            limited += 1

    searches = [call for call in hubspot.server.calls if call.path.endswith("/search")]
    assert {call.status for call in searches} == {200}
    assert len(searches) == 9 - limited < 9


def test_the_budget_is_what_the_last_answer_said(hubspot: HubSpotRig) -> None:
    """A28."""
    hubspot.server.daily_remaining = 150_000
    hubspot.adapter.upsert([a_lead()])

    budget = hubspot.adapter.budget()

    assert budget is not None
    assert (budget.used, budget.limit, budget.window) == (100_000, 250_000, "24 hours")


def test_every_path_carries_the_dated_version(hubspot: HubSpotRig) -> None:
    """A6."""
    lead = written(hubspot, a_lead()).ref
    written(hubspot, a_task(lead.id))
    hubspot.adapter.check()

    assert {"2026-03"} == {part for call in hubspot.server.calls for part in call.path.split("/") if part[:2] == "20"}
    assert all("/2026-03" in call.path for call in hubspot.server.calls)


@pytest.mark.parametrize("id_", ["1/../../x", "https://evil.example/x", "12?a=b", "12#", "..", "1\r\nX: y", ""])
def test_an_id_that_would_change_the_address_is_refused_unsent(hubspot: HubSpotRig, id_: str) -> None:
    """A5."""
    hubspot.adapter.find(ObjectType.LEAD, ["warm"])
    before = hubspot.requests()

    with pytest.raises(InvalidRecord):
        hubspot.adapter.fetch(RecordRef(ObjectType.DEAL, id_))

    assert hubspot.requests() == before


def test_a_redirect_is_not_followed(hubspot: HubSpotRig) -> None:
    """A5: the token goes to the configured address alone."""
    before = hubspot.requests()
    hubspot.server.answer_next(Reply(302, b"", {"Location": hubspot.server.url + "/elsewhere"}))

    with pytest.raises(UnexpectedAnswer):
        hubspot.adapter.upsert([a_lead()])

    assert hubspot.requests() - before == 1


@pytest.mark.parametrize("url", ["http://api.hubapi.com", "https://user:pw@api.hubapi.com", "https://h/x", "ftp://h"])
def test_an_address_that_is_no_plain_https_is_refused(url: str) -> None:
    """A5."""
    with pytest.raises(ConfigurationError) as caught:
        from_settings("main", {"base_url": url}, {"token": "t"})

    assert "pw" not in str(caught.value)


def test_every_request_is_counted(hubspot: HubSpotRig) -> None:
    metering.take()
    before = hubspot.requests()

    with metering.calling_for("writes"):
        written(hubspot, a_lead())
    with pytest.raises(AuthenticationError):
        hubspot.refused().upsert([a_lead()])

    assert sum(metering.take().values()) == hubspot.requests() - before


def test_a_reset_before_the_answer_to_a_read_is_no_unknown_outcome(hubspot: HubSpotRig) -> None:
    """A9, the other side: nothing was written."""
    hubspot.server.answer_next(CUT)

    with pytest.raises(Unavailable):
        hubspot.adapter.find(ObjectType.LEAD, ["x"])


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(CUT, id="reset"),
        pytest.param(Reply(502, b"<html>bad gateway</html>"), id="bad gateway"),
        pytest.param(Reply(200, b'{"status":"COMPLETE","results":[{"id":"5', cut=20), id="truncated"),
        pytest.param(Reply(200, b"<html>maintenance</html>"), id="html"),
        pytest.param(Reply(204, b""), id="empty"),
    ],
)
def test_a_lost_answer_to_a_task_leaves_one_task(hubspot: HubSpotRig, lost: Reply) -> None:
    """A9, A25: the search does not see the task yet, the contact's own list does."""
    hubspot.server.account.search_lag = timedelta(hours=1)
    lead = written(hubspot, a_lead()).ref
    command = a_task(lead.id)
    hubspot.server.lose_next_answer(reply=lost)
    with pytest.raises(OutcomeUnknown):
        hubspot.adapter.upsert([command])
    assert hubspot.adapter.find(ObjectType.TASK, [command.key]) == {}

    result = written(hubspot, replace(command, doubtful=True))

    assert result.outcome is Outcome.UNCHANGED
    assert hubspot.server.account.count("tasks", hearback_key=command.key) == 1


def test_a_doubtful_task_that_was_never_made_is_made(hubspot: HubSpotRig) -> None:
    """A9."""
    lead = written(hubspot, a_lead()).ref

    assert written(hubspot, replace(a_task(lead.id), doubtful=True)).outcome is Outcome.CREATED


def test_a_contact_made_before_a_crash_gets_its_lead_object(hubspot_leads: LeadObjectsRig) -> None:
    """A9: a lead object is two writes, and the first one's answer was lost."""
    command = a_lead()
    hubspot_leads.server.lose_next_answer()
    with pytest.raises(OutcomeUnknown):
        hubspot_leads.adapter.upsert([command])
    assert hubspot_leads.adapter.find(ObjectType.LEAD, [command.key]) == {}

    written(hubspot_leads, command)

    account = hubspot_leads.server.account
    assert (account.count("contacts"), account.count("leads")) == (1, 1)


def test_two_threads_with_one_new_key_make_one_record(hubspot: HubSpotRig) -> None:
    """A7, A12."""
    command, results = a_lead(), []
    threads = [threading.Thread(target=lambda: results.append(written(hubspot, command))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({result.ref for result in results}) == 1
    assert hubspot.server.account.count("contacts") == 1


def test_a_lead_object_made_by_another_worker_meanwhile_is_taken(
    hubspot_leads: LeadObjectsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A12: between our look and our write."""
    command = a_lead()
    first = written(hubspot_leads, command)
    monkeypatch.setattr("connector.adapters.hubspot.leads.LeadObjects._there", lambda *_: {})

    assert written(hubspot_leads, command).ref == first.ref
    assert hubspot_leads.server.account.count("leads") == 1


# Renewal.


def oauth(rig: HubSpotRig, refresh: str = REFRESH) -> HubSpotAdapter:
    secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": refresh}
    return from_settings("test", {"base_url": rig.server.url}, secrets)


def test_an_expired_token_is_renewed_once_for_all_threads(hubspot: HubSpotRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A3: one shared renewal, one replay each; all four are refused before the first one renews."""
    adapter, renew, together = oauth(hubspot), OAuth.renew, threading.Barrier(4, timeout=20)
    adapter.upsert([a_lead()])
    hubspot.server.tokens.clear()

    def renewed(self: OAuth, refused: str) -> str:
        together.wait()
        return renew(self, refused)

    monkeypatch.setattr(OAuth, "renew", renewed)
    threads = [threading.Thread(target=lambda: adapter.upsert([a_lead()])) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert hubspot.server.granted == 2
    assert hubspot.server.account.count("contacts") == 5


def test_a_refresh_token_that_is_refused_stops_the_connection(hubspot: HubSpotRig) -> None:
    """A3, A8."""
    with pytest.raises(AuthenticationError) as caught:
        oauth(hubspot, "stolen-refresh").upsert([a_lead()])

    assert "stolen-refresh" not in repr(caught.value)
    assert len(hubspot.server.calls) == len([call for call in hubspot.server.calls if call.status != 401])


def test_a_token_that_stays_refused_costs_three_requests(hubspot: HubSpotRig) -> None:
    """A3: two data requests, one for a token."""
    adapter = oauth(hubspot)
    adapter.find(ObjectType.LEAD, ["x"])
    hubspot.server.refuse_all = True
    before = hubspot.requests()

    with pytest.raises(AuthenticationError):
        adapter.upsert([a_lead()])

    assert hubspot.requests() - before == 3


def test_two_connections_share_nothing(hubspot: HubSpotRig, hubspot_leads: LeadObjectsRig) -> None:
    """A7: one account's mode, token and records are not the other's."""
    one, other = written(hubspot, a_lead("one")), written(hubspot_leads, a_lead("other"))

    assert (one.ref.id.isdigit(), other.ref.id.startswith("0-136:")) == (True, True)
    assert hubspot.adapter.find(ObjectType.LEAD, ["other"]) == {}


# Items of a batch.


def test_one_bad_item_spares_the_others_also_where_the_batch_is_refused_as_a_whole(hubspot: HubSpotRig) -> None:
    """A13: HubSpot may answer 400 for all; nothing was written then, so the batch is halved."""
    hubspot.server.whole_batches = True
    commands = [a_lead() for _ in range(40)]
    commands[17] = a_lead(email="no address")

    results = hubspot.adapter.upsert(commands)

    assert [place for place, result in enumerate(results) if isinstance(result, ConnectorError)] == [17]
    assert hubspot.server.account.count("contacts") == 39


def test_an_unknown_property_is_not_asked_for_a_hundred_times(hubspot: HubSpotRig) -> None:
    """A17: it is the account's fault, not an item's."""
    hubspot.server.whole_batches = True
    del hubspot.server.account.definitions["contacts"]["hearback_reason"]
    before = hubspot.requests()

    results = hubspot.adapter.upsert([a_lead() for _ in range(20)])

    assert all(isinstance(result, InvalidRecord) and result.fields == ("hearback_reason",) for result in results)
    assert hubspot.requests() - before <= 2


def test_a_thousand_leads_with_owner_and_task_are_thirty_calls_at_most(hubspot: HubSpotRig) -> None:
    """The number of calls, shown: a hundred leads are one call, and so are their tasks with their associations."""
    before = hubspot.requests()

    for start in range(0, 1000, 100):
        leads = hubspot.adapter.upsert([a_lead(f"lead:{start + n}") for n in range(100)])
        assert all(isinstance(lead, WriteResult) for lead in leads)
        refs = [lead.ref.id for lead in leads if isinstance(lead, WriteResult)]
        tasks = hubspot.adapter.upsert([a_task(ref, f"task:{start + n}") for n, ref in enumerate(refs)])
        assert all(isinstance(task, WriteResult) for task in tasks)

    account, calls = hubspot.server.account, hubspot.requests() - before
    print(f"1000 leads with owner and task: {calls} calls")
    assert calls <= 30
    assert (account.count("contacts", hubspot_owner_id=OWNER), account.count("tasks", hubspot_owner_id=OWNER)) == (
        1000,
        1000,
    )
    assert all(len(account.linked("contacts", "tasks", id_)) == 1 for id_ in account.objects["contacts"])


def test_a_thousand_lead_objects_with_owner_and_task_are_thirty_calls_at_most(hubspot_leads: LeadObjectsRig) -> None:
    """Contacts, leads and tasks, each made with its associations. Whether there are lead objects was asked before."""
    hubspot_leads.adapter.check()
    before = hubspot_leads.requests()

    for start in range(0, 1000, 100):
        leads = hubspot_leads.adapter.upsert([a_lead(f"lead:{start + n}") for n in range(100)])
        refs = [lead.ref.id for lead in leads if isinstance(lead, WriteResult)]
        tasks = hubspot_leads.adapter.upsert([a_task(ref, f"task:{start + n}") for n, ref in enumerate(refs)])
        assert all(isinstance(task, WriteResult) for task in tasks)

    assert hubspot_leads.server.account.count("leads", hubspot_owner_id=OWNER) == 1000
    assert hubspot_leads.requests() - before <= 30


# Whom the CRM knows already.


def test_a_contact_that_was_there_is_linked_and_keeps_what_people_wrote(hubspot: HubSpotRig) -> None:
    """A15: owner, key and our fields stand on it, and the task hangs on it."""
    account = hubspot.server.account
    there = account.put("contacts", email="ada@example.com", firstname="A.", lifecyclestage="customer")
    command = a_lead(email="ADA@example.com", phone="+48600100200")

    result = written(hubspot, command)
    task = written(hubspot, a_task(result.ref.id))

    held = account.objects["contacts"][there].properties
    assert (result.outcome, result.ref.id) == (Outcome.LINKED, there)
    assert (held["firstname"], held["lastname"], held["phone"]) == ("A.", "Nowak", "+48600100200")
    assert (held["hubspot_owner_id"], held["hearback_key"]) == (OWNER, command.key)
    assert held["lifecyclestage"] == "customer"
    assert account.linked("contacts", "tasks", there) == [task.ref.id]


def test_two_commands_for_one_existing_contact_are_one_write(hubspot: HubSpotRig) -> None:
    """A13, A15."""
    there = hubspot.server.account.put("contacts", email="ada@example.com")
    first, second = a_lead(email="ada@example.com"), a_lead(email="ada@example.com")

    results = hubspot.adapter.upsert([first, second])

    assert [result.ref.id for result in results if isinstance(result, WriteResult)] == [there, there]


def test_an_existing_contact_gets_a_lead_object(hubspot_leads: LeadObjectsRig) -> None:
    """A15."""
    account = hubspot_leads.server.account
    there = account.put("contacts", email="ada@example.com")

    result = written(hubspot_leads, a_lead(email="ada@example.com"))

    assert result.outcome is Outcome.LINKED
    assert account.linked("contacts", "leads", there) == [result.ref.id.removeprefix("0-136:")]


def test_a_lead_is_never_moved_back_in_its_life_cycle(hubspot: HubSpotRig) -> None:
    command = a_lead()
    id_ = written(hubspot, command).ref.id
    assert hubspot.server.account.objects["contacts"][id_].properties["lifecyclestage"] == "lead"
    hubspot.server.account.set("contacts", id_, lifecyclestage="customer")

    written(hubspot, command)

    assert hubspot.server.account.objects["contacts"][id_].properties["lifecyclestage"] == "customer"


def test_an_update_of_a_merged_record_names_the_one_that_is_left(hubspot: HubSpotRig) -> None:
    """A23: MOVED."""
    command = a_lead()
    old = written(hubspot, command).ref
    other = hubspot.server.account.put("contacts", email="other@example.com")
    new = hubspot.server.account.merge("contacts", other, old.id)

    result = written(hubspot, replace(command, record=old, fields={"owner": OTHER}))

    assert result == WriteResult(RecordRef(ObjectType.LEAD, new), Outcome.MOVED)
    assert hubspot.adapter.fetch(old).ref.id == new


def test_an_update_of_an_archived_record_is_gone(hubspot: HubSpotRig) -> None:
    """A23."""
    command = a_lead()
    ref = written(hubspot, command).ref
    hubspot.server.account.archive("contacts", ref.id)

    assert isinstance(refused(hubspot, replace(command, record=ref)), RecordNotFound)


def test_a_marker_on_two_tasks_is_ambiguous(hubspot: HubSpotRig) -> None:
    """A14."""
    for _ in range(2):
        hubspot.server.account.put("tasks", hearback_key="task:7", hs_timestamp="2026-03-02T12:00:00Z")

    assert isinstance(hubspot.adapter.find(ObjectType.TASK, ["task:7"])["task:7"], AmbiguousKey)


# Refusals.


@pytest.mark.parametrize("owner", [GONE, "79999999"])
def test_an_owner_that_hubspot_drops_in_silence_is_noticed(hubspot: HubSpotRig, owner: str) -> None:
    """A16: the owner is read back."""
    hubspot.server.account.drops_owners = True

    assert isinstance(refused(hubspot, a_lead(owner=owner)), OwnerRefused)


def test_a_property_an_admin_made_required_is_named(hubspot: HubSpotRig) -> None:
    """A17: from version 2026-09 on writes are held to such rules; it is a matter of configuration."""
    hubspot.server.account.conditions["contacts", "hs_lead_status", "UNQUALIFIED"] = "hearback_message"
    ref = written(hubspot, command := a_lead()).ref

    error = refused(hubspot, replace(command, record=ref, fields={"status": "closed"}))

    assert isinstance(error, InvalidRecord)
    assert error.fields == ("hearback_message",)
    assert error.code == "CONDITIONAL_REQUIRED_PROPERTY"


def test_a_refusal_names_the_property_and_not_the_value(hubspot: HubSpotRig) -> None:
    """A8, A17: HubSpot's message quotes what was sent."""
    error = refused(hubspot, a_lead(email="secret person"))

    assert isinstance(error, InvalidRecord)
    assert error.fields == ("email",)
    assert "secret person" not in repr(error)


def test_a_missing_scope_is_a_permission(hubspot: HubSpotRig) -> None:
    """A17."""
    hubspot.server.scopes_missing["/crm/objects/2026-03/deals"] = ("crm.objects.deals.write",)

    with pytest.raises(PermissionDenied):
        hubspot.adapter.upsert([Upsert(ObjectType.DEAL, "deal:1", {"name": "Pumps"})])


@pytest.mark.parametrize(("status", "kind"), [(423, RecordLocked), (477, Unavailable)])
def test_a_lock_waits_at_least_two_seconds(hubspot: HubSpotRig, status: int, kind: type[ConnectorError]) -> None:
    hubspot.adapter.find(ObjectType.LEAD, ["warm"])
    hubspot.server.answer_next(Reply(status, {"status": "error", "message": "locked"}))

    with pytest.raises(kind) as caught:
        hubspot.adapter.upsert([a_lead()])

    assert getattr(caught.value, "retry_after", None) == timedelta(seconds=2)


def test_unknown_categories_and_fields_are_borne(hubspot: HubSpotRig) -> None:
    """A24: an unknown refusal is permanent, unknown fields of a record are passed over."""
    ref = written(hubspot, a_lead()).ref
    hubspot.server.account.definitions["contacts"]["hs_new_thing"] = hubspot.server.account.definitions["contacts"][
        "phone"
    ]
    hubspot.server.account.objects["contacts"][ref.id].properties |= {"hs_new_thing": "x", "hs_lead_status": "DREAMING"}

    assert hubspot.adapter.fetch(ref).fields["status"] == "DREAMING"


def test_properties_that_are_not_set_may_be_null(hubspot: HubSpotRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A24: or left out."""
    ref = written(hubspot, a_lead()).ref
    left_out = hubspot.adapter.fetch(ref)
    monkeypatch.setattr(Account, "shows_null", True)

    assert hubspot.adapter.fetch(ref) == left_out
    assert left_out.fields["phone"] is None


# Kinds of values.


def test_a_deal_is_won_by_its_stages_metadata(hubspot: HubSpotRig) -> None:
    """A19: in this account the stage closedwon is open, and another one is won."""
    deal = Upsert(ObjectType.DEAL, "deal:1", {"name": "Pumps", "stage": "won"})
    ref = written(hubspot, deal).ref
    assert hubspot.server.account.objects["deals"][ref.id].properties["dealstage"] == "101"

    states = {}
    for stage in ("closedwon", "101", "102"):
        hubspot.server.account.set("deals", ref.id, dealstage=stage)
        states[stage] = hubspot.adapter.fetch(ref).fields["stage"]

    assert states == {"closedwon": "open", "101": "won", "102": "lost"}


def test_a_stage_made_after_the_first_look_is_looked_up(hubspot: HubSpotRig) -> None:
    """A19."""
    ref = written(hubspot, Upsert(ObjectType.DEAL, "deal:1", {"name": "Pumps", "stage": "open"})).ref
    stages = hubspot.server.account.pipelines["deals"][0]["stages"]
    stages.append({**stages[2], "id": "103"})
    hubspot.server.account.set("deals", ref.id, dealstage="103")

    assert hubspot.adapter.fetch(ref).fields["stage"] == "won"


def test_numbers_and_links_come_back_as_what_they_are(hubspot: HubSpotRig) -> None:
    lead = written(hubspot, a_lead()).ref
    fields: dict[str, Value] = {"name": "Pumps", "lead": lead.id, "open_mandatory": 3, "overdue": 0, "score": 9}
    ref = written(hubspot, Upsert(ObjectType.DEAL, "deal:1", fields)).ref

    record = hubspot.adapter.fetch(ref)

    assert {name: record.fields[name] for name in fields} == fields
    assert record.fields["contact"] == lead.id


def test_a_task_of_a_deal_hangs_on_it(hubspot: HubSpotRig) -> None:
    """The number of its association type is read from the account."""
    deal = written(hubspot, Upsert(ObjectType.DEAL, "deal:1", {"name": "Pumps"})).ref

    task = written(
        hubspot, Upsert(ObjectType.TASK, "t", {"title": "Call", "due": "2026-03-02T12:00:00Z", "deal": deal.id})
    )

    assert hubspot.server.account.linked("deals", "tasks", deal.id) == [task.ref.id]


def test_a_response_an_owner_sets_comes_back(hubspot: HubSpotRig) -> None:
    ref = written(hubspot, a_lead(response_due="2026-03-02T12:00:00+00:00")).ref
    hubspot.server.account.set("contacts", ref.id, hearback_response="rejected_bad_data", hs_lead_status="CONNECTED")

    fields = hubspot.adapter.fetch(ref).fields

    assert (fields["response"], fields["status"]) == ("rejected_bad_data", "working")
    assert fields["response_due"] == "2026-03-02T12:00:00+00:00"


def test_attainment_stands_on_the_user_record(hubspot: HubSpotRig) -> None:
    id_ = hubspot.server.account.put("users", hubspot_owner_id=OWNER)
    command = Upsert(
        ObjectType.USER,
        f"user:{OWNER}",
        {"attainment_numerator": "1200.00", "attainment_currency": "EUR"},
        record=RecordRef(ObjectType.USER, OWNER),
    )

    result = written(hubspot, command)

    assert result.ref.id == OWNER
    assert hubspot.server.account.objects["users"][id_].properties["hearback_attainment_numerator"] == "1200.00"


def test_attainment_without_a_place_says_so(hubspot: HubSpotRig) -> None:
    """An account that takes no properties of ours on users."""
    hubspot.server.account.put("users", hubspot_owner_id=OWNER)
    for part in [part for part in hubspot.adapter.parts() if part.name.startswith("users.")]:
        hubspot.adapter.uninstall(part)
    command = Upsert(
        ObjectType.USER, f"user:{OWNER}", {"attainment_numerator": "1"}, record=RecordRef(ObjectType.USER, OWNER)
    )

    error = refused(hubspot, command)

    assert isinstance(error, UnsupportedCapability)
    assert "console" in str(error)


def test_oauth_s_refresh_token_is_given_back_once_and_for_all(hubspot: HubSpotRig) -> None:
    """A30."""
    adapter = oauth(hubspot)
    adapter.check()

    assert [adapter.revoke(), adapter.revoke()] == ["", ""]

    with pytest.raises(AuthenticationError, match="refresh token"):
        oauth(hubspot).check()


def test_a_refresh_token_that_could_not_be_given_back_is_an_error(hubspot: HubSpotRig) -> None:
    """A30: nobody is told that it is done."""
    with pytest.raises(ConnectorError) as caught:
        oauth(hubspot, "another").revoke()
    assert "another" not in str(caught.value)


def test_a_service_key_is_deleted_by_hand(hubspot: HubSpotRig) -> None:
    """A30."""
    assert "service key" in hubspot.adapter.revoke()
