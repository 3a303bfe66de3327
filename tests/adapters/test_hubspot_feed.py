"""HubSpot: the change feed (A21-A25, W13)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hubspot_rig import GONE, OTHER, OWNER, HubSpotRig, LeadObjectsRig
from hubspot_server.server import TOKEN

from connector.adapters.base import Adapter
from connector.adapters.hubspot import feed
from connector.adapters.hubspot.adapter import HubSpotAdapter, from_settings
from connector.adapters.hubspot.client import SEARCH_PAGE
from connector.adapters.hubspot.limits import Limits
from connector.adapters.testing import Reply, ScriptedCrm, Seen
from connector.errors import RateLimited, UnexpectedAnswer
from connector.model.crm import CrmEvent, EventType, ObjectType, RecordRef, Upsert

MOST_PAGES = 400


def all_pages(adapter: Adapter, cursor: str = "") -> Iterator[tuple[list[CrmEvent], str]]:
    for _ in range(MOST_PAGES):
        events, following = adapter.changes_since(cursor)
        yield events, following
        if following == cursor:
            return
        cursor = following
    raise AssertionError("the feed does not end")


def caught_up(adapter: Adapter, cursor: str = "") -> tuple[list[CrmEvent], str]:
    pages = list(all_pages(adapter, cursor))
    return [event for events, _ in pages for event in events], pages[-1][1]


def kinds(events: list[CrmEvent]) -> set[ObjectType]:
    return {event.ref.object_type for event in events}


def another(rig: HubSpotRig) -> HubSpotAdapter:
    """Return an adapter of another process: it remembers nothing but the cursor."""
    return from_settings("test", {"base_url": rig.server.url}, {"token": TOKEN}, Limits(searches=10_000))


def test_the_initial_load_tells_everything_parents_first(hubspot: HubSpotRig) -> None:
    account = hubspot.server.account
    company = account.put("companies", name="Nowak", domain="nowak.example")
    contact = account.put("contacts", email="old@example.com", hubspot_owner_id=OTHER)
    lead = account.put("contacts", email="new@example.com", hearback_key="lead:1")
    deal = account.put("deals", dealname="Pumps", dealstage="101")
    account.link("deals", deal, "contacts", lead)
    task = account.put("tasks", hs_timestamp="2026-03-02T12:00:00Z", hearback_key="task:1")
    call = account.put("calls", hs_timestamp="2026-03-02T12:00:00Z", hs_call_duration="61000", hubspot_owner_id=OWNER)
    account.link("calls", call, "deals", deal)

    events, _ = caught_up(hubspot.adapter)

    told = {event.ref: event.record.fields for event in events if event.record}
    assert list(told) == [
        *(RecordRef(ObjectType.USER, id_) for id_ in (OWNER, OTHER, GONE)),
        RecordRef(ObjectType.ACCOUNT, company),
        RecordRef(ObjectType.CONTACT, contact),
        RecordRef(ObjectType.LEAD, lead),
        RecordRef(ObjectType.DEAL, deal),
        RecordRef(ObjectType.TASK, task),
        RecordRef(ObjectType.CALL, call),
    ]
    assert (
        told[RecordRef(ObjectType.DEAL, deal)] | {"stage": "won", "lead": lead}
        == told[RecordRef(ObjectType.DEAL, deal)]
    )
    assert (told[RecordRef(ObjectType.CALL, call)]["seconds"], told[RecordRef(ObjectType.CALL, call)]["deal"]) == (
        61,
        deal,
    )
    assert {event.record.key for event in events if event.record and event.ref.id in (lead, task)} == {
        "lead:1",
        "task:1",
    }


def test_lead_objects_are_told_as_leads_and_their_people_as_contacts(hubspot_leads: LeadObjectsRig) -> None:
    (result,) = hubspot_leads.adapter.upsert(
        [Upsert(ObjectType.LEAD, "lead:1", {"last_name": "Nowak", "email": "n@example.com", "status": "new"})]
    )

    events, _ = caught_up(hubspot_leads.adapter)

    leads = [event for event in events if event.ref.object_type is ObjectType.LEAD]
    assert [event.ref for event in leads] == [getattr(result, "ref", None)]
    assert leads[0].record is not None
    assert (leads[0].record.key, leads[0].record.fields["status"]) == ("lead:1", "new")
    assert ObjectType.CONTACT in kinds(events)


def test_a_load_that_was_interrupted_goes_on_where_it_was(hubspot: HubSpotRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is stored after each page; another process takes over at any of them."""
    monkeypatch.setattr(feed, "SEARCH_PAGE", 5)
    ids = [hubspot.server.account.put("contacts", email=f"{n}@example.com") for n in range(23)]
    cursor, told = "", []
    for _ in range(MOST_PAGES):
        events, following = another(hubspot).changes_since(cursor)
        told += [event.ref.id for event in events if event.ref.object_type is ObjectType.CONTACT]
        if following == cursor:
            break
        cursor = following

    assert told == ids


