"""The demo's submissions: real-shaped posts through five doors."""

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import requests

from connector.cli.demo.stage import Stage, session
from connector.flows import reading
from connector.flows.importing import Receipt, Result, import_cards
from connector.services import Services
from connector.store import commands

FORM = "application/x-www-form-urlencoded"
#: The customer whose purchase the demo follows.
BUYER = "jan.kowalski@kowalski-narzedzia.example"


@dataclass(frozen=True, slots=True)
class Post:
    """One submission: the door, what to call it in the table, and the answer it got."""

    door: str
    label: str
    answer: str
    receipt: UUID | None = None


def post_everything(services: Services, stage: Stage) -> list[Post]:
    """Post through every door; return the answers in order."""
    posts = []
    with session() as browser:
        for send in (_forms, _web_to_lead, _typeform, _api):
            posts.extend(send(browser, stage))
    posts.extend(_cards(services, stage))
    return posts


def wait_for_fates(services: Services, stop: threading.Event, patience: float) -> bool:
    """Wait until nothing is left to work and every command has reached the CRM."""
    deadline = time.monotonic() + patience
    while not stop.is_set() and time.monotonic() < deadline:
        stored = [row for row in reading.deliveries(services, limit=500) if row.state == "stored"]
        if not stored and not _backlog(services):
            return True
        time.sleep(0.1)
    return False


def _backlog(services: Services) -> int:
    with services.store.transaction() as tx:
        return sum(commands.backlog(tx).values())


def _forms(browser: requests.Session, stage: Stage) -> list[Post]:
    de, us = (f"{stage.url}/in/{os.environ[name]}" for name in ("HEARBACK_FORM_TOKEN", "HEARBACK_FORM_US_TOKEN"))
    jan = {"vorname": "Jan", "nachname": "Kowalski", "email": BUYER, "telefon": "+48 22 555 01 01", "plz": "00-950"}
    jan |= {"firma": "Kowalski Narzędzia", "land": "Polska", "sprache": "pl", "einwilligung": "on"}
    greta = {"vorname": "Greta", "nachname": "Ohlsen", "email": "g.ohlsen@ohlsen-bau.example", "plz": "20095"}
    bot = {"vorname": "SEO", "email": "win@cheap-links.example", "nachricht": "Rank #1!", "website": "http://x.example"}
    amy = {"first_name": "Amy", "last_name": "Tran", "email": "amy@trancarpentry.example", "zip": "94103"}
    noah = {"first_name": "Noah", "last_name": "Reed", "email": "noah@reedroofing.example", "zip": "10001"}
    posts = [
        (de, "Jan Kowalski", jan),
        (de, "Greta Ohlsen", greta | {"firma": "Ohlsen Bau GmbH"}),
        (de, "a bot in the honeypot", bot),
        (us, "Amy Tran", amy | {"company": "Tran Carpentry"}),
        (us, "Noah Reed", noah | {"company": "Reed Roofing"}),
        (de, "Jan Kowalski, again", jan | {"nachricht": "Proszę o katalog", "position": "Szef"}),
    ]
    headers = {"Content-Type": FORM, "Origin": "https://www.nordhammer.example"}
    return [
        _sent(browser, "HTML form", label, url, urlencode(fields).encode(), headers) for url, label, fields in posts
    ]


def _web_to_lead(browser: requests.Session, stage: Stage) -> list[Post]:
    url = f"{stage.url}/servlet/servlet.WebToLead?encoding=UTF-8"
    fixed = {"oid": "00DXX0000000001", "retURL": "https://www.example.com/thanks", "lead_source": "Web"}
    people = [
        {
            "first_name": "Maria",
            "last_name": "Vogt",
            "email": "m.vogt@vogt-dach.example",
            "zip": "80331",
            "country": "DE",
        },
        {
            "first_name": "Luis",
            "last_name": "Ortega",
            "email": "luis@ortegabuild.example",
            "zip": "33101",
            "country": "US",
        },
    ]
    return [
        _sent(
            browser,
            "Web-to-Lead",
            f"{person['first_name']} {person['last_name']}",
            url,
            urlencode(fixed | person).encode(),
            {"Content-Type": FORM},
        )
        for person in people
    ]


