"""C17: a mail house's batch is whole, taken once however often it is killed, and answered row by row."""

import csv
import json
import os
import pty
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli_support import Desk, desk_on, refused
from test_cli_import import read_to_the_end

from connector.flows import intake

FULL = os.environ.get("HEARBACK_FULL") == "1"
ROWS = 100_000 if FULL else 8_000
#: Where runs are killed, as shares of what is left.
SEEDS = (7, 11, 13, 17) if FULL else (7, 11)
MOST_MEMORY = 300 * 1024 * 1024
PROFILES = """
  counted:
    delimiter: tab
    trailer: END
    columns:
      No: record
      Code: key_code
      Name: last_name
      Mail: email

  fixed:
    encoding: cp1250
    date_format: "%Y%m%d"
    widths:
      No: 5
      Code: 8
      Day: 8
      Keyed: 8
      Name: 12
      Mail: 24
    trailer: "9999"
    columns:
      No: record
      Code: key_code
      Day: answered_on
      Keyed: keyed_on
      Name: last_name
      Mail: email
"""


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = desk_on(database_url, tmp_path)
    made.edit("hearback.yaml", "card_profiles:\n", f"card_profiles:{PROFILES}")
    with made.services():
        yield made


def a_file(desk: Desk, *lines: str, name: str = "b7.txt", encoding: str = "utf-8") -> Path:
    file = desk.config.parent / name
    file.write_text("\n".join((*lines, "")), encoding=encoding)
    return file


def counted(desk: Desk, *rows: str, end: str | None = None, name: str = "b7.txt") -> Path:
    trailer = [f"END\t{len(rows)}"] if end is None else [end] if end else []
    return a_file(desk, "No\tCode\tName\tMail", *rows, *trailer, name=name)


def row(number: int, name: str = "Albers") -> str:
    return f"{number}\tNH26-AK\t{name}\tk{number}@albers.example"


def take_in(desk: Desk, file: Path, profile: str = "counted"):
    return desk.run("import", "cards", file, "--profile", profile)


def receipts(file: Path) -> list[tuple[str, str, str]]:
    with file.with_suffix(".ack.csv").open(encoding="utf-8", newline="") as stream:
        return [(each["record"], each["result"], each["reason"]) for each in csv.DictReader(stream)]


def stored(desk: Desk) -> int:
    ((count,),) = desk.query("SELECT count(*) FROM delivery")
    return int(str(count))


def killed_at(desk: Desk, file: Path, threshold: int) -> int:
    """Run the import, kill it once so many rows are stored; return the most memory it took, in bytes."""
    process = desk.start("import", "cards", file, "--profile", "counted")
    most = watched(process, lambda: stored(desk) >= threshold)
    process.kill()
    process.wait(30)
    return most


def watched(process, enough) -> int:
    most, seen = 0, psutil.Process(process.pid)
    while process.poll() is None and not enough():
        try:
            most = max(most, seen.memory_info().rss)
        except psutil.Error:
            break
    return most


@pytest.mark.timeout(1800)
def test_a_large_batch_killed_again_and_again_is_imported_once_and_no_row_is_lost(desk: Desk) -> None:
    """100,000 rows with HEARBACK_FULL=1; memory stays bounded, whatever the size."""
    file = counted(desk, *(row(number) for number in range(1, ROWS + 1)))
    memory = []
    for seed in SEEDS:
        before = stored(desk)
        threshold = before + random.Random(seed).randint(1, (ROWS - before) // 3)
        memory.append(killed_at(desk, file, threshold))
        assert threshold <= stored(desk) < ROWS, "the kill came too late to show anything"
    before = stored(desk)
    process = desk.start("import", "cards", file, "--profile", "counted")
    memory.append(watched(process, lambda: False))

    assert process.wait(600) == 0
    assert stored(desk) == ROWS
    assert desk.query("SELECT count(DISTINCT delivery_id) FROM delivery_body") == [(ROWS,)]
    told = receipts(file)
    assert [record for record, _, _ in told] == [str(number) for number in range(1, ROWS + 1)]
    assert [result for _, result, _ in told].count("duplicate") == before
    assert not list(file.parent.glob("*.part"))
    assert max(memory) < MOST_MEMORY, f"{max(memory) / 2**20:.0f} MB"
    print(f" [{ROWS} rows, {len(SEEDS)} kills, {max(memory) / 2**20:.0f} MB]", end="")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_is_shown_while_a_counted_batch_is_read(desk: Desk) -> None:
    file = counted(desk, *(row(number) for number in range(1, 3_001)))
    ours, theirs = pty.openpty()
    desk.environment |= {"TERM": "xterm", "COLUMNS": "120"}
    shown = desk.start("import", "cards", file, "--profile", "counted", stderr=theirs)
    os.close(theirs)
    drawn = read_to_the_end(ours)

    assert shown.wait(60) == 0
    assert file.name in drawn
    assert "━" in drawn


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("END\t3", ("the trailer says 3", "the file has 2 records")),
        ("END", ("the trailer says 0", "2 records")),
        ("", ("no record begins with 'END'", "2 records")),
        ("END\t2\n" + row(3), ("line 5 follows the trailer",)),
    ],
    ids=["another count", "no count", "no trailer", "rows behind it"],
)
def test_a_batch_that_is_not_whole_is_refused_and_nothing_of_it_stored(
    desk: Desk, end: str, words: tuple[str, ...]
) -> None:
    file = counted(desk, row(1), row(2), end=end)

    refused(take_in(desk, file), *words)

    assert stored(desk) == 0
    assert not file.with_suffix(".ack.csv").exists()


