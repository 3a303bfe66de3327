"""Eleven kinds of sender, from their request at the door to the fate of the delivery.

For each: a happy body, one that proves its sender and one that does not, a redelivery, a test, a malformed one.
"""

import base64
import hashlib
import hmac
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from vendor_support import (
    ENVIRON,
    SOURCES,
    Vendors,
    app_contact,
    app_event,
    app_events,
    compact,
    graph_lead,
    lead_action,
    leadgen,
    member_lead,
)
from web_support import SECRET_KEY, Web, fresh_database, web_of

from connector.flows import fetch, housekeeping, intake
from connector.publishing import publish
from connector.services import Services
from connector.settings import default_folder
from connector.store import Store
from connector.vault import Vault

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SECRET = "test-secret"
#: `public_url` of the sample organisation.
PUBLIC = "http://127.0.0.1:8650"
#: Body, secret, public address.
Sign = Callable[[bytes, str, str], Mapping[str, str]]


def hex_hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def no_signature(_body: bytes, _secret: str, _address: str) -> Mapping[str, str]:
    return {}


def sign_meta(body: bytes, secret: str, _address: str) -> Mapping[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hex_hmac(secret, body)}", "X-Hub-Signature": "sha1=00"}


def sign_linkedin(body: bytes, secret: str, _address: str) -> Mapping[str, str]:
    return {"X-LI-Signature": hex_hmac(secret, b"hmacsha256=" + body)}


def sign_calendly(body: bytes, secret: str, _address: str) -> Mapping[str, str]:
    stamp = str(int(time.time()))
    return {"Calendly-Webhook-Signature": f"t={stamp},v1={hex_hmac(secret, stamp.encode() + b'.' + body)}"}


