"""A HubSpot app's events: contacts are fetched and become leads, a privacy deletion erases, the rest says why not (I9).

What every sender has in common (signed, forged, malformed, repeated, a test) is tried in test_vendors_b.py.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from desk import Desk
from vendor_support import ENVIRON, SOURCES, Vendors, app_contact, app_event, app_events, compact
from web_support import web_of

from connector.adapters.testing import Reply
from connector.flows import fetch, forgotten, housekeeping, intake
from connector.store import deliveries

JSON = "application/json"
ERASE = "contact.privacyDeletion"
CREATED_LATER = {"subscriptionId": 6002, "occurredAt": 1789560000999}


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as server:
        yield server


@pytest.fixture
def desk(database_url: str, tmp_path: Path, vendors: Vendors) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.edit("hearback.yaml", "sources:\n", SOURCES)
    made.publish()
    made.services.environ = dict(ENVIRON)
    made.services.origins = {"hubspot_app": vendors.url}
    yield made
    made.close()


def knows(vendors: Vendors, *contacts: int) -> None:
    vendors.leads = {str(number): app_contact(number) for number in contacts}


def post(desk: Desk, body: bytes) -> UUID:
    """Post events and read them, without fetching."""
    receipt = desk.post_raw("hubspot", body, JSON)
    desk.work()
    return receipt


def fetch_all(desk: Desk) -> None:
    while fetch.work(desk.services):
        pass
    desk.work()


def take(desk: Desk, *events: dict[str, Any]) -> UUID:
    """Post events and do all work there is for them."""
    receipt = post(desk, compact(list(events)))
    fetch_all(desk)
    housekeeping.work(desk.services)
    return receipt


def later(desk: Desk, **span: float) -> None:
    desk.run("UPDATE clock SET shift = shift + %s", timedelta(**span))


def replay(desk: Desk, receipt: UUID) -> None:
    with desk.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)
    desk.work()


def people(desk: Desk) -> list[str]:
    return [row[0] for row in desk.rows("SELECT data->>'email' FROM lead WHERE erased_at IS NULL ORDER BY 1")]


def everything_held(desk: Desk) -> str:
    """What leads, commands and bodies say, opened."""
    said = desk.rows("SELECT data::text FROM lead UNION ALL SELECT fields::text FROM command")
    sealed = desk.rows("SELECT delivery_id, sealed FROM delivery_body")
    opened = [str(desk.services.vault.open(delivery, bytes(body))) for delivery, body in sealed]
    return " ".join([*(row[0] for row in said), *opened])


def test_one_delivery_of_several_contacts_becomes_a_lead_for_each(desk: Desk, vendors: Vendors) -> None:
    """I9: keys are per lead, of the four values that tell events apart."""
    knows(vendors, 51001, 51002)
    receipt = post(desk, app_events(51001, "51002"))
    assert desk.fate(receipt) == ("waiting", None, "")
    assert vendors.seen == []

    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51001@feld.example", "nora.51002@feld.example"]
    keys = [row[0] for row in desk.rows("SELECT key FROM dedupe_key ORDER BY key")]
    assert [key for key in keys if not key.startswith("notice:")] == [
        "6001:51001:1789560000101:7",
        "6001:51002:1789560000101:7",
    ]


def test_only_what_is_used_is_asked_for_at_the_version_we_know(desk: Desk, vendors: Vendors) -> None:
    """Least privilege: the usual properties, those the mapping names, none it ignores; the token in no address."""
    vendors.leads = {"51001": app_contact(51001, best_time="mornings", budget="10k", mobilephone="+49 170 1")}
    take(desk, app_event(51001))

    (seen,) = vendors.seen
    path, _, query = seen.path.partition("?properties=")
    assert path == "/crm/objects/2026-03/contacts/51001"
    asked = query.split(",")
    assert {"firstname", "email", "phone", "zip", "hs_language", "best_time", "budget"} <= set(asked)
    assert len(asked) == len(set(asked))
    assert "mobilephone" not in asked
    assert seen.headers["authorization"] == "Bearer app-token-1"
    ((data,),) = desk.rows("SELECT data FROM lead")
    assert data["custom"] == {"best_time": "mornings", "budget": "10k"}
    assert data["attribution"] == {"change_source": "FORM"}
    assert (data["first_name"], data["postal_code"], data["country"]) == ("Nora", "10115", "DE")


def test_a_redelivery_however_grouped_makes_nothing_new(desk: Desk, vendors: Vendors) -> None:
    """I9, I11: retried with another attempt number, alone, and among events not seen before."""
    knows(vendors, 51001, 51002, 51003)
    take(desk, app_event(51001), app_event(51002))

    again = take(desk, app_event(51002, attemptNumber=1), app_event(51001, attemptNumber=1))
    alone = take(desk, app_event(51002, attemptNumber=2))
    mixed = take(desk, app_event(51003), app_event(51001, attemptNumber=2))

    assert desk.fate(again)[:2] == desk.fate(alone)[:2] == ("done", "duplicate")
    assert desk.fate(mixed)[:2] == ("done", "leads")
    assert len(people(desk)) == 3
    assert desk.rows("SELECT count(*) FROM submission") == [(3,)]


def test_a_newer_subscription_for_contacts_is_read_like_an_older_one(desk: Desk, vendors: Vendors) -> None:
    knows(vendors, 51001)
    contact = take(desk, app_event(51001, "object.creation", objectTypeId="0-1"))
    company = take(desk, app_event(51001, "object.creation", objectTypeId="0-2"))

    assert desk.fate(contact)[:2] == ("done", "leads")
    assert desk.fate(company)[:2] == ("done", "rejected")


NOTHING = {
    "contact.deletion": "which can be undone: only a deletion for privacy erases here",
    "contact.propertyChange": "a contact was changed",
    "contact.restore": "a deleted contact came back",
    "contact.merge": "two contacts became one",
    "contact.associationChange": "a contact was linked with another record",
    "company.creation": "no contact was created",
    "conversation.creation": "no contact was created",
    "something.new": "no contact was created",
}


@pytest.mark.parametrize(("kind", "why"), NOTHING.items(), ids=NOTHING)
def test_what_makes_no_lead_is_recorded_with_a_plain_reason(desk: Desk, vendors: Vendors, kind: str, why: str) -> None:
    """P2: a fate for each, and not one for a person to look at; nobody is asked anything."""
    knows(vendors, 51001)
    receipt = take(desk, app_event(51001, kind), app_event(51002, kind))

    state, fate, reason = desk.fate(receipt)
    assert (state, fate) == ("done", "rejected")
    assert reason.startswith("nothing to do here: ")
    assert why in reason
    assert reason.count(kind) == 1
    assert vendors.seen == []


def test_what_makes_no_lead_keeps_no_lead_beside_it_from_arriving(desk: Desk, vendors: Vendors) -> None:
    """A merge has no objectId; a list says each reason once."""
    knows(vendors, 51001)
    merged = app_event(0, "contact.merge", primaryObjectId=1, mergedObjectIds=[2], newObjectId=3)
    del merged["objectId"]

    both = take(desk, merged, app_event(51001), app_event(9, "deal.creation"))
    none = take(desk, merged, app_event(9, "deal.creation"), app_event(8, "deal.creation"))

    assert desk.fate(both)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51001@feld.example"]
    assert desk.fate(none)[2].count("nothing to do here") == 2


def test_a_contact_that_is_gone_holds_back_the_others_until_a_person_says_so(desk: Desk, vendors: Vendors) -> None:
    """404: quarantined with its id, and nothing the vendor said."""
    knows(vendors, 51001, 51003)
    receipt = take(desk, *map(app_event, (51001, 51002, 51003)))
    state, fate, reason = desk.fate(receipt)
    assert (state, fate) == ("quarantined", None)
    assert "the vendor has nothing under 51002" in reason
    assert "secret detail" not in reason

    replay(desk, receipt)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51001@feld.example", "nora.51003@feld.example"]
    assert vendors.asked == ["51001", "51002", "51003", "51002"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Reply(404, {"category": "OBJECT_NOT_FOUND"}), "the vendor has nothing under 51001"),
        (Reply(410), "the vendor has nothing under 51001"),
        (Reply(403, {"category": "MISSING_SCOPES"}), "may not read this lead"),
        (Reply(400, {"category": "VALIDATION_ERROR"}), "the vendor's answer cannot be read"),
        (Reply(200, b"[]"), "the vendor's answer cannot be read"),
        (Reply(302, headers={"Location": "/login"}), "the vendor's answer cannot be read"),
    ],
    ids=["404", "410", "403", "400", "no object", "302"],
)
def test_what_repeating_cannot_help_is_set_aside_and_can_be_replayed(
    desk: Desk, vendors: Vendors, answer: Reply, said: str
) -> None:
    vendors.then(answer)
    receipt = take(desk, app_event(51001))
    state, fate, reason = desk.fate(receipt)
    assert (state, fate) == ("quarantined", None)
    assert said in reason
    assert len(vendors.seen) == 1

    knows(vendors, 51001)
    replay(desk, receipt)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_a_refused_token_waits_with_a_plain_reason_and_goes_on_with_a_new_one(desk: Desk, vendors: Vendors) -> None:
    """401."""
    knows(vendors, 51001)
    vendors.then(Reply(401, {"message": "secret detail of app-token-1", "category": "EXPIRED_AUTHENTICATION"}))
    receipt = take(desk, app_event(51001))
    state, fate, reason = desk.fate(receipt)
    assert (state, fate) == ("waiting", None)
    assert reason == "the vendor refuses the access token: put a valid one into HUBSPOT_ACCESS (status 401)"

    desk.services.environ = {**ENVIRON, "HUBSPOT_ACCESS": "app-token-2"}
    later(desk, minutes=1)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert vendors.seen[-1].headers["authorization"] == "Bearer app-token-2"


@pytest.mark.parametrize(
    ("answer", "said", "attempts"),
    [
        (Reply(429, {"policyName": "TEN_SECONDLY_ROLLING"}), "fewer requests", 0),
        (Reply(423), "does not answer", 1),
        (Reply(477, headers={"Retry-After": "10"}), "does not answer", 1),
        (Reply(502), "does not answer", 1),
    ],
    ids=["429", "423", "477", "502"],
)
def test_a_vendor_that_is_busy_is_left_alone_for_some_seconds(
    desk: Desk, vendors: Vendors, answer: Reply, said: str, attempts: int
) -> None:
    """A rate limit burns no attempt; neither loses what was fetched before it."""
    knows(vendors, 51001, 51002)
    vendors.then(Reply(200, app_contact(51001)), answer)
    receipt = take(desk, app_event(51001), app_event(51002))
    fetch_all(desk)
    state, fate, reason = desk.fate(receipt)
    assert (state, fate) == ("waiting", None)
    assert said in reason
    assert desk.rows("SELECT attempts FROM delivery WHERE id = %s", receipt) == [(attempts,)]
    assert vendors.asked == ["51001", "51002"]

    later(desk, seconds=13)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert vendors.asked == ["51001", "51002", "51002"]


@pytest.mark.parametrize(
    "properties", [{}, {"firstname": "Nora", "email": None}, {"email": {"a": 1}}], ids=["empty", "a name", "odd"]
)
def test_a_contact_nobody_could_answer_is_for_a_person_and_others_go_on_then(
    desk: Desk, vendors: Vendors, properties: dict[str, Any]
) -> None:
    vendors.leads = {"51001": app_contact(51001), "51002": {"id": "51002", "properties": properties}}
    receipt = take(desk, app_event(51001), app_event(51002))
    state, fate, reason = desk.fate(receipt)
    assert (state, fate) == ("quarantined", None)
    assert "no e-mail, phone or address" in reason

    replay(desk, receipt)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51001@feld.example"]


def test_a_privacy_deletion_erases_the_contacts_lead_once_and_keeps_it_out(desk: Desk, vendors: Vendors) -> None:
    """I18, I33: it comes with a plain deletion; again; and the creation once more, regrouped. Another contact stays."""
    knows(vendors, 51001, 51002)
    first = take(desk, app_event(51001), app_event(51002))
    asked = len(vendors.seen)

    notice = take(desk, app_event(51001, "contact.deletion"), app_event(51001, ERASE))
    repeated = take(desk, app_event(51001, ERASE, attemptNumber=1))
    late = take(desk, app_event(51001, attemptNumber=3))

    assert desk.fate(notice) == ("done", "applied", "a notice of erasure")
    assert desk.fate(repeated)[:2] == ("done", "applied")
    assert desk.fate(late)[:2] == ("done", "erased")
    assert desk.fate(first)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51002@feld.example"]
    assert "nora.51001" not in everything_held(desk)
    assert desk.rows("SELECT asked_by, counts ->> 'leads', finished_at IS NULL FROM erasure") == [
        ("source hubspot", "1", False)
    ]
    assert len(vendors.seen) <= asked + 1


def test_a_privacy_deletion_finds_the_contact_under_another_event_too(desk: Desk, vendors: Vendors) -> None:
    """It names the contact, whatever subscription told of it; of another account's contact it says nothing."""
    knows(vendors, 51001)
    take(desk, app_event(51001), app_event(51001, "object.creation", objectTypeId="0-1", **CREATED_LATER))
    stranger = take(desk, app_event(51001, ERASE, portalId=4004))
    assert desk.fate(stranger)[:2] == ("done", "applied")
    assert people(desk) == ["nora.51001@feld.example"]

    take(desk, app_event(51001, ERASE))

    assert people(desk) == []
    assert "nora.51001" not in everything_held(desk)


