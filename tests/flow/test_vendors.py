"""Every vendor's deliveries from the door to their fate (issue: for each vendor the same six stories).

A vendor is data: `vendors_*.py`. Add one there and every test here runs for it.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import vendors_forms
from vendor import Vendor
from web_support import SECRET_KEY, Web, fresh_database, web_of
from werkzeug.test import TestResponse

from connector import publishing
from connector.flows import intake, read
from connector.services import Services
from connector.settings import default_folder
from connector.sources.base import Source
from connector.store import Store, deliveries
from connector.vault import Vault

PUBLIC = "https://leads.example.com"
VENDORS = (*vendors_forms.VENDORS,)
#: Configured beside them, for single tests.
ODD = (replace(vendors_forms.VENDORS[0], secrets=("of-no-use",), name="fillout-with-a-secret"),)
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.key)
every_proving_vendor = pytest.mark.parametrize(
    "vendor", [vendor for vendor in VENDORS if vendor.secrets], ids=lambda vendor: vendor.key
)


@pytest.fixture(scope="module")
def services(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("vendors") / "config"
    shutil.copytree(default_folder(), folder)
    file = folder / "hearback.yaml"
    text = file.read_text("utf-8").replace("http://127.0.0.1:8650", PUBLIC)
    file.write_text(text.replace("sources:\n", "sources:\n" + "".join(v.yaml() for v in (*VENDORS, *ODD)), 1), "utf-8")
    with fresh_database(postgres, template) as url, Store(url, size=4, lock_timeout_ms=1500) as store:
        published = publishing.publish(store, folder)
        assert published.hash, published.complaints
        environ = {name: text for vendor in (*VENDORS, *ODD) for name, text in vendor.environ().items()}
        yield Services(store, Vault(SECRET_KEY), environ=environ)


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


def post(web: Web, vendor: Vendor, body: bytes, signed: bytes | None = None) -> TestResponse:
    """Post a body with the signature of what the vendor signed."""
    address = f"{vendor.address}?from=here%2Fthere"
    headers = vendor.sign(signed or body, PUBLIC + address, time.time()) if vendor.sign else {}
    return web.client.post(address, data=body, content_type=vendor.content_type(body), headers=headers)


def work(web: Web) -> None:
    while intake.work(web.services):
        pass


def leads(web: Web) -> list[dict[str, Any]]:
    return web.rows("SELECT * FROM lead ORDER BY id")


def commands_of(web: Web, lead: UUID) -> int:
    return int(web.rows(f"SELECT count(*) AS n FROM command WHERE lead_id = '{lead}'")[0]["n"])


@every_vendor
def test_a_delivery_becomes_a_lead_on_its_way_to_the_crm(web: Web, vendor: Vendor) -> None:
    """I1: exactly 200 and a short text; I16."""
    answer = post(web, vendor, vendor.body(vendor.lead))
    work(web)

    (row,) = web.rows()
    (lead,) = leads(web)
    assert (answer.status_code, answer.text) == (200, f"ok {row['id']}\n")
    assert row["verified"] == ("yes" if vendor.secrets else "none")
    assert (row["state"], row["fate"], row["is_test"]) == ("done", "leads", False), row["reason"]
    assert {name: lead["data"].get(name) for name in vendor.expected} == vendor.expected
    assert commands_of(web, lead["id"]) > 0


@every_vendor
def test_what_is_stored_can_be_verified_and_read_again(web: Web, vendor: Vendor) -> None:
    """I4: headers and address that prove a delivery are kept with it, so a replay equals the first run."""
    post(web, vendor, vendor.body(vendor.lead))
    with web.services.store.transaction() as tx:
        (stored,) = deliveries.claim(tx, "lead", 1)
    delivery = read.open_delivery(web.services, stored)
    reader = reader_of(web, vendor)

    reader.verify(delivery, vendor.secrets, datetime.now(UTC))
    assert delivery.url.startswith(f"{PUBLIC}{vendor.address}?from=")


def reader_of(web: Web, vendor: Vendor) -> Source:
    door = web.client.application.extensions["hearback"].keeper.doors().by_token(vendor.token)
    assert door is not None
    return door.reader


@every_vendor
def test_a_redelivery_is_answered_alike_and_linked_to_the_first(web: Web, vendor: Vendor) -> None:
    """I8, I11: also when it is signed anew."""
    answers = [post(web, vendor, vendor.body(vendor.lead)) for _ in range(2)]
    work(web)
    answers.append(post(web, vendor, vendor.body(vendor.lead)))
    work(web)

    first, *others = web.rows()
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert first["fate"] == "leads"
    assert [(row["fate"], row["first_delivery"]) for row in others] == [("duplicate", first["id"])] * 2
    assert len(leads(web)) == 1


@every_proving_vendor
def test_a_tampered_delivery_is_refused_and_kept_for_the_operator(web: Web, vendor: Vendor) -> None:
    """I14: 401, the step for the operator only, and never a lead."""
    body = vendor.body(vendor.lead)
    forged = body.replace(*vendor.tamper)
    assert forged != body

    answer = post(web, vendor, forged, signed=body)
    work(web)

    (row,) = web.rows()
    assert answer.status_code == 401
    assert (row["state"], row["verified"][:3]) == ("quarantined", "no:")
    assert row["verified"].removeprefix("no:") not in answer.text
    assert leads(web) == []


@every_proving_vendor
def test_a_delivery_without_its_proof_is_refused(web: Web, vendor: Vendor) -> None:
    """I14."""
    body = vendor.body(vendor.lead) if vendor.sign else b'{"lead_id": "1"}'

    answer = web.client.post(vendor.address, data=body, content_type=vendor.content_type(body))

    (row,) = web.rows()
    assert answer.status_code == 401
    assert "missing" in row["reason"]


@every_vendor
def test_a_test_takes_the_whole_way_but_writes_nothing(web: Web, vendor: Vendor) -> None:
    """I17."""
    post(web, vendor, vendor.body(vendor.test))
    work(web)

    (row,) = web.rows()
    (lead,) = leads(web)
    assert (row["fate"], row["is_test"]) == ("leads", True), row["reason"]
    assert commands_of(web, lead["id"]) == 0


@every_vendor
def test_a_body_nobody_can_read_is_kept_with_its_reason(web: Web, vendor: Vendor) -> None:
    """I7: the normal answer, then quarantine; a proof inside such a body cannot be read either."""
    answer = post(web, vendor, vendor.body(vendor.malformed))
    work(web)

    (row,) = web.rows()
    assert answer.status_code == vendor.malformed_status
    assert row["state"] == "quarantined"
    assert row["reason"].startswith("unreadable" if answer.status_code == 200 else "not authentic")
    assert leads(web) == []


def vendor_named(key: str) -> Vendor:
    return next(vendor for vendor in (*VENDORS, *ODD) if vendor.key == key)


def test_every_test_lead_of_an_ad_is_seen(web: Web) -> None:
    """All of them share one id; dedupe must not hide any."""
    vendor = vendor_named("google-ads")
    for _ in range(2):
        post(web, vendor, vendor.body(vendor.test))
        work(web)

    assert [(row["fate"], row["is_test"]) for row in web.rows()] == [("leads", True)] * 2


def test_an_edited_submission_updates_its_lead(web: Web) -> None:
    """I8, I18: an edit is no second lead, and the older version coming late changes nothing."""
    vendor = vendor_named("fillout")
    for file in ("lead.json", "edited.json", "lead.json"):
        post(web, vendor, vendor.body(file))
        work(web)

    (lead,) = leads(web)
    assert [row["fate"] for row in web.rows()] == ["leads", "updated", "duplicate"]
    assert lead["data"]["email"] == "pia.holm@holm.example"


def test_a_secret_that_is_named_but_not_set_does_not_open_a_door_that_may_do_without(web: Web) -> None:
    """I13: fail closed."""
    vendor = vendor_named("webflow")
    unset = {name: text for name, text in web.services.environ.items() if not name.startswith("WEBFLOW_SECRET")}
    client = web_of(Services(web.services.store, web.services.vault, environ=unset)).client
    body = vendor.body(vendor.lead)

    answer = client.post(vendor.address, data=body, content_type=vendor.media)

    assert answer.status_code == 401
    assert web.rows()[0]["verified"] == "no:no secret configured"


def test_a_secret_nobody_needs_closes_no_door_when_it_is_not_set(web: Web) -> None:
    """Its senders sign nothing; `hearback check` warns of it."""
    vendor = vendor_named("fillout-with-a-secret")
    unset = {name: text for name, text in web.services.environ.items() if not name.endswith("_SECRET_A")}
    client = web_of(Services(web.services.store, web.services.vault, environ=unset)).client

    answer = client.post(vendor.address, data=vendor.body(vendor.lead), content_type=vendor.media)

    assert answer.status_code == 200


def test_an_older_signature_is_refused_where_the_source_does_not_accept_it(web: Web) -> None:
    old, new = vendor_named("hubspot-workflow-v2"), vendor_named("hubspot-workflow")
    body = new.body(new.lead)
    assert old.sign

    answer = web.client.post(
        new.address, data=body, content_type=new.media, headers=old.sign(body, PUBLIC + new.address, time.time())
    )

    assert answer.status_code == 401


def test_the_signed_address_is_ours_whatever_host_the_request_names(web: Web) -> None:
    """Behind a proxy the request shows an inner host; a sender that lies about it gains nothing."""
    vendor = vendor_named("hubspot-workflow")
    body = vendor.body(vendor.lead)
    assert vendor.sign
    headers = vendor.sign(body, PUBLIC + vendor.address, time.time())
    forged = vendor.sign(body, "https://evil.example" + vendor.address, time.time())
    inner = {"Host": "10.0.0.7:8650", "X-Forwarded-Host": "evil.example"}

    answers = [
        web.client.post(vendor.address, data=body, content_type=vendor.media, headers={**signed, **inner})
        for signed in (headers, forged, {**forged, "Host": "evil.example"})
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 401]


def test_every_kind_with_a_payload_folder_is_tried_here() -> None:
    folders = {path.name for path in (Path(__file__).parent.parent / "payloads").iterdir() if path.is_dir()}

    assert folders - {"intake", "hubspot_app"} == {vendor.kind for vendor in VENDORS}
