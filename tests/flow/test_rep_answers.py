"""Accept and reject, read and written with a rep's own credentials in the CRM's own API, and what Hearback does then.

Only the integration's adapter is ours here: a rep reads and answers by plain requests with a token they were given,
under the CRM's sharing, field rights and scopes.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from workplaces import (
    CAMPAIGN,
    MORNING,
    WORKPLACES,
    HubSpotWorkplace,
    LeadObjectsWorkplace,
    Refusal,
    SalesforceWorkplace,
    Workplace,
    working,
)

HOUR = timedelta(hours=1)
VERDICTS = {"wrong_territory": "niewłaściwy obszar", "bad_data": "błędne dane"}


@pytest.fixture(params=list(WORKPLACES))
def place(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Workplace]:
    with working(WORKPLACES[request.param], database_url, tmp_path) as made:
        yield made


@pytest.fixture
def salesforce(database_url: str, tmp_path: Path) -> Iterator[SalesforceWorkplace]:
    with working(SalesforceWorkplace, database_url, tmp_path) as made:
        yield made


@pytest.fixture(params=[HubSpotWorkplace, LeadObjectsWorkplace], ids=["contacts", "lead objects"])
def hubspot(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[HubSpotWorkplace]:
    with working(request.param, database_url, tmp_path) as made:
        yield made


def another(place: Workplace, *people: str) -> str:
    """Return somebody of the pool who is none of these."""
    pool = place.services.current().settings.rule_set.pools["poland"]
    return next(member.person for member in pool.members if member.person not in people)


def soon(shown: datetime, meant: datetime) -> bool:
    """Tell whether a CRM shows an instant of ours, as exactly as it keeps them."""
    return abs(shown - meant) <= timedelta(seconds=1)


def test_an_owner_reads_whose_lead_it_is_why_from_where_and_until_when(place: Workplace) -> None:
    """R22: the reason is the sentence the decision gave, in the CRM's own field."""
    lead, _ = place.a_lead()
    owner = place.owner(lead)

    page = place.login(owner).sees(lead)

    ((reason,),) = place.rows("SELECT reason FROM lead")
    assert page is not None
    assert (page.owner, page.reason) == (place.user(owner), reason)
    assert len(reason.split()) > 5, "a sentence"
    assert page.source == "website"
    assert page.campaign == CAMPAIGN
    assert soon(page.due, place.instant(lead, "touch_due"))
    assert MORNING + 4 * HOUR <= place.instant(lead, "touch_due") < MORNING + 4.1 * HOUR
    assert page.response == ""


@pytest.mark.parametrize("way", ["webhook", "poll"])
def test_accepted_by_its_owner_a_lead_stays_and_their_work_ends_what_is_due(place: Workplace, way: str) -> None:
    """R22, W13: the hour to accept stops; the task they tick themselves stops the rest."""
    lead, record = place.a_lead()
    owner = place.owner(lead)
    rep = place.login(owner)
    place.hears("poll", record)
    place.set_clock(MORNING + HOUR / 2)

    assert rep.answers(record, "accepted") is None
    place.hears(way, record)

    assert place.state(lead) == "accepted"
    place.look(MORNING + 1.1 * HOUR)
    assert place.owner(lead) == owner, "who accepted in time keeps it"
    place.look(MORNING + 2.1 * HOUR)
    task, reminder = rep.todo(record)

    assert rep.ticks(task) is None
    place.hears("poll", record)

    assert place.state(lead) == "touched"
    assert rep.todo(record) == [], f"the reminder {reminder} is closed"
    place.look(MORNING + 4.1 * HOUR)
    assert place.owner(lead) == owner
    page = rep.sees(lead)
    assert page is not None
    assert (page.owner, page.response) == (place.user(owner), "accepted")


def test_not_accepted_in_time_it_is_somebody_elses(place: Workplace) -> None:
    """R22: the clock of the test above, had nobody answered."""
    lead, record = place.a_lead()
    first = place.owner(lead)
    place.hears("poll", record)

    place.look(MORNING + 1.1 * HOUR)

    assert place.owner(lead) != first