def test_a_privacy_deletion_after_years_still_finds_its_leads(desk: Desk, vendors: Vendors) -> None:
    """I33: keys and bodies are long gone, of a lead of its own and of one that joined a known person's."""
    knows(vendors, 51001, 51002)
    desk.post(vorname="Nora", email="nora.51002@feld.example", plz="10115", land="DE")
    desk.work()
    take(desk, app_event(51001), app_event(51002))
    take(desk, app_event(51003, ERASE))
    desk.run("UPDATE dedupe_key SET seen_at = seen_at - interval '3 years'")
    desk.run("DELETE FROM delivery_mark")
    desk.run("DELETE FROM delivery_body")
    housekeeping.work(desk.services)
    assert desk.rows("SELECT key FROM dedupe_key ORDER BY key") == [
        ("notice:contact:3003:51001",),
        ("notice:contact:3003:51002",),
    ]

    for contact, left in ((51001, ["nora.51002@feld.example"]), (51002, [])):
        take(desk, app_event(contact, ERASE))
        assert people(desk) == left
    assert desk.rows("SELECT count(*) FROM dedupe_key WHERE lead_id IS NOT NULL") == [(0,)]


def test_a_contact_deleted_for_privacy_while_it_is_fetched_makes_no_lead(desk: Desk, vendors: Vendors) -> None:
    """I18: the notice overtakes the contact it is about."""
    knows(vendors, 51001)
    created = post(desk, app_events(51001))
    assert desk.fate(created)[0] == "waiting"

    notice = take(desk, app_event(51001, ERASE))

    assert desk.fate(notice)[:2] == ("done", "applied")
    assert desk.fate(created)[:2] == ("done", "erased")
    assert people(desk) == []
    assert "nora.51001" not in everything_held(desk)