def test_rows_that_cannot_be_read_count_for_the_trailer(desk: Desk) -> None:
    result = take_in(desk, counted(desk, row(1), "2\ttoo short", row(3)))

    assert result.stdout.startswith("2 cards stored, 0 were known, 1 rejected.")


def test_each_row_is_acknowledged_as_accepted_duplicate_or_rejected_with_the_reason(desk: Desk) -> None:
    """A record number that comes back with another content is no duplicate: nothing is dropped in silence (P2)."""
    take_in(desk, counted(desk, row(1), row(2)))
    file = counted(desk, row(2), row(1, "Another"), row(3), row(3), row(3, "Third"), "4\t\tNo code\t")

    result = take_in(desk, file)

    reused = "the record number was used before in this batch, with another content: give it one of its own"
    assert receipts(file) == [
        ("2", "duplicate", "it was imported before"),
        ("1", "rejected", reused),
        ("3", "accepted", ""),
        ("3", "duplicate", "it was imported before"),
        ("3", "rejected", reused),
        ("", "rejected", "no key code"),
    ]
    assert result.stdout.startswith("1 cards stored, 2 were known, 3 rejected.")
    assert "Another" in file.with_suffix(".rejects.csv").read_text(encoding="utf-8")
    assert stored(desk) == 3


def test_cards_are_stored_in_the_order_of_the_file(desk: Desk) -> None:
    """What is worked first gets the first turn."""
    take_in(desk, counted(desk, *(row(number) for number in (5, 3, 9, 1, 7))))
    with desk.services() as services:
        query = "SELECT id, sealed FROM delivery d JOIN delivery_body b ON delivery_id = id ORDER BY d.received_at"
        bodies = desk.query(query)
        cards = [json.loads(services.vault.open(name, bytes(sealed))[1]) for name, sealed in bodies]

    assert [card["record"] for card in cards] == ["5", "3", "9", "1", "7"]


def test_an_acknowledgement_runs_no_formula(desk: Desk) -> None:
    """I22."""
    file = counted(desk, "=1+1\tNH26-AK\tAlbers\ta@b.example")

    take_in(desk, file)

    assert receipts(file)[0][0] == "'=1+1"


def test_a_batch_of_fixed_width_is_read_by_the_places_of_its_columns(desk: Desk) -> None:
    rows = [
        f"{n:>5}{'NH26-AK':<8}2026111{n}20261120{name:<12}{f'k{n}@b.example':<24}"
        for n, name in ((1, "Żółć"), (2, "Albers"))
    ]
    file = a_file(
        desk, rows[0], rows[1].rstrip(), "    3NH26-AK" + "x" * 80, "9999 00003", name="f.txt", encoding="cp1250"
    )

    result = take_in(desk, file, "fixed")
    with desk.services() as services:
        intake.work(services)

    assert result.stdout.startswith("2 cards stored, 0 were known, 1 rejected.")
    assert receipts(file)[2][2] == "92 characters where the profile's widths make 65"
    assert desk.query("SELECT data ->> 'last_name' FROM lead ORDER BY data ->> 'email'") == [("Żółć",), ("Albers",)]
    days = desk.query("SELECT answered_at::date::text, keyed_at::date::text FROM card_answer ORDER BY answered_at")
    assert days == [("2026-11-11", "2026-11-20"), ("2026-11-12", "2026-11-20")]


def test_a_profile_whose_widths_lack_a_column_is_a_complaint_with_its_line(desk: Desk) -> None:
    desk.edit("hearback.yaml", "      Mail: 24\n", "      Post: 24\n")

    result = desk.run("check")

    assert result.exit_code == 1
    assert "widths" in result.stdout
    assert "Mail" in result.stdout