@pytest.mark.parametrize(("way", "verdict"), [("webhook", "wrong_territory"), ("poll", "bad_data")])
def test_rejected_it_goes_to_another_owner_who_sees_it_and_why(place: Workplace, way: str, verdict: str) -> None:
    """R22, R9, W13: nobody gets it back, turns are given back, and an earlier answer is not the next owner's."""
    lead, record = place.a_lead()
    had = [place.owner(lead)]
    place.hears("poll", record)
    for _ in range(3):
        rep = place.login(had[-1])
        place.set_clock(place.at + timedelta(minutes=5))

        assert rep.answers(record, f"rejected_{verdict}") is None
        place.hears(way, record)

        had.append(place.owner(lead))
        assert len(set(had)) == len(had), "nobody who rejected it gets it again"
        page = place.login(had[-1]).sees(lead)
        assert page is not None
        assert (page.owner, page.response) == (place.user(had[-1]), "")
        assert page.reason == place.rows("SELECT reason FROM lead")[0][0]
        assert VERDICTS[verdict] in page.reason, "in the language of the new owner"
        assert soon(page.due, place.instant(lead, "touch_due"))
        assert place.login(had[-1]).todo(record), "a task of their own"
        place.hears("poll", record)
        assert place.owner(lead) == had[-1], "our own writes are no news (W18)"
    assert place.balances() == {}, "all turns were given back, and the last owner shares with nobody"


@pytest.mark.parametrize("way", ["webhook", "poll"])
def test_a_rejected_lead_leaves_whoever_rejected_it_without_open_tasks(place: Workplace, way: str) -> None:
    lead, record = place.a_lead()
    first = place.owner(lead)
    rep = place.login(first)
    (task,) = rep.todo(record)
    place.hears("poll", record)

    rep.answers(record, "rejected_wrong_territory")
    place.hears(way, record)

    assert task not in rep.todo(record)


# What the CRMs forbid.


def test_a_colleague_neither_sees_nor_changes_a_lead_under_private_sharing(salesforce: SalesforceWorkplace) -> None:
    lead, record = salesforce.a_lead()
    owner = salesforce.owner(lead)
    colleague = salesforce.login(another(salesforce, owner))

    assert colleague.sees(lead) is None
    assert colleague.todo(record) == []
    assert colleague.reads(record) == Refusal(404, "NOT_FOUND")
    refused = colleague.answers(record, "rejected_bad_data")

    assert refused == Refusal(403, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY")
    salesforce.hears("poll", record)
    assert (salesforce.owner(lead), salesforce.state(lead)) == (owner, "offered")


def test_whoever_rejected_a_lead_has_lost_sight_of_it(salesforce: SalesforceWorkplace) -> None:
    lead, record = salesforce.a_lead()
    rep = salesforce.login(salesforce.owner(lead))
    salesforce.hears("poll", record)
    rep.answers(record, "rejected_bad_data")
    salesforce.hears("poll", record)

    assert rep.sees(lead) is None
    assert rep.answers(record, "accepted") == Refusal(403, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY")


@pytest.mark.parametrize("name", ["Reason", "Response_Due", "Campaign", "Key"])
def test_reps_write_the_answer_and_no_other_field_of_ours(salesforce: SalesforceWorkplace, name: str) -> None:
    """A27: the permission set for reps is the one we ship."""
    lead, record = salesforce.a_lead()
    rep = salesforce.login(salesforce.owner(lead))
    value = "2030-01-01T00:00:00Z" if name == "Response_Due" else "mine"

    assert rep.sets(record, **{f"Hearback_{name}__c": value}) == Refusal(400, "INVALID_FIELD_FOR_INSERT_UPDATE")
    assert rep.answers(record, "perhaps") == Refusal(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    assert rep.deletes(record) == Refusal(403, "INSUFFICIENT_ACCESS_OR_READONLY")


def test_without_the_permission_set_a_rep_has_no_field_of_ours(salesforce: SalesforceWorkplace) -> None:
    lead, record = salesforce.a_lead()
    org = salesforce.rig.org
    for row in org.living("PermissionSetAssignment"):
        org.delete(row["Id"])
    rep = salesforce.login(salesforce.owner(lead))

    assert rep.reads(record) is None, "the lead itself is theirs"
    assert rep.answers(record, "accepted") == Refusal(400, "INVALID_FIELD")


def test_a_token_that_only_reads_answers_nothing(hubspot: HubSpotWorkplace) -> None:
    lead, record = hubspot.a_lead()
    rep = hubspot.login(hubspot.owner(lead), hubspot.looking)

    assert rep.sees(lead) is not None
    assert rep.answers(record, "accepted") == Refusal(403, "MISSING_SCOPES")
    hubspot.hears("poll", record)
    assert hubspot.state(lead) == "offered"


def test_a_colleagues_token_sees_a_lead_in_hubspot_as_documented(hubspot: HubSpotWorkplace) -> None:
    """HubSpot's tokens hold scopes, not the rights of whoever gave them: the record alone says whose lead it is."""
    lead, record = hubspot.a_lead()
    owner = hubspot.owner(lead)

    page = hubspot.login(another(hubspot, owner)).sees(lead)

    assert page is not None
    assert page.owner == hubspot.user(owner)
    assert hubspot.login(owner).sets(record, hearback_response="perhaps") == Refusal(400, "VALIDATION_ERROR")
