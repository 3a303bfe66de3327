"""`hearback consents`, `export` and `erase`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
from cli_support import Desk, desk_on, refused

from connector.flows import intake
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services

WHO = ("--email", "Greta@ohlsen.example")
SAID = {"vorname": "Greta", "nachname": "Ohlsen", "email": "greta@ohlsen.example", "plz": "20095", "einwilligung": "on"}


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = desk_on(database_url, tmp_path)
    with made.services() as services:
        posted(services, **SAID)
        intake.work(services)
        yield made


def posted(services: Services, **said: str) -> UUID:
    form = "application/x-www-form-urlencoded"
    return accept(services, Delivery(new_id(), "website", datetime.now(UTC), form, urlencode(said).encode(), {}, {}))


def test_erase_shows_the_consequence_asks_and_erases(desk: Desk) -> None:
    dry = desk.run("erase", *WHO, "--dry-run")
    declined = desk.run("erase", *WHO, said="n\n")
    assert (dry.exit_code, declined.exit_code) == (0, 1)
    assert "Held of this person:\n  deliveries         1\n  bodies             1\n" in dry.stdout
    assert desk.query("SELECT count(*) FROM delivery_body") == [(1,)]
    assert desk.query("SELECT count(*) FROM erasure") == [(0,)]

    done = desk.run("erase", *WHO, "--by", "ticket 12", said="y\n")

    assert done.exit_code == 0, done.output
    assert "Erase all this for good? [y/N]: y\nErased:\n" in done.stdout
    assert "Backups of the database" in done.stdout
    assert "ohlsen" not in done.output.casefold()
    assert desk.query("SELECT asked_by, counts ->> 'leads' FROM erasure") == [("ticket 12", "1")]
    assert desk.query("SELECT data::text FROM lead") == [("{}",)]

    again = desk.run("erase", *WHO, "--yes", "--json")
    assert json.loads(again.stdout)["counts"] == {}


def test_what_nobody_has_read_is_named_and_read_first(desk: Desk) -> None:
    with desk.services() as services:
        posted(services, **{**SAID, "nachricht": "again"})

    assert "1 deliveries are not read yet" in desk.run("erase", *WHO, "--dry-run").stdout
    desk.run("erase", *WHO, "--yes")

    assert desk.query("SELECT DISTINCT fate FROM delivery") == [("erased",)]


def test_export_is_json_of_everything(desk: Desk) -> None:
    held = json.loads(desk.run("export", *WHO).stdout)

    assert held["leads"][0]["data"]["last_name"] == "Ohlsen"
    assert "greta%40ohlsen.example" in held["bodies"][0]["body"]


def test_consents_are_listed(desk: Desk) -> None:
    listed = json.loads(desk.run("consents", "list", *WHO, "--json").stdout)

    assert [(each["purpose"], each["state"], each["default_state"]) for each in listed] == [
        ("email", "given", "unknown")
    ]
    assert "given" in desk.run("consents", "list", *WHO).stdout


@pytest.mark.parametrize("command", [("erase",), ("export",), ("consents", "list")], ids=" ".join)
@pytest.mark.parametrize(
    ("who", "word"),
    [((), "--email or --phone"), (("--email", "greta"), "is not one"), (("--phone", "12"), "is not one")],
)
def test_nobody_is_guessed(desk: Desk, command: tuple[str, ...], who: tuple[str, ...], word: str) -> None:
    refused(desk.run(*command, *who), word)


def test_somebody_unknown_is_told_so(desk: Desk) -> None:
    told = desk.run("erase", "--email", "nobody@nowhere.example", "--dry-run")

    assert told.stdout == "Nothing is held of this person.\n"