def test_changes_of_one_instant_are_all_told_once(hubspot: HubSpotRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A22: an import stamps hundreds with one time, and the search cannot sort them."""
    monkeypatch.setattr(feed, "SEARCH_PAGE", 5)
    account = hubspot.server.account
    account.frozen = datetime(2026, 3, 2, 12, tzinfo=UTC)
    ids = [account.put("contacts", email=f"{n}@example.com") for n in range(28)]
    account.frozen += timedelta(seconds=1)
    ids += [account.put("contacts", email=f"late{n}@example.com") for n in range(7)]

    events, _ = caught_up(hubspot.adapter)

    told = [event.ref.id for event in events if event.ref.object_type is ObjectType.CONTACT]
    assert sorted(told) == sorted(ids)


def test_more_records_than_a_search_shows_are_told(hubspot: HubSpotRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search stops at 10,000 results (30 here): every page is a window of its own."""
    monkeypatch.setattr(feed, "SEARCH_PAGE", 10)
    hubspot.server.most_results = 30
    ids = [hubspot.server.account.put("contacts", email=f"{n}@example.com") for n in range(95)]

    events, _ = caught_up(hubspot.adapter)

    assert [event.ref.id for event in events if event.ref.object_type is ObjectType.CONTACT] == ids


def test_what_the_search_shows_late_is_told_all_the_same(hubspot: HubSpotRig) -> None:
    """A22, A25: a change comes into the index after a later one was told."""
    account = hubspot.server.account
    slow = account.put("contacts", email="slow@example.com")
    account.objects["contacts"][slow].indexed = None
    account.search_lag = timedelta(seconds=30)
    account.shift = timedelta(seconds=10)
    quick = account.put("contacts", email="quick@example.com")
    account.objects["contacts"][quick].indexed = dict(account.objects["contacts"][quick].properties)
    events, cursor = caught_up(hubspot.adapter)
    assert {event.ref.id for event in events if event.ref.object_type is ObjectType.CONTACT} == {quick}

    account.shift = timedelta(seconds=60)
    late, _ = caught_up(hubspot.adapter, cursor)

    assert [event.ref.id for event in late] == [slow]


def test_a_change_of_a_record_that_was_told_is_told_again(hubspot: HubSpotRig) -> None:
    """A22."""
    account = hubspot.server.account
    id_ = account.put("contacts", email="a@example.com", hearback_key="lead:1")
    _, cursor = caught_up(hubspot.adapter)
    account.shift += timedelta(seconds=5)
    account.set("contacts", id_, hearback_response="accepted")

    events, cursor = caught_up(hubspot.adapter, cursor)

    assert [(event.ref.id, event.record.fields["response"]) for event in events if event.record] == [(id_, "accepted")]
    assert caught_up(hubspot.adapter, cursor) == ([], cursor)


def test_archived_records_are_told_as_deleted_once(hubspot: HubSpotRig) -> None:
    """A23, W13."""
    account = hubspot.server.account
    lead, deal = account.put("contacts", email="a@example.com"), account.put("deals", dealname="Pumps")
    _, cursor = caught_up(hubspot.adapter)
    account.archive("contacts", lead)
    account.archive("deals", deal)

    events, cursor = caught_up(another(hubspot), cursor)

    gone = [event.ref for event in events if event.type is EventType.RECORD_DELETED]
    # Of a contact nobody can tell any more whether it was a lead.
    assert set(gone) == {
        RecordRef(ObjectType.LEAD, lead),
        RecordRef(ObjectType.CONTACT, lead),
        RecordRef(ObjectType.DEAL, deal),
    }
    assert caught_up(another(hubspot), cursor) == ([], cursor)


def test_archived_records_are_looked_for_now_and_then_only(hubspot: HubSpotRig) -> None:
    _, cursor = caught_up(hubspot.adapter)
    before = hubspot.requests()

    hubspot.adapter.changes_since(cursor)

    asked = hubspot.server.calls[before:]
    assert [call for call in asked if call.query.get("archived") == ["true"]] == []
    assert len(asked) == 5


def test_a_merge_is_told_as_the_record_that_is_left(hubspot: HubSpotRig) -> None:
    """A23, W10: what was bound to the old records is bound to the new one."""
    account = hubspot.server.account
    ours = account.put("contacts", email="a@example.com", hearback_key="lead:1")
    other = account.put("contacts", email="b@example.com")
    _, cursor = caught_up(hubspot.adapter)
    account.shift += timedelta(seconds=5)
    new = account.merge("contacts", other, ours)

    events, _ = caught_up(hubspot.adapter, cursor)

    left = RecordRef(ObjectType.LEAD, new)
    assert {event.record.ref for event in events if event.record} == {left}
    assert {event.ref for event in events} >= {
        RecordRef(ObjectType.LEAD, ours),
        RecordRef(ObjectType.CONTACT, other),
        left,
    }


def test_an_owner_who_leaves_is_told(hubspot: HubSpotRig) -> None:
    _, cursor = caught_up(hubspot.adapter)
    hubspot.server.account.owners[1]["archived"] = True

    events, _ = caught_up(another(hubspot), cursor)

    assert [(e.ref.id, e.record.fields["active"]) for e in events if e.record] == [(OTHER, False)]


def test_a_used_up_search_budget_keeps_what_was_reached(hubspot: HubSpotRig) -> None:
    """A28: the round stops in the middle, and the next call goes on there; without any progress it says so."""
    hubspot.server.account.put("calls", hs_timestamp="2026-03-02T12:00:00Z")
    adapter = from_settings("test", {"base_url": hubspot.server.url}, {"token": TOKEN}, Limits(searches=2))
    cursor, told = "", []
    for _ in range(40):
        try:
            events, cursor = adapter.changes_since(cursor)
        except RateLimited:
            adapter = from_settings("test", {"base_url": hubspot.server.url}, {"token": TOKEN}, Limits(searches=2))
            continue
        told += events
        if any(event.ref.object_type is ObjectType.CALL for event in told):
            break

    assert ObjectType.CALL in kinds(told)


@pytest.mark.parametrize("stuck", ["same page", "backwards", "endless archive"])
def test_a_server_that_repeats_itself_is_noticed(hubspot: HubSpotRig, stuck: str) -> None:
    """A21."""
    with ScriptedCrm(otherwise=lambda seen: _stuck(seen, stuck)) as crm:
        adapter = from_settings("test", {"base_url": crm.url}, {"token": TOKEN}, Limits(searches=100_000))

        with pytest.raises(UnexpectedAnswer):
            caught_up(adapter)


def _stuck(seen: Seen, how: str) -> Reply:
    if seen.path.endswith("/search"):
        stamp = "2026-03-02T12:00:00.000Z"
        count = 0 if how == "endless archive" else SEARCH_PAGE
        rows = [
            {
                "id": str(1000 + n),
                "properties": {"hs_lastmodifieddate": stamp, "lastmodifieddate": stamp},
                "createdAt": stamp,
                "updatedAt": stamp,
                "archived": False,
            }
            for n in range(count)
        ]
        return Reply(body={"total": count, "results": rows})
    if "/owners/" in seen.path:
        return Reply(body={"results": []})
    if "archived=true" in seen.path:
        return Reply(body={"results": [], "paging": {"next": {"after": "5"}}})
    if "/leads" in seen.path:
        return Reply(404, {"status": "error"})
    return Reply(body={"results": []})


def test_a_cursor_of_nobodys_is_refused(hubspot: HubSpotRig) -> None:
    with pytest.raises(UnexpectedAnswer):
        hubspot.adapter.changes_since('{"v":1}')


# Leads that were born there.


def told_as(adapter: Adapter, cursor: str) -> tuple[dict[ObjectType, ObjectType], str]:
    """Return as what the next changes tell one contact, and what is left of that."""
    events, following = caught_up(adapter, cursor)
    assert len({event.ref.id for event in events}) == 1
    return {e.ref.object_type: e.record.ref.object_type for e in events if e.record}, following


LEAD, CONTACT = ObjectType.LEAD, ObjectType.CONTACT
BOTH, CONTACT_ALONE = {LEAD: LEAD, CONTACT: CONTACT}, {LEAD: CONTACT, CONTACT: CONTACT}


@pytest.mark.parametrize(
    "ending",
    [
        {"hs_lead_status": "UNQUALIFIED"},
        {"hs_lead_status": "OPEN_DEAL"},
        {"hs_lead_status": "BAD_TIMING"},
        {"hs_lead_status": ""},
        {"lifecyclestage": "customer"},
    ],
)
def test_a_contact_somebody_works_on_as_a_lead_is_one_until_that_ends(
    hubspot: HubSpotRig, ending: dict[str, str]
) -> None:
    """R12: it stays a contact all the while, whose owner is known."""
    account = hubspot.server.account
    _, cursor = caught_up(hubspot.adapter)
    contact = account.put("contacts", email="new@example.com", lifecyclestage="lead", hubspot_owner_id=OWNER)
    told, cursor = told_as(hubspot.adapter, cursor)
    assert told == {CONTACT: CONTACT}, "an import or a form puts people there"

    account.shift += timedelta(seconds=5)
    account.set("contacts", contact, hs_lead_status="CONNECTED")
    told, cursor = told_as(hubspot.adapter, cursor)
    assert told == BOTH
    assert [record.ref for record in hubspot.adapter.fetch_many([RecordRef(LEAD, contact)])] == [
        RecordRef(LEAD, contact)
    ]

    account.shift += timedelta(seconds=5)
    account.set("contacts", contact, **ending)
    told, _ = told_as(hubspot.adapter, cursor)
    assert told == CONTACT_ALONE


def test_where_leads_are_objects_a_contact_is_none(hubspot_leads: HubSpotRig) -> None:
    account = hubspot_leads.server.account
    _, cursor = caught_up(hubspot_leads.adapter)
    account.put("contacts", email="new@example.com", hs_lead_status="CONNECTED", hubspot_owner_id=OWNER)

    told, _ = told_as(hubspot_leads.adapter, cursor)

    assert told == {CONTACT: CONTACT}
