"""`hearback cards recipients` and `cards export`: tokens for a list, and the print house's file."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_support import Desk, desk_on, refused, wait_until

from connector.flows.mailing import fields_of
from connector.model.token import read_token
from connector.store import events, recipients

HEADER = "Kundennummer;Vorname;Nachname;Firma;Straße;PLZ;Ort;Land;E-Mail;Telefon;Sprache"
DAY = "2026-12-01"
MANY = 6_000


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = desk_on(database_url, tmp_path)
    with made.services():
        yield made


def row(number: object, **changed: str) -> str:
    cells = {
        "reference": f"K{number}",
        "first": "Greta",
        "last": "Ohlsen",
        "company": "Ohlsen Bau",
        "street": "Hafenstraße 3",
        "postal": "26122",
        "city": "Oldenburg",
        "country": "DE",
        "email": f"g{number}@ohlsen-bau.example",
        "phone": "+49 441 5550123",
        "language": "de",
        **changed,
    }
    return ";".join(cells.values())


def a_list(desk: Desk, *rows: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    file = desk.config.parent / name
    file.write_text("\n".join((HEADER, *rows, "")), encoding=encoding)
    return file


def load(desk: Desk, *arguments: object, campaign: str = "cordless-autumn-de"):
    return desk.run("cards", "recipients", campaign, *arguments)


def export(desk: Desk, file: Path, day: str = DAY):
    return desk.run("cards", "export", "cordless-autumn-de", file, "--sent", day)


def cards(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_recipient_of_a_list_gets_a_token_and_nobody_can_read_them_at_rest(desk: Desk) -> None:
    """C2; recipients are sealed like bodies (P10)."""
    result = load(desk, a_list(desk, row(1), row(2, first="Paul")))

    assert (result.exit_code, result.stdout) == (0, "2 recipients loaded, 0 were known.\n")
    rows = desk.query("SELECT token, reference, sealed FROM recipient ORDER BY reference")
    assert [each[1] for each in rows] == ["K1", "K2"]
    assert len({read_token(str(each[0])) for each in rows}) == 2
    assert not any(word in bytes(each[2]) for each in rows for word in (b"Ohlsen", b"g1@", b"Hafen"))
    with desk.services() as services, services.store.transaction() as tx:
        known = recipients.known(tx, "cordless-autumn-de", ["K2"])
    assert fields_of(services.vault, known["K2"])["first_name"] == "Paul"


def test_loading_again_changes_nothing_and_a_longer_list_adds_the_rest(desk: Desk) -> None:
    load(desk, a_list(desk, row(1)))
    before = desk.query("SELECT * FROM recipient")

    again = load(desk, a_list(desk, row(1)))
    more = load(desk, a_list(desk, row(1), row(2)))

    assert again.stdout == "0 recipients loaded, 1 were known.\n"
    assert more.stdout == "1 recipients loaded, 1 were known.\n"
    assert desk.query("SELECT * FROM recipient WHERE reference = 'K1'") == before


def test_every_mistake_of_a_list_is_told_at_once_and_nothing_is_loaded(desk: Desk) -> None:
    load(desk, a_list(desk, row(9)))
    file = a_list(
        desk,
        row(1),
        row(2, reference=""),
        row(1, first="Another"),
        row(4, first="", last="", company=""),
        row(5, street=""),
        row(6, email="nobody", language="klingon-ish"),
        "K7;too;short",
        row(9, last="Changed"),
    )

    result = load(desk, file)

    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5", "6", "7", "7", "8", "9"]
    assert all(line.startswith("list.csv:") for line in lines)
    assert "line 2 has the same" in lines[1]
    assert "loaded already with other data" in lines[-1]
    assert "8 mistakes: nothing was loaded" in result.stderr
    assert "nobody" not in lines[4].split("e-mail")[0]
    assert desk.query("SELECT count(*) FROM recipient") == [(1,)]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Vorname;Hobby", ("'Hobby'", "no column holds your own reference")),
        ("Kundennummer;Vorname;first name", ("several columns hold first_name",)),
    ],
)
def test_a_header_nobody_understands_is_refused_with_the_columns_there_are(
    desk: Desk, header: str, words: tuple[str, ...]
) -> None:
    file = desk.config.parent / "list.csv"
    file.write_text(header + "\n", encoding="utf-8")

    refused(load(desk, file), *words, "use the columns reference, first_name")


def test_a_list_in_another_encoding_says_so_and_is_read_with_it(desk: Desk) -> None:
    file = a_list(desk, row(1), encoding="cp1252")

    refused(load(desk, file), "line 1 is not utf-8", "--encoding")
    assert load(desk, file, "--encoding", "cp1252").exit_code == 0


def test_a_campaign_nobody_configured_is_named_with_those_that_are(desk: Desk) -> None:
    refused(load(desk, a_list(desk, row(1)), campaign="autumn"), "'autumn'", "cordless-autumn-de")


def test_a_list_is_loaded_in_the_middle_of_which_a_run_was_killed(desk: Desk) -> None:
    file = a_list(desk, *(row(number) for number in range(MANY)))
    killed = desk.start("cards", "recipients", "cordless-autumn-de", file)
    wait_until(lambda: desk.query("SELECT FROM recipient LIMIT 1") or killed.poll() is not None)
    killed.kill()
    killed.wait(20)
    ((before,),) = desk.query("SELECT count(*) FROM recipient")

    result = load(desk, file)

    assert 0 < int(str(before)) < MANY, "the kill came too late to show anything"
    assert result.stdout == f"{MANY - int(str(before))} recipients loaded, {before} were known.\n"


def test_the_print_house_gets_token_qr_key_code_and_address_and_no_more(desk: Desk) -> None:
    """C3, C4: neither e-mail nor phone is printed, so neither leaves the house."""
    load(desk, a_list(desk, row(1), row(2, country="", language="")))
    file = desk.config.parent / "print.csv"

    result = export(desk, file)

    first, second = cards(file)
    assert result.exit_code == 0
    assert f"2 cards written to {file}, sent on {DAY}." in result.stdout
    assert first["qr"] == f"HTTP://127.0.0.1:8650/R/{first['token']}"
    assert (first["key_code"], first["reference"]) == ("NH26-AK", "K1")
    assert (first["last_name"], first["street"], first["postal_code"]) == ("Ohlsen", "Hafenstraße 3", "26122")
    assert (second["country"], second["language"]) == ("", "")
    assert "@" not in file.read_text(encoding="utf-8")
    assert "5550123" not in file.read_text(encoding="utf-8")


def test_a_code_larger_than_version_2_is_announced(desk: Desk) -> None:
    """C3: at most 38 characters stay version 2-M."""
    load(desk, a_list(desk, row(1)))
    file = desk.config.parent / "print.csv"

    assert "QR content" not in export(desk, file).stdout
    desk.edit("hearback.yaml", "http://127.0.0.1:8650", "https://answers.nordhammer.example")
    with desk.services():
        longer = export(desk, file)

    assert "The QR content has up to 48 characters; 38 fit" in longer.stdout
    assert cards(file)[0]["qr"].startswith("HTTPS://ANSWERS.NORDHAMMER.EXAMPLE/R/")


def test_the_export_of_a_day_can_be_repeated_and_nobody_is_mailed_twice(desk: Desk) -> None:
    load(desk, a_list(desk, row(1), row(2)))
    file, other = desk.config.parent / "print.csv", desk.config.parent / "other.csv"
    export(desk, file)
    first = file.read_bytes()
    load(desk, a_list(desk, row(3)))

    export(desk, other, "2026-12-08")
    export(desk, file)
    third = export(desk, other, "2026-12-24")

    assert file.read_bytes() == first
    assert [card["reference"] for card in cards(other)] == ["K3"]
    refused(third, "were mailed already (2026-12-01, 2026-12-08)", "name that day")


def test_each_recipient_was_mailed_once_on_the_given_day_by_the_organisations_clock(desk: Desk) -> None:
    load(desk, a_list(desk, row(1)))
    export(desk, desk.config.parent / "print.csv")
    export(desk, desk.config.parent / "print.csv")
    ((recipient,),) = desk.query("SELECT id FROM recipient")

    with desk.services() as services, services.store.transaction() as tx:
        (event,) = events.of_record(tx, "mailing", "recipient", str(recipient))

    assert (event.type, event.occurred_at) == ("mailing.sent", datetime(2026, 11, 30, 23, tzinfo=UTC))
    assert event.attributes == {"campaign": "cordless-autumn-de"}


def test_an_export_without_recipients_says_how_to_load_them(desk: Desk) -> None:
    refused(export(desk, desk.config.parent / "print.csv"), "has no recipients", "hearback cards recipients")


def test_a_cell_of_the_export_runs_no_formula(desk: Desk) -> None:
    """I22."""
    load(desk, a_list(desk, row(1, company='=HYPERLINK("http://x.example")', street="@Weg 1")))
    file = desk.config.parent / "print.csv"

    export(desk, file)

    (card,) = cards(file)
    assert card["company"].startswith("'=")
    assert card["street"] == "'@Weg 1"


def test_anonymous_cards_have_a_serial_number_and_no_address(desk: Desk) -> None:
    load(desk, "--anonymous", 3)
    again = load(desk, "--anonymous", 5)
    file = desk.config.parent / "print.csv"
    export(desk, file)

    assert again.stdout == "2 recipients loaded, 3 were known.\n"
    assert [card["reference"] for card in cards(file)] == [f"serial-000000{number}" for number in range(1, 6)]
    assert {card["last_name"] for card in cards(file)} == {""}


@pytest.mark.parametrize("arguments", [(), ("FILE", "--anonymous", "3")])
def test_either_a_list_or_anonymous_cards(desk: Desk, arguments: tuple[str, ...]) -> None:
    file = a_list(desk, row(1))
    given = [file if each == "FILE" else each for each in arguments]

    assert load(desk, *given).exit_code == 2