def _typeform(browser: requests.Session, stage: Stage) -> list[Post]:
    url = f"{stage.url}/in/{os.environ['HEARBACK_TYPEFORM_TOKEN']}"
    posts = []
    for number, (first, last, email, plz) in enumerate(
        [("Paul", "Adler", "paul@adler-holz.example", "10115"), ("Nora", "Fink", "nora@fink-metall.example", "50667")]
    ):
        body = json.dumps(typeform_response(f"demo{number}", first, last, email, plz)).encode()
        digest = hmac.digest(os.environ["HEARBACK_TYPEFORM_SECRET"].encode(), body, hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "Typeform-Signature": "sha256=" + base64.b64encode(digest).decode(),
        }
        posts.append(_sent(browser, "Typeform", f"{first} {last}", url, body, headers))
    return posts


def typeform_response(token: str, first: str, last: str, email: str, plz: str) -> dict[str, Any]:
    """Return a form response of the vendor's shape."""
    answers = {"vorname": first, "nachname": last, "email": email, "plz": plz, "land": "DE"}
    fields = [{"id": f"f{n}", "ref": ref, "type": "short_text", "title": ref} for n, ref in enumerate(answers)]
    return {
        "event_id": f"event-{token}",
        "event_type": "form_response",
        "form_response": {
            "form_id": "frmDemo",
            "token": token,
            "submitted_at": "2026-09-16T12:00:00Z",
            "definition": {"id": "frmDemo", "title": "Product finder", "fields": fields},
            "answers": [
                {"type": "text", "text": value, "field": {"id": f"f{n}", "ref": ref, "type": "short_text"}}
                for n, (ref, value) in enumerate(answers.items())
            ],
        },
    }


def _api(browser: requests.Session, stage: Stage) -> list[Post]:
    names = ("first_name", "last_name", "email", "postal_code", "country", "product")
    people = [
        ("Ida", "Krause", "ida@krause-geo.example", "04109", "DE", "measuring"),
        ("Ole", "Brandt", "ole@brandt-geo.example", "04229", "DE", "measuring"),
        ("Ewa", "Nowak", "ewa@nowak-budowa.example", "31-001", "PL", "storage"),
    ]
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['HEARBACK_API_KEY']}"}
    return [
        _sent(
            browser,
            "API",
            f"{person[0]} {person[1]}",
            f"{stage.url}/api/v1/leads",
            json.dumps(dict(zip(names, person, strict=True))).encode(),
            headers | {"Idempotency-Key": f"demo-{number}"},
        )
        for number, person in enumerate(people)
    ]


def _cards(services: Services, stage: Stage) -> list[Post]:
    file = stage.folder / "batch-0417.csv"
    file.write_bytes(CARDS.encode("cp1252"))
    refused: list[Receipt] = []

    def keep(receipt: Receipt) -> None:
        if receipt.result is Result.REJECTED:
            refused.append(receipt)

    import_cards(services, file, profile="postdruck-bremen", receipt=keep)
    posts = [Post("card batch", label, "stored") for label in ("Heinz Albers", "Uta Lorenz", "a card left blank")]
    return [*posts, *(Post("card batch", f"line {r.line}", f"refused: {r.reason}") for r in refused)]


CARDS = """\
Lfd. Nr.;Aktionscode;Eingang;Vorname;Nachname;Firma;Straße;PLZ;Ort;Telefon;E-Mail;Interesse;Bemerkung;Einwilligung
1;NH26-AK;12.11.2026;Heinz;Albers;Holz Albers;Hafenstraße 3;26122;Oldenburg;0441 5550101;;cordless;Bitte anrufen;ja
2;NH26-AK;12.11.2026;Uta;Lorenz;Lorenz Metallbau;Ring 9;90402;Nürnberg;;u.lorenz@lorenz-metall.example;cordless;;ja
3;NH26-AK;13.11.2026;;;;;;;;;cordless;;
4;;13.11.2026;Otto;Maas;;;28195;Bremen;0421 5550102;;;;
"""


def _sent(browser: requests.Session, door: str, label: str, url: str, body: bytes, headers: Mapping[str, str]) -> Post:
    answer = browser.post(
        url,
        data=body,
        headers={"Accept": "application/json", **headers},
        allow_redirects=False,
        timeout=15,
    )
    return Post(door, label, str(answer.status_code), _receipt(answer))


def _receipt(answer: requests.Response) -> UUID | None:
    readers: list[Callable[[], str]] = [
        lambda: str(answer.json()["receipt"]),
        lambda: answer.text.split()[-1],
    ]
    for read in readers:
        try:
            return UUID(read())
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return None
