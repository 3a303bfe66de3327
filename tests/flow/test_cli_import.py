"""`hearback import cards`: every card once, also after an interruption; what cannot be read comes back."""

import csv
import os
import pty
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cli_support import Desk, desk_on, refused, wait_until

from connector.cli.sheets import safe_cell
from connector.flows import intake

HEADER = (
    "Lfd. Nr.;Aktionscode;Eingang;Vorname;Nachname;Firma;Straße;PLZ;Ort;Telefon;E-Mail;Interesse;Bemerkung;Einwilligung"
)
MANY = 12_000


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = desk_on(database_url, tmp_path)
    with made.services():
        yield made


def card(number: int, *, key_code: str = "NH26-AK", name: str = "Albers") -> str:
    email = f"karte{number}@albers.example"
    return f"{number};{key_code};12.11.2026;Heinz;{name};;Hafenstraße 3;26122;Oldenburg;;{email};cordless;;ja"


def a_file(desk: Desk, *rows: str, name: str = "batch-0417.csv") -> Path:
    file = desk.config.parent / name
    file.write_text("\n".join((HEADER, *rows, "")), encoding="cp1252")
    return file


def take_in(desk: Desk, file: Path, *options: str):
    return desk.run("import", "cards", file, "--profile", "postdruck-bremen", *options)


def rejects(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def stored(desk: Desk) -> int:
    ((count,),) = desk.query("SELECT count(*) FROM delivery")
    return int(str(count))


def read_to_the_end(terminal: int) -> str:
    drawn = b""
    # Linux says that the other side is closed by an input/output error.
    with suppress(OSError):
        while part := os.read(terminal, 65536):
            drawn += part
    os.close(terminal)
    return drawn.decode()


def test_a_batch_becomes_deliveries_and_leads(desk: Desk) -> None:
    result = take_in(desk, a_file(desk, card(1), card(2), card(3)))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "3 cards stored, 0 were known, 0 rejected.\n"
    with desk.services() as services:
        assert intake.work(services) == 3
    assert desk.query("SELECT args->>'job' FROM procrastinate_jobs") == [("intake",)]
    assert len(desk.query("SELECT FROM lead")) == 3


def test_the_same_file_again_stores_nothing(desk: Desk) -> None:
    """Requirement C17: a card is known by house, batch and record."""
    file = a_file(desk, card(1), card(2))
    take_in(desk, file)

    again = take_in(desk, file)

    assert again.exit_code == 0
    assert again.stdout == "0 cards stored, 2 were known, 0 rejected.\n"
    assert stored(desk) == 2


def test_another_batch_may_count_from_one_again(desk: Desk) -> None:
    file = a_file(desk, card(1))
    take_in(desk, file)

    other = take_in(desk, file, "--batch", "second-mailing")

    assert other.stdout.startswith("1 cards stored, 0 were known")


def test_rows_that_cannot_be_read_come_back_with_line_and_reason(desk: Desk) -> None:
    file = a_file(desk, card(1), card(2, key_code=""), "3;NH26-AK;too short", card(4))

    result = take_in(desk, file)

    assert result.exit_code == 1
    assert "2 cards stored, 0 were known, 2 rejected." in result.stdout
    target = file.with_suffix(".rejects.csv")
    assert str(target) in result.stdout
    rows = rejects(target)
    assert [(row["line"], row["reason"]) for row in rows] == [
        ("3", "no key code"),
        ("4", "3 columns where the header has 14"),
    ]
    assert rows[0]["text"].startswith("2;;12.11.2026;Heinz")


def test_a_reject_file_never_runs_a_formula(desk: Desk) -> None:
    """Requirement I22, CWE-1236."""
    evil = '=HYPERLINK("http://x.example";"click")'
    file = a_file(desk, f"{evil};;;;;;;;;;;;;", "+49 1;only;three", "@SUM(A1)", "-1;two")

    take_in(desk, file)

    rows = rejects(file.with_suffix(".rejects.csv"))
    assert len(rows) == 4
    assert all(row["text"].startswith("'") for row in rows)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"])
def test_a_cell_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "1;NH26", "Müller", "a=b", "'=1"])
def test_a_harmless_cell_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_a_reject_file_that_cannot_be_written_is_one_clear_line(desk: Desk) -> None:
    file = a_file(desk, card(1, key_code=""))
    file.with_suffix(".rejects.csv").mkdir()

    result = take_in(desk, file)

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_profile_nobody_configured_is_named_with_those_that_are(desk: Desk) -> None:
    file = a_file(desk, card(1))

    refused(desk.run("import", "cards", file, "--profile", "postdruck"), "postdruck", "midwest-mail, postdruck-bremen")


def test_a_file_of_another_house_is_refused_before_anything_is_stored(desk: Desk) -> None:
    file = a_file(desk, card(1))

    refused(desk.run("import", "cards", file, "--profile", "midwest-mail"), "first line", "encoding")

    assert stored(desk) == 0


def test_a_card_with_a_key_code_nobody_knows_waits_for_a_person(desk: Desk) -> None:
    take_in(desk, a_file(desk, card(1, key_code="UNKNOWN")))

    with desk.services() as services:
        intake.work(services)

    assert desk.query("SELECT state FROM delivery") == [("quarantined",)]


def test_an_import_killed_in_the_middle_goes_on_where_it_was_and_takes_each_card_once(desk: Desk) -> None:
    file = a_file(desk, *(card(number) for number in range(1, MANY + 1)))
    killed = desk.start("import", "cards", file, "--profile", "postdruck-bremen")
    wait_until(lambda: stored(desk) or killed.poll() is not None)
    killed.kill()
    killed.wait(20)
    before = stored(desk)

    result = take_in(desk, file)

    assert 0 < before < MANY, "the kill came too late to show anything"
    assert result.stdout == f"{MANY - before} cards stored, {before} were known, 0 rejected.\n"
    assert stored(desk) == MANY
    assert desk.query("SELECT count(DISTINCT delivery_id) FROM delivery_body") == [(MANY,)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_is_shown_on_a_terminal_and_nowhere_else(desk: Desk) -> None:
    file = a_file(desk, *(card(number) for number in range(1, 3_001)))
    ours, theirs = pty.openpty()
    desk.environment |= {"TERM": "xterm", "COLUMNS": "120"}
    shown = desk.start("import", "cards", file, "--profile", "postdruck-bremen", stderr=theirs)
    os.close(theirs)
    drawn = read_to_the_end(ours)
    shown.wait(60)

    plain = take_in(desk, file)

    assert file.name in drawn
    assert "━" in drawn
    assert plain.stderr == ""