def test_created_and_deleted_for_privacy_in_one_delivery_asks_for_nothing(desk: Desk, vendors: Vendors) -> None:
    receipt = take(desk, app_event(51001, ERASE), app_event(51001))

    assert desk.fate(receipt) == ("done", "applied", "a notice of erasure")
    assert vendors.seen == []


@pytest.mark.parametrize("held", ["waiting", "quarantined", "set aside"])
def test_a_notice_of_erasure_does_not_wait_for_the_leads_beside_it(desk: Desk, vendors: Vendors, held: str) -> None:
    """I18, P2: and the delivery still gets its one fate in the end."""
    knows(vendors, 51001)
    take(desk, app_event(51001))
    vendors.leads = {"51009": {"id": "51009", "properties": {"firstname": "Nora"}}} if held == "set aside" else {}
    if held == "waiting":
        vendors.then(Reply(503))

    receipt = take(desk, app_event(51009), app_event(51001, ERASE))

    assert desk.fate(receipt)[0] == held.replace("set aside", "quarantined")
    assert people(desk) == []
    assert "nora.51001" not in everything_held(desk)

    knows(vendors, 51009)
    if held == "waiting":
        later(desk, minutes=1)
        fetch_all(desk)
    else:
        replay(desk, receipt)
        fetch_all(desk)
    # What was set aside is released as it was read: there is still no way to reach that person.
    assert desk.fate(receipt)[:2] == ("done", "rejected" if held == "set aside" else "leads")


