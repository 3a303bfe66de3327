"""`hearback sources test` and `sources learn`."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cli_support import NOWHERE, Desk, desk_on, refused
from source_samples import FOLDER, QUERIES, entry, fetches, kinds, sample_file

from connector.flows import intake
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services

KIND_OF_SOURCE = {"card_page": "card-page", "form": "website", "web_to_lead": "web-to-lead"}


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return desk_on(database_url, tmp_path)


def source_of(desk: Desk, kind: str) -> str:
    """Name a source of this kind; the sample organisation gets one if it has none."""
    key = KIND_OF_SOURCE.get(kind, kind)
    main = desk.config / "hearback.yaml"
    if f"\n  {key}:\n" not in main.read_text("utf-8"):
        desk.edit("hearback.yaml", "\nsources:\n", f"\nsources:\n{entry(kind, key)}")
    return key


def test_what_would_be_fetched_first_and_what_makes_no_lead_is_said(desk: Desk, tmp_path: Path) -> None:
    """A body that only names leads is no mistake; a trial asks no vendor and erases nothing."""
    event = {"subscriptionType": "contact.creation", "objectId": 5, "portalId": 3, "subscriptionId": 1}
    others = ({"subscriptionType": "contact.merge"}, {**event, "subscriptionType": "contact.privacyDeletion"})
    body = tmp_path / "events.json"
    body.write_text(json.dumps([{**event, "objectId": 4}, *others]), "utf-8")

    told = desk.run("sources", "test", body, "--source", source_of(desk, "hubspot_app"), HEARBACK_DATABASE_URL=NOWHERE)

    assert told.exit_code == 0
    assert "Fetched from the vendor before it is read: 4\n" in told.output
    assert "Besides: a notice of erasure: whatever came under notice:contact:3:5 would be erased\n" in told.output
    assert "Besides: nothing to do here: two contacts became one (contact.merge)" in told.output
    assert "unreadable" not in told.output


@pytest.mark.parametrize("kind", kinds())
def test_the_sample_of_each_kind_is_read_without_a_database(desk: Desk, kind: str) -> None:
    """Over the registry. Nothing is written: there is nowhere to write to."""
    query = ("--query", QUERIES[kind]) if kind in QUERIES else ()

    told = desk.run(
        "sources", "test", sample_file(kind), "--source", source_of(desk, kind), *query, HEARBACK_DATABASE_URL=NOWHERE
    )
    data = desk.run(
        "sources",
        "test",
        sample_file(kind),
        "--source",
        source_of(desk, kind),
        *query,
        "--json",
        HEARBACK_DATABASE_URL=NOWHERE,
    )

    assert told.exit_code == data.exit_code == 0, told.output
    trial = json.loads(data.stdout)
    assert trial["kind"] == kind
    assert trial["warnings"] == []
    assert fetches(kind) or trial["unreadable"] == ""


def test_a_form_is_shown_field_by_field(desk: Desk, tmp_path: Path) -> None:
    body = tmp_path / "post.urlencoded"
    body.write_text(
        urlencode(
            {
                "Vorname": "Nora",
                "tel": "030 23125001",
                "mail": "N@X.example",
                "haendler": "7",
                "einwilligung": "ja",
                "utm_source": "news",
            }
        )
    )

    [lead] = json.loads(desk.run("sources", "test", body, "--source", "website", "--json").stdout)["leads"]

    assert {f["field"]: (f["raw"], f["normalised"]) for f in lead["fields"]} == {
        "first_name": ("Nora", "Nora"),
        "email": ("N@X.example", "n@x.example"),
        "phone": ("030 23125001", "+493023125001"),
        "country": ("DE", "DE"),
        "language": ("de", "de"),
        "domain": ("", "x.example"),
    }
    assert lead["extra"] == {"dealer": "7"}
    assert lead["attribution"] == {"utm_source": "news"}
    (consent,) = lead["consents"]
    assert (consent["purpose"], consent["given"], consent["ticked"]) == ("email", True, None)
    assert lead["outcome"] == "a lead"
    assert lead["dedupe_key"].startswith("content:")


@pytest.mark.parametrize(
    ("secret", "says"),
    [("test-secret", "Verified: yes"), ("other", "Verified: no: wrong secret"), (None, "Verified: no: header missing")],
)
def test_the_failing_step_of_a_signature_is_named(desk: Desk, secret: str | None, says: str) -> None:
    """I14: the operator sees it."""
    file = FOLDER / "typeform_form_response.json"
    digest = base64.b64encode(hmac.digest((secret or "").encode(), file.read_bytes(), hashlib.sha256)).decode()
    header = ("--header", f"Typeform-Signature: sha256={digest}") if secret else ()

    told = desk.run("sources", "test", file, "--source", "typeform", *header)

    assert says in told.stdout


def test_an_unset_secret_is_no_failure(desk: Desk) -> None:
    told = desk.run(
        "sources", "test", FOLDER / "typeform_form_response.json", "--source", "typeform", HEARBACK_TYPEFORM_SECRET=None
    )

    assert "not checked: HEARBACK_TYPEFORM_SECRET is not set here" in told.stdout


def test_a_wrong_source_an_unreadable_body_and_a_suspicion_say_why(desk: Desk, tmp_path: Path) -> None:
    """I3, I7, I26."""
    bot = tmp_path / "bot.urlencoded"
    bot.write_text("email=a%40x.example&website=http%3A%2F%2Fspam")
    broken = tmp_path / "broken.json"
    broken.write_text('{"a": ')

    wrong = desk.run("sources", "test", FOLDER / "typeform_form_response.json", "--source", "website").stdout
    unreadable = desk.run("sources", "test", broken, "--source", "website").stdout
    suspect = desk.run("sources", "test", bot, "--source", "website").stdout

    assert "it looks like Typeform, and the source is set to form: set kind: typeform" in wrong
    assert "Set aside, unreadable: the body is not JSON" in unreadable
    assert "set aside for a person: score 100, set aside from 100: the hidden field" in suspect


def test_a_captured_request_brings_its_headers_and_query(desk: Desk, tmp_path: Path) -> None:
    desk.edit(
        "hearback.yaml",
        "    honeypot: website\n    # Field",
        '    honeypot: website\n    dedupe_key: ["header:x-id", "query:form"]\n    # Field',
    )
    file = tmp_path / "post.http"
    file.write_text(
        'POST /in/token?form=7 HTTP/1.1\nX-Id: r|1\nContent-Type: application/json\n\n{"email": "a@x.example"}'
    )

    [lead] = json.loads(desk.run("sources", "test", file, "--source", "website", "--json").stdout)["leads"]

    assert lead["dedupe_key"] == "key:r\\|1|7"


def test_wrong_use_is_one_clear_line(desk: Desk, tmp_path: Path) -> None:
    headless = tmp_path / "a.http"
    headless.write_text("email=a")

    refused(desk.run("sources", "test", headless, "--source", "fax"), "no source is called 'fax'", "website")
    refused(desk.run("sources", "test", headless, "--source", "website"), "no empty line")
    refused(desk.run("sources", "test", FOLDER / "README.md", "--source", "website", "--header", "x"), "no header")


@pytest.fixture
def worker(desk: Desk) -> Iterator[Services]:
    with desk.services() as services:
        yield services


def post(services: Services, source: str, body: bytes, content_type: str, *, suspect: str = "") -> None:
    accept(services, Delivery(new_id(), source, datetime.now(UTC), content_type, body, {}, {}), suspect=suspect)


PEOPLE = [
    ("Nora Feld", "nora@geheim.example", "10115"),
    ("Jan Kos", "jan@geheim.example", "20095"),
    ("Ida Ott", "ida@geheim.example", "80331"),
]


def test_a_mapping_is_proposed_without_a_value_and_the_folder_takes_it(desk: Desk, worker: Services) -> None:
    """I19: from the last deliveries, those that were set aside too."""
    for number, (name, email, code) in enumerate(PEOPLE):
        fields = {"wer": name, "antwort adr": email, "feld 2": code, "Firma": "Geheim GmbH", "yes": "", email: "1"}
        post(
            worker,
            "website-us",
            urlencode(fields).encode(),
            "application/x-www-form-urlencoded",
            suspect="later" if number else "",
        )
    post(worker, "website-us", b'{"a": ', "application/json")
    intake.work(worker)

    told = desk.run("sources", "learn", "website-us")
    lines = json.loads(desk.run("sources", "learn", "website-us", "--json").stdout)["lines"]

    assert {line["name"]: line["target"] for line in lines} == {
        "Firma": "company",
        "antwort adr": "email",
        "feld 2": "postal_code",
        "wer": "custom.wer",
        "yes": "custom.yes",
    }
    assert "# 4 deliveries of website-us, 1 of them unreadable" in told.stdout
    assert "# 3 names are not shown: they look like answers" in told.stdout
    for secret in ("geheim", "Geheim", "Nora", "Feld", "10115"):
        assert secret not in told.stdout
    pasted = "".join(f"      {line.strip()}\n" for line in told.stdout.split("mapping:\n")[1].splitlines())
    desk.edit("hearback.yaml", "      opt_in: consent.email\n", f"      opt_in: consent.email\n{pasted}")
    assert desk.run("check").exit_code == 0, pasted


def test_a_vendors_questions_are_proposed_by_the_names_a_mapping_knows(desk: Desk, worker: Services) -> None:
    body = json.loads((FOLDER / "typeform_form_response.json").read_text("utf-8"))
    for question in body["form_response"]["definition"]["fields"]:
        question["title"] = question["ref"] = f"frage {question['id']}"
    for answer in body["form_response"]["answers"]:
        answer["field"]["ref"] = f"frage {answer['field']['id']}"
    post(worker, "typeform", json.dumps(body).encode(), "application/json")

    lines = json.loads(desk.run("sources", "learn", "typeform", "--json").stdout)["lines"]

    assert lines
    assert all(line["name"].startswith("frage ") or line["name"] in ("seats", "score", "product") for line in lines)


def test_only_so_many_are_looked_at_and_an_unknown_source_is_refused(desk: Desk, worker: Services) -> None:
    for number in range(4):
        post(worker, "website", f"name{number}=x".encode(), "application/x-www-form-urlencoded")

    lines = json.loads(desk.run("sources", "learn", "website", "--last", "2", "--json").stdout)["lines"]

    assert [line["name"] for line in lines] == ["name3", "name2"]
    refused(desk.run("sources", "learn", "fax"), "no source is called 'fax'")
    assert desk.run("sources", "learn", "website-us").stdout.splitlines()[-1] == "# No names to map."