def sign_hubspot(body: bytes, secret: str, address: str) -> Mapping[str, str]:
    stamp = str(int(time.time() * 1000))
    message = b"POST" + address.encode() + body + stamp.encode()
    signed = base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()
    return {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": signed}


def show_header(_body: bytes, secret: str, _address: str) -> Mapping[str, str]:
    return {"X-Hearback-Secret": secret}


def show_bearer(_body: bytes, secret: str, _address: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@dataclass(frozen=True)
class Vendor:
    """How one vendor posts. `test` is a body (and query) the vendor, or the person trying it out, marks as a test."""

    token: str
    happy: bytes
    malformed: bytes
    email: str
    sign: Sign = no_signature
    content_type: str = JSON
    test: bytes = b""
    test_query: str = ""
    again: bytes = b""
    documents: Mapping[str, Any] = field(default_factory=dict)
    lead: Mapping[str, Any] = field(default_factory=dict)
    more_headers: Mapping[str, str] = field(default_factory=dict)


def invitee(number: int = 2, event: str = "invitee.created", at: str = "12:00:01", **more: Any) -> bytes:
    base = "https://api.calendly.com/scheduled_events/e1/invitees/"
    for name in ("old_invitee", "new_invitee"):
        if more.get(name):
            more[name] = f"{base}{more[name]}"
    payload = {
        "uri": f"{base}{number}",
        "email": "nora@feld.example",
        "name": "Nora Feld",
        "first_name": None,
        "last_name": None,
        "timezone": "Europe/Berlin",
        "status": "active",
        "questions_and_answers": [{"question": "Company?", "answer": "Feld & Söhne GmbH", "position": 0}],
        "tracking": {"utm_source": "newsletter", "utm_medium": None, "salesforce_uuid": None},
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
    }
    return compact({"event": event, "created_at": f"2026-09-16T{at}.000000Z", "payload": {**payload, **more}})


def elementor_advanced(**values: str) -> bytes:
    kinds = {"email": "email", "field_a1b2c3": "tel", "field_0ff": "acceptance"}
    titles = {"name": "Name", "email": "Email", "field_a1b2c3": "Rückruf unter", "field_0ff": "Privacy"}
    pairs = [("form[id]", "a1b2"), ("form[name]", "Contact")]
    for id_, value in values.items():
        about = {"id": id_, "type": kinds.get(id_, "text"), "title": titles.get(id_, id_), "value": value}
        about |= {"raw_value": value, "required": "0"}
        pairs += [(f"fields[{id_}][{name}]", said) for name, said in about.items()]
    meta = {"date": "September 16, 2026", "time": "12:00 pm", "page_url": "https://www.example.com/contact"}
    meta |= {"user_agent": "Test/1.0", "remote_ip": "2001:db8::1", "credit": "Elementor"}
    for name, said in meta.items():
        pairs += [(f"meta[{name}][title]", name), (f"meta[{name}][value]", said)]
    return urlencode(pairs).encode()


def elementor_flat(minute: str = "12:00 pm", **more: str) -> bytes:
    said = {"Name": "Nora Feld", "Email": "nora@feld.example", "Phone": "+49 30 23125001", **more}
    own = {"Date": "September 16, 2026", "Time": minute, "Page URL": "https://www.example.com/contact/"}
    own |= {"User Agent": "Test/1.0", "Remote IP": "2001:db8::1", "Powered by": "Elementor"}
    return urlencode({**said, **own, "form_id": "a1b2", "form_name": "Contact"}).encode()


def gravity(**more: Any) -> bytes:
    entry = {"id": "901", "form_id": "12", "status": "active", "date_created": "2026-09-16 12:00:00"}
    entry |= {"ip": "203.0.113.12", "source_url": "https://www.example.com/contact", "user_agent": "Test/1.0"}
    entry |= {"1.2": "", "1.3": "Nora", "1.4": "", "1.6": "Feld", "1.8": "", "2": "nora@feld.example"}
    entry |= {"3": "+49 30 23125001", "5.1": "Product A", "5.2": "", "5.3": "Product C"}
    return compact({**entry, "6": 'a:2:{i:0;s:5:"Alpha";i:1;s:5:"Bêta";}', "created_by": None, **more})


def unbounce(**more: list[str]) -> bytes:
    answers = {"email": ["nora@feld.example"], "full_name": ["Nora Feld"], "products": ["Product A", "Product C"]}
    answers |= {"ip_address": ["203.0.113.13"], "date_submitted": ["2026-09-16"], "time_submitted": ["11:45 AM UTC"]}
    page = {"page_id": "p-1", "page_name": "Demo", "page_url": "https://lp.example.com/demo", "variant": "a"}
    xml = "<form_data><email>nora@feld.example</email></form_data>"
    return urlencode({**page, "data.json": json.dumps({**answers, **more}), "data.xml": xml}).encode()


def wufoo(key: str = SECRET, **more: str) -> bytes:
    entry = {"Field1": "Jane", "Field2": "Doe", "Field3": "jane@doe.example", "CreatedBy": "public", "EntryId": "5"}
    own = {"DateCreated": "2026-09-16 12:08:07", "IP": "203.0.113.4", "HandshakeKey": key}
    return urlencode({**entry, **own, **more}).encode()


CF7 = {"your-name": "Jane Doe", "your-email": "jane@doe.example", "your-message": "Please call", "acceptance-123": "1"}
FLAT = {"full_name": "Jane Doe", "email": "jane@doe.example", "phone": "+1 212 555 0100", "company": "Acme"}

VENDORS = {
    "meta": Vendor(
        "meta-door",
        leadgen(9001),
        leadgen(0),
        "nora.9001@feld.example",
        sign_meta,
        test=leadgen(9002),
        documents={
            "9001": graph_lead(9001, phone_number="+493023125001"),
            "9002": graph_lead(9002, job_title="<test lead: dummy data for job_title>"),
        },
        lead={"first_name": "Nora", "phone": "+493023125001"},
    ),
    "linkedin": Vendor(
        "linkedin-door",
        lead_action(),
        compact({"type": "OTHER", "leadAction": "CREATED"}),
        "jane.501-1@acme.example",
        sign_linkedin,
        test=lead_action("502-1"),
        documents={"501-1": member_lead(), "502-1": member_lead("502-1", test=True)},
        lead={"first_name": "Jane", "consents": [["linkedin_42", True, "You may write to me."]]},
    ),
    "hubspot": Vendor(
        "hubspot-door",
        app_events(51001),
        compact([app_event("../owners")]),
        "nora.51001@feld.example",
        sign_hubspot,
        test=app_events(51002),
        test_query="?_test=1",
        again=compact([app_event(51001, attemptNumber=1)]),
        documents={"51001": app_contact(51001, budget="10k"), "51002": app_contact(51002)},
        lead={"first_name": "Nora", "company": "Feld GmbH", "postal_code": "10115", "custom": {"budget": "10k"}},
    ),
    "calendly": Vendor(
        "calendly-door",
        invitee(),
        invitee(event="event_type.created"),
        "nora@feld.example",
        sign_calendly,
        test=invitee(number=3),
        test_query="?_test=1",
        lead={"company": "Feld & Söhne GmbH", "custom": {"meeting": "booked", "timezone": "Europe/Berlin"}},
    ),
    "elementor": Vendor(
        "elementor-door",
        elementor_advanced(name="Nora Feld", email="nora@feld.example", field_a1b2c3="+49 30 23125001", field_0ff="on"),
        b"fields%5Bname%5D%5Bvalue%5D=%FF",
        "nora@feld.example",
        content_type=FORM,
        test=elementor_flat(_test="1", Email="try@feld.example"),
        lead={"phone": "+493023125001", "consents": [["acceptance", True, ""]]},
    ),
    "elementor, flat": Vendor(
        "elementor-door",
        elementor_flat(),
        b"Name=%FF",
        "nora@feld.example",
        content_type=FORM,
        test=elementor_flat(Email="try@feld.example"),
        test_query="?_test=1",
        again=elementor_flat("12:01 pm"),
        lead={"phone": "+493023125001", "last_name": "Feld"},
    ),
    "gravity": Vendor(
        "gravity-door",
        gravity(),
        b"[1]",
        "nora@feld.example",
        show_header,
        test=gravity(id="902", _test="1"),
        again=gravity(is_read="1"),
        lead={"first_name": "Nora", "last_name": "Feld", "custom": {"5": "Product A;Product C", "6": "Alpha;Bêta"}},
    ),
    "cf7": Vendor(
        "cf7-door",
        compact({**CF7, "interest": ["Product A", "Product C"]}),
        b'{"your-name": ',
        "jane@doe.example",
        show_header,
        content_type="application/json; charset=UTF-8",
        test=compact({**CF7, "your-email": "try@doe.example", "_test": "1"}),
        lead={"message": "Please call", "consents": [["acceptance", True, ""]]},
    ),
    "wpforms": Vendor(
        "wpforms-door",
        compact(FLAT),
        b"null",
        "jane@doe.example",
        show_header,
        test=compact({**FLAT, "email": "try@doe.example", "_test": 1}),
        lead={"company": "Acme"},
    ),
    "wpforms, form": Vendor(
        "wpforms-door",
        urlencode(FLAT).encode(),
        b"=",
        "jane@doe.example",
        show_header,
        content_type=FORM,
        test=urlencode({**FLAT, "email": "try@doe.example", "_test": "1"}).encode(),
        lead={"company": "Acme"},
    ),
    "unbounce": Vendor(
        "unbounce-door",
        unbounce(),
        b"page_id=1&data.json=%7B",
        "nora@feld.example",
        content_type=FORM,
        test=unbounce(email=["try@feld.example"], _test=["1"]),
        lead={"product": "Product A", "last_name": "Feld"},
    ),
    "wufoo": Vendor(
        "wufoo-door",
        wufoo(),
        wufoo(FieldStructure="{"),
        "jane@doe.example",
        content_type=FORM,
        test=wufoo(EntryId="6"),
        test_query="?_test=1",
        again=wufoo(DateCreated="2026-09-16 12:09:00"),
        lead={"first_name": "Jane", "last_name": "Doe"},
    ),
    "tool": Vendor(
        "json-door",
        compact({**FLAT, "zap_meta_human_now": "2026-09-16 12:00", "lead": {"answers": {"budget": "10k"}}}),
        b"[]",
        "jane@doe.example",
        show_bearer,
        test=compact({**FLAT, "email": "try@doe.example", "_test": True}),
        again=compact({**FLAT, "zap_meta_human_now": "2026-09-16 14:00"}),
        lead={"company": "Acme"},
        more_headers={"Idempotency-Key": '"run-1"'},
    ),
}
UNSIGNED = {name for name, vendor in VENDORS.items() if vendor.sign is no_signature and name != "wufoo"}
EACH = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS.keys())


@pytest.fixture(scope="module")
def services(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("vendors") / "config"
    shutil.copytree(default_folder(), folder)
    file = folder / "hearback.yaml"
    file.write_text(file.read_text("utf-8").replace("sources:\n", SOURCES, 1), "utf-8")
    with fresh_database(postgres, template) as url, Store(url, lock_timeout_ms=1500) as store:
        published = publish(store, folder)
        assert published.hash, published.complaints
        yield Services(store, Vault(SECRET_KEY), environ=ENVIRON)


@pytest.fixture
def vendors(services: Services) -> Iterator[Vendors]:
    with Vendors() as server:
        services._fetchers.clear()
        services.origins = {"meta": server.url, "linkedin": server.url, "hubspot_app": server.url}
        yield server


@pytest.fixture
def web(services: Services, vendors: Vendors) -> Web:
    with psycopg.connect(services.store.url) as connection:
        connection.execute("TRUNCATE command, source_rest")
    return web_of(services)


def post(
    web: Web,
    vendor: Vendor,
    body: bytes,
    *,
    secret: str = SECRET,
    query: str = "",
    sent: bytes | None = None,
    **head: str,
) -> int:
    """Post a body signed as the vendor does; `sent` is what arrives in its place."""
    address = f"/in/{vendor.token}{query}"
    headers = {**vendor.sign(body, secret, PUBLIC + address), **vendor.more_headers, **head}
    answer = web.client.post(
        address,
        data=body if sent is None else sent,
        content_type=vendor.content_type,
        headers=headers,
    )
    if answer.status_code == 200:
        assert answer.text.startswith("ok ")
    return answer.status_code


def work(web: Web) -> list[tuple[str, str | None, str]]:
    """Do all background work; return the state and fate of each delivery."""
    for _ in range(2):
        while intake.work(web.services):
            pass
        while fetch.work(web.services):
            pass
    return [(row["state"], row["fate"], row["reason"]) for row in web.rows()]


def lead_of(web: Web) -> dict[str, Any]:
    (row,) = web.rows("SELECT data FROM lead")
    return dict(row["data"])


@EACH
def test_a_happy_delivery_is_answered_200_and_becomes_a_lead(web: Web, vendors: Vendors, vendor: Vendor) -> None:
    """I1, I2, P2."""
    vendors.leads = dict(vendor.documents)

    assert post(web, vendor, vendor.happy) == 200

    assert [fate[:2] for fate in work(web)] == [("done", "leads")]
    data = lead_of(web)
    assert data["email"] == vendor.email
    for name, value in vendor.lead.items():
        if name == "consents":
            assert [[consent[key] for key in ("purpose", "given", "text")] for consent in data["consents"]] == value
        elif name == "custom":
            assert value.items() <= data["custom"].items()
        else:
            assert data[name] == value


@EACH
def test_a_redelivery_is_answered_200_and_is_a_duplicate_of_the_first(
    web: Web, vendors: Vendors, vendor: Vendor
) -> None:
    """I8, I11: also when times in the body have moved on."""
    vendors.leads = dict(vendor.documents)
    post(web, vendor, vendor.happy)
    work(web)

    assert post(web, vendor, vendor.again or vendor.happy) == 200

    assert [fate[:2] for fate in work(web)] == [("done", "leads"), ("done", "duplicate")]
    first, second = web.rows()
    assert second["first_delivery"] == first["id"]
    assert lead_of(web)["email"] == vendor.email


@EACH
def test_a_test_takes_the_whole_way_with_a_badge_and_no_word_to_the_crm(
    web: Web, vendors: Vendors, vendor: Vendor
) -> None:
    """I17."""
    vendors.leads = dict(vendor.documents)

    assert post(web, vendor, vendor.test, query=vendor.test_query) == 200

    assert [fate[:2] for fate in work(web)] == [("done", "leads")]
    assert [row["is_test"] for row in web.rows()] == [True]
    assert web.rows("SELECT is_test FROM lead") == [{"is_test": True}]
    assert web.rows("SELECT id FROM command") == []


@EACH
def test_a_malformed_body_is_answered_200_and_set_aside_with_its_reason(
    web: Web, vendors: Vendors, vendor: Vendor
) -> None:
    """I7."""
    assert post(web, vendor, vendor.malformed) == 200

    ((state, fate, reason),) = work(web)
    assert (state, fate) == ("quarantined", None)
    assert reason.startswith("unreadable: ")
    assert vendors.seen == []


@pytest.mark.parametrize("name", sorted(VENDORS.keys() - UNSIGNED))
def test_a_forged_delivery_is_401_and_kept_for_the_operator(web: Web, name: str) -> None:
    """I13, I14: the caller never hears the failing step; no secret is stored."""
    vendor = VENDORS[name]
    forged = wufoo("other") if name == "wufoo" else vendor.happy

    assert post(web, vendor, forged, secret="other") == 401

    (row,) = web.rows()
    assert (row["state"], row["verified"].partition(",")[0]) == ("quarantined", "no:wrong secret")
    head, _ = web.body(row["id"])
    assert "Bearer" not in str(head)
    assert "x-hearback-secret" not in head["headers"]


@pytest.mark.parametrize("name", ["meta", "linkedin", "calendly"])
def test_a_body_changed_on_the_way_is_401(web: Web, name: str) -> None:
    """I13: the raw bytes are signed."""
    vendor = VENDORS[name]

    assert post(web, vendor, vendor.happy, sent=vendor.happy.replace(b"1", b"2", 1)) == 401
    assert post(web, vendor, vendor.happy, sent=json.dumps(json.loads(vendor.happy)).encode()) == 401

    assert [row["verified"] for row in web.rows()] == ["no:wrong secret", "no:body re-serialised"]


@pytest.mark.parametrize("name", sorted(VENDORS.keys() - UNSIGNED - {"wufoo"}))
def test_a_delivery_that_proves_nothing_is_401(web: Web, name: str) -> None:
    vendor = VENDORS[name]

    answer = web.client.post(f"/in/{vendor.token}", data=vendor.happy, content_type=vendor.content_type)

    assert answer.status_code == 401
    assert web.rows()[0]["verified"].endswith(" missing")


@pytest.mark.parametrize("name", sorted(UNSIGNED))
def test_where_nothing_is_signed_the_path_token_is_the_proof(web: Web, name: str) -> None:
    vendor = VENDORS[name]

    answer = web.client.post("/in/guessed", data=vendor.happy, content_type=vendor.content_type)

    assert answer.status_code == 404
    assert web.count() == 0


def test_a_secret_that_is_named_and_not_set_closes_the_door(web: Web) -> None:
    """It fails closed: a source with a secret never falls back to its path token."""
    services = Services(web.services.store, web.services.vault, environ={**ENVIRON, "CF7_SECRET": ""})

    assert post(web_of(services), VENDORS["cf7"], compact(CF7)) == 401


def test_a_bearer_token_and_a_secret_header_are_both_good(web: Web) -> None:
    vendor = VENDORS["tool"]
    shown = {"X-Hearback-Secret": SECRET}

    answer = web.client.post("/in/json-door", data=vendor.happy, content_type=JSON, headers=shown)

    assert answer.status_code == 200
    assert web.rows()[0]["verified"] == "yes"


def test_meta_hears_its_challenge_and_nothing_is_stored(web: Web) -> None:
    """I15."""
    asked = {"hub.mode": "subscribe", "hub.challenge": "1234567890", "hub.verify_token": "verify-me"}

    answer = web.client.get("/in/meta-door", query_string=asked)
    refused = web.client.get("/in/meta-door", query_string={**asked, "hub.verify_token": SECRET})

    assert (answer.status_code, answer.text) == (200, "1234567890")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert refused.status_code == 403
    assert "1234567890" not in refused.text
    assert web.client.get("/in/meta-door").status_code == 405
    assert web.count() == 0


def test_linkedin_hears_its_code_signed_by_the_application_that_asks(web: Web) -> None:
    """I15: lower-case hex, no prefix."""
    for application, secret in (("77", "child-secret"), ("", SECRET), ("78", SECRET)):
        asked = {"challengeCode": "3f2b8c1e", "applicationId": application}

        answer = web.client.get("/in/linkedin-door", query_string=asked)

        assert answer.status_code == 200
        assert answer.json == {"challengeCode": "3f2b8c1e", "challengeResponse": hex_hmac(secret, b"3f2b8c1e")}
    assert web.client.get("/in/linkedin-door").status_code == 405
    assert web.count() == 0


def test_a_child_application_signs_with_its_own_secret(web: Web) -> None:
    assert post(web, VENDORS["linkedin"], lead_action(), secret="child-secret") == 200


def test_linkedins_erasure_notice_erases_the_lead_that_came_before(web: Web, vendors: Vendors) -> None:
    """I18, from the door on: created, deleted, deleted again, and the original once more."""
    vendors.leads = {"501-1": member_lead()}
    fates = []
    for action in ("CREATED", "DELETED", "DELETED", "CREATED"):
        assert post(web, VENDORS["linkedin"], lead_action(action=action)) == 200
        fates = work(web)
        housekeeping.work(web.services)

    assert sorted(fate[1] or "" for fate in fates) == ["applied", "applied", "erased", "erased"]
    assert web.rows("SELECT data FROM lead") == [{"data": {}}]
    assert [row["counts"]["leads"] for row in web.rows("SELECT counts FROM erasure")] == [1]


CHAIN = {
    "booked": invitee(2),
    "canceled": invitee(2, "invitee.canceled", "13:00:00", cancellation={"reason": "Ill"}),
    "moved away": invitee(2, "invitee.canceled", "14:00:00", rescheduled=True, new_invitee=3),
    "moved here": invitee(3, "invitee.created", "14:00:00", old_invitee=2),
    "moved away again": invitee(3, "invitee.canceled", "15:00:00", rescheduled=True, old_invitee=2, new_invitee=4),
    "moved here again": invitee(4, "invitee.created", "15:00:00", old_invitee=3),
    "canceled for good": invitee(4, "invitee.canceled", "16:00:00", old_invitee=3),
}


@pytest.mark.parametrize(
    ("events", "fates", "meeting"),
    [
        (["booked", "canceled"], ["leads", "updated"], "canceled"),
        (["canceled", "booked"], ["leads", "duplicate"], "canceled"),
        (["booked", "moved away", "moved here"], ["leads", "updated", "updated"], "booked"),
        (["booked", "moved here", "moved away"], ["leads", "updated", "duplicate"], "booked"),
        (["booked", "booked", "canceled", "canceled"], ["leads", "duplicate", "updated", "duplicate"], "canceled"),
        (
            ["booked", "moved here", "moved here again", "canceled for good"],
            ["leads", "updated", "updated", "updated"],
            "canceled",
        ),
        (
            ["booked", "moved away", "moved here", "moved away again", "moved here again"],
            ["leads", "updated", "updated", "updated", "updated"],
            "booked",
        ),
        (["moved here", "moved here", "moved here again"], ["leads", "duplicate", "updated"], "booked"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, list) else value,
)
def test_a_cancellation_or_another_time_is_news_of_the_same_lead(
    web: Web, events: list[str], fates: list[str], meeting: str
) -> None:
    """I8, I18: never a second lead."""
    for event in events:
        post(web, VENDORS["calendly"], CHAIN[event])
        work(web)

    assert [row["fate"] for row in web.rows()] == fates
    assert lead_of(web)["custom"]["meeting"] == meeting


def test_the_events_of_one_meeting_in_one_batch_make_one_lead(web: Web) -> None:
    for event in CHAIN.values():
        post(web, VENDORS["calendly"], event)
    work(web)

    assert len(web.rows("SELECT id FROM lead")) == 1
    assert {row["state"] for row in web.rows()} == {"done"}


def test_calendlys_signature_is_good_for_five_minutes(web: Web) -> None:
    """I13."""
    body = invitee()
    for minutes in (-6, 6):
        stamp = str(int(time.time()) + 60 * minutes)
        signed = {"Calendly-Webhook-Signature": f"t={stamp},v1={hex_hmac(SECRET, stamp.encode() + b'.' + body)}"}

        answer = web.client.post("/in/calendly-door", data=body, content_type=JSON, headers=signed)

        assert answer.status_code == 401
    assert {row["verified"] for row in web.rows()} == {"no:time stale"}


def test_the_same_words_in_another_form_of_the_site_are_another_answer(web: Web) -> None:
    """I10: the key of a sender without ids is form and fields."""
    other = elementor_flat().replace(b"form_id=a1b2", b"form_id=c3d4")
    for body in (elementor_flat(), other):
        post(web, VENDORS["elementor"], body)

    assert [fate[1] for fate in work(web)] == ["leads", "leads"]


def test_entries_of_two_sites_do_not_collide(web: Web) -> None:
    """Gravity Forms counts entries by site: the host is part of the key."""
    post(web, VENDORS["gravity"], gravity())
    post(web, VENDORS["gravity"], gravity(source_url="https://shop.example.com/contact", **{"2": "b@feld.example"}))

    assert [fate[1] for fate in work(web)] == ["leads", "leads"]


def test_the_handshake_key_of_a_body_goes_nowhere(web: Web) -> None:
    """P10."""
    post(web, VENDORS["wufoo"], wufoo())
    work(web)

    assert SECRET not in json.dumps(lead_of(web))


def test_a_run_replayed_by_hand_is_told_by_its_idempotency_key(web: Web) -> None:
    vendor = VENDORS["tool"]
    for key in ("run-1", '"run-1"', "run-2"):
        post(web, vendor, compact({**FLAT, "zap_meta_human_now": key}), **{"Idempotency-Key": key})

    assert [fate[1] for fate in work(web)] == ["leads", "duplicate", "leads"]