def test_a_notice_that_commits_while_the_contact_is_routed_wins(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I18: two workers at once; whoever claims the contact's key second sees the other."""
    knows(vendors, 51001, 51002)
    created = post(desk, app_events(51001, 51002))
    notice = desk.post_raw("hubspot", compact([app_event(51001, ERASE)]), JSON)
    desk.run("UPDATE delivery SET state = 'waiting' WHERE id = %s", notice)
    while fetch.work(desk.services):
        pass
    sift = forgotten.sift

    def then_the_notice(*arguments: Any) -> Any:
        monkeypatch.setattr(forgotten, "sift", sift)
        sifted = sift(*arguments)
        desk.run("UPDATE delivery SET state = 'stored' WHERE id = %s", notice)
        assert intake.work(desk.services) == 1
        return sifted

    monkeypatch.setattr(forgotten, "sift", then_the_notice)
    desk.work()
    housekeeping.work(desk.services)

    assert desk.fate(notice)[:2] == ("done", "applied")
    assert desk.fate(created)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51002@feld.example"]
    assert "nora.51001" not in everything_held(desk)


def v1(body: bytes) -> dict[str, str]:
    digest = hashlib.sha256(b"test-secret" + body).hexdigest()
    return {"X-HubSpot-Signature": digest, "X-HubSpot-Signature-Version": "v1"}


@pytest.mark.parametrize(
    ("setting", "answered"), [("", 401), ("    old_signatures: true\n", 200)], ids=["by default", "on"]
)
def test_the_older_signature_counts_by_choice_only(desk: Desk, setting: str, answered: int) -> None:
    desk.edit("hearback.yaml", "    kind: hubspot_app\n", f"    kind: hubspot_app\n{setting}")
    desk.publish()
    web, body = web_of(desk.services), app_events(51001)

    answer = web.client.post("/in/hubspot-door", data=body, content_type=JSON, headers=v1(body))
    forged = web.client.post("/in/hubspot-door", data=body + b" ", content_type=JSON, headers=v1(body))

    assert (answer.status_code, forged.status_code) == (answered, 401)
    assert [row["state"] for row in web.rows()] == ["stored" if answered == 200 else "quarantined", "quarantined"]


def test_a_contact_our_own_connection_made_is_no_other_lead(desk: Desk, vendors: Vendors) -> None:
    """P9: with an app and a connection on one account, each lead would come back as a new one."""
    vendors.leads = {"1": app_contact(1), "2": app_contact(2, hearback_key="lead:01a203f4")}

    receipt = take(desk, app_event(1), app_event(2))
    echo = take(desk, app_event(2, **CREATED_LATER))

    assert people(desk) == ["nora.1@feld.example"]
    assert desk.fate(receipt)[1] == "leads"
    state, fate, reason = desk.fate(echo)
    assert (state, fate) == ("done", "rejected")
    assert "Hearback made this contact itself" in reason
