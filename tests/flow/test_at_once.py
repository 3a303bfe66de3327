"""`hearback import cards --at-once`: a batch handed out together, on a real database, against one by one."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_support import Desk, desk_on
from databases import a_database

from connector.cli import checker
from connector.flows import importing, intake, verify
from connector.flows.accept import accept
from connector.model.delivery import AT_ONCE, Delivery
from connector.model.identity import new_id

HEADER = (
    "Lfd. Nr.;Aktionscode;Eingang;Vorname;Nachname;Firma;Straße;PLZ;Ort;Telefon;E-Mail;Interesse;Bemerkung;Einwilligung"
)
#: Three who share Berlin; Hamburg is for the first two of them, Cologne for the last two.
POOLS = {
    "B": ("10115", "de-all", "[anna.brandt, jens.petersen, lukas.huber]"),
    "N": ("20095", "de-north", "[anna.brandt, jens.petersen]"),
    "S": ("50667", "de-south", "[jens.petersen, lukas.huber]"),
}
#: One by one Anna has Berlin's fourth lead and Jens has Cologne's when Hamburg's comes, and Lukas waits on.
UNEVEN = "BBBBSN"
SQUARES = "SELECT sum(balance::numeric * balance) FROM ledger_entry"


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return organised(database_url, tmp_path / "one")


@pytest.fixture
def twin(postgres: str, template: str, tmp_path: Path) -> Iterator[Desk]:
    """The same organisation on a database of its own."""
    for url in a_database(postgres, template):
        yield organised(url, tmp_path / "other")


def organised(url: str, folder: Path) -> Desk:
    folder.mkdir()
    desk = desk_on(url, folder)
    path = desk.config / "routing.yaml"
    head, _, rest = path.read_text("utf-8").partition("\npools:\n")
    others = rest[rest.index("  poland:\n") :]
    pools = "".join(f"  {pool}: {{members: {members}}}\n" for _, pool, members in POOLS.values())
    path.write_text(f"{head}\npools:\n{pools}{others}", "utf-8")
    desk.edit("territories.csv", "10115..14199,,,,,,,,,,,,de-north,", "10115..14199,,,,,,,,,,,,de-all,")
    return desk


def room_for_one_each(desk: Desk) -> None:
    for person in (",de;en,yes,1,40,U-1001", ",de;en,yes,1,40,U-1002", ",de;en,yes,1,40,U-1005"):
        desk.edit("people.csv", person, person.replace(",40,", ",1,"))


def a_file(desk: Desk, places: str, start: int = 1) -> Path:
    rows = [
        f"{n};NH26-AK;12.11.2026;Heinz;Albers;;Weg 3;{POOLS[place][0]};Ort;;karte{n}@albers{n}.example;cordless;;ja"
        for n, place in enumerate(places, start)
    ]
    file = desk.config.parent / "batch.csv"
    file.write_text("\n".join((HEADER, *rows, "")), encoding="cp1252")
    return file


def import_(desk: Desk, file: Path, *options: str) -> None:
    with desk.services():
        result = desk.run("import", "cards", file, "--profile", "postdruck-bremen", *options)
    assert result.exit_code == 0, result.output


def work(desk: Desk) -> None:
    with desk.services() as services:
        while intake.work(services):
            pass


def taken_in(desk: Desk, places: str, *options: str) -> None:
    import_(desk, a_file(desk, places), *options)
    work(desk)


def records(desk: Desk) -> list[dict]:
    return [json.loads(str(record)) for (record,) in desk.query("SELECT record FROM decision ORDER BY seq")]


def steps(desk: Desk) -> list[list[str]]:
    return [[code for code, _ in record["steps"]] for record in records(desk)]


def placed(desk: Desk) -> list[bool]:
    """Tell of each lead, in the order of the file, whether it has an owner."""
    return [record["owner"] is not None for record in records(desk)]


def test_at_once_the_balances_end_more_even_than_one_by_one(desk: Desk, twin: Desk) -> None:
    """R42"""
    taken_in(desk, UNEVEN, "--at-once")
    taken_in(twin, UNEVEN)

    ((together,),), ((one_by_one,),) = desk.query(SQUARES), twin.query(SQUARES)
    assert together < one_by_one
    assert [sum(row[0] for row in each.query("SELECT balance FROM ledger_entry")) for each in (desk, twin)] == [0, 0]
    assert steps(desk) == [["rule", "at_once"]] * len(UNEVEN)
    assert steps(twin) == [["rule", "turn"]] * len(UNEVEN)


@pytest.mark.parametrize("places", ["NSB" * 7, "BBBBNNNNSSSS", "SNBNSN" * 5, "B" * 17])
def test_at_once_is_never_less_even_than_one_by_one(desk: Desk, twin: Desk, places: str) -> None:
    """R42"""
    taken_in(desk, places, "--at-once")
    taken_in(twin, places)

    ((together,),), ((one_by_one,),) = desk.query(SQUARES), twin.query(SQUARES)
    assert together <= one_by_one


def test_when_room_is_short_more_find_an_owner_and_the_last_are_left_over(desk: Desk, twin: Desk) -> None:
    """R42: one by one Jens takes Cologne, and the second lead of Hamburg finds nobody."""
    for each in (desk, twin):
        room_for_one_each(each)

    taken_in(desk, "NSNN", "--at-once")
    taken_in(twin, "NSNN")

    assert placed(desk) == [True, True, True, False]
    assert placed(twin) == [True, True, False, False]
    assert steps(desk)[3] == ["rule", "nobody_eligible", "hold"]


def test_without_the_option_neither_what_is_stored_nor_what_is_recorded_changes(desk: Desk) -> None:
    taken_in(desk, "NS")

    with desk.services() as services:
        heads = [
            services.vault.open(delivery, bytes(sealed))[0]  # type: ignore[arg-type]  # columns
            for delivery, sealed in desk.query("SELECT delivery_id, sealed FROM delivery_body")
        ]
    assert [head["query"] for head in heads] == [{"profile": "postdruck-bremen"}] * 2
    assert not any("chosen" in record["case"] for record in records(desk))


def test_a_decision_of_a_plan_is_taken_again_to_the_same_bytes(desk: Desk) -> None:
    """P4: a plan is an input, so the record alone is enough."""
    taken_in(desk, UNEVEN, "--at-once")

    assert [record["case"]["chosen"] for record in records(desk)] == [record["owner"] for record in records(desk)]
    assert verify.verify(desk.url).problems == ()


def test_a_form_post_cannot_ask_for_it(desk: Desk) -> None:
    """Anybody may put a query on a form post."""
    body = b"email=a%40b.example&plz=20095&land=DE"
    with desk.services() as services:
        post = Delivery(new_id(), "website", a_moment(desk), "application/x-www-form-urlencoded", body, {}, AT_ONCE)
        accept(services, post)
        intake.work(services)

    assert steps(desk) == [["rule", "turn"]]


def a_moment(desk: Desk):
    ((now,),) = desk.query("SELECT hearback_now()")
    return now


class Killed(BaseException):
    """What ends a process between two chunks."""


def test_an_import_interrupted_between_chunks_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """C17, R42: what was stored before keeps its mark, and nothing is taken twice."""
    monkeypatch.setattr(importing, "ROWS", 3)
    file = a_file(desk, UNEVEN)
    with desk.services() as services, pytest.raises(Killed):
        importing.import_cards(services, file, profile="postdruck-bremen", at_once=True, progress=kill)
    work(desk)

    import_(desk, file, "--at-once")
    work(desk)

    assert len(records(desk)) == len(UNEVEN)
    assert steps(desk) == [["rule", "at_once"]] * len(UNEVEN)
    assert desk.query("SELECT count(*) FROM lead") == [(len(UNEVEN),)]


def kill(_done: int) -> None:
    raise Killed


def test_a_batch_of_several_transactions_is_planned_in_each(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BATCH", 4)

    taken_in(desk, UNEVEN * 2, "--at-once")

    assert steps(desk) == [["rule", "at_once"]] * 12
    assert list(Counter(record["case"]["at"] for record in records(desk)).values()) == [4, 4, 4]


def test_the_owner_and_the_curious_are_told(desk: Desk) -> None:
    taken_in(desk, UNEVEN, "--at-once")

    ((lead, reason), *_) = desk.query("SELECT id, reason FROM lead ORDER BY created_at, id")
    told = desk.run("explain", lead)

    assert "Ein Stapel wurde auf einmal verteilt" in str(reason)
    assert "the batch was handed out at once, so that all balances end as even as they can." in told.stdout


@contextmanager
def exported(desk: Desk) -> Iterator[list[dict]]:
    folder = desk.config.parent / "audit"
    told = desk.run("verify", "--export", folder)
    assert told.exit_code == 0, told.output
    yield [json.loads(line) for line in (folder / "decisions.jsonl").read_text("utf-8").splitlines()]


def problems_of(entries: list[dict]) -> list[str]:
    return checker.check(json.dumps(entry) for entry in entries)[1]


def test_the_checker_accepts_a_plan_and_still_finds_a_forged_owner(desk: Desk) -> None:
    """Also where digests were made anew: of an ordinary turn, and of one that was chosen."""
    taken_in(desk, UNEVEN, "--at-once")
    import_(desk, a_file(desk, "BSN", start=50))
    work(desk)

    with exported(desk) as entries:
        assert problems_of(entries) == []
        for number, words in ((len(UNEVEN) + 1, "somebody was owed more than"), (1, "was chosen, and")):
            forged = [forge(entry) if entry.get("decision") == number else entry for entry in entries]
            assert any(words in problem for problem in problems_of(forged)), number


def test_a_plan_that_gave_somebody_less_owed_a_lead_is_seen_by_the_checker_in_an_ordinary_turn(desk: Desk) -> None:
    """The test above is worth something only if the plan takes turns nobody would be given one by one."""
    taken_in(desk, UNEVEN, "--at-once")

    with exported(desk) as entries:
        ordinary = [as_a_turn(entry) if "decision" in entry else entry for entry in entries]

        assert any("somebody was owed more than" in problem for problem in problems_of(ordinary))


def forge(entry: dict) -> dict:
    """Give the turn to somebody else, with correct sums and a new digest."""
    record = json.loads(entry["record"])
    postings, owner = record["postings"], record["owner"]
    other = min((person for person in postings if person != owner), key=lambda person: postings[person][3])
    postings[other][3] -= 1_000_000_000
    postings[owner][3] += 1_000_000_000
    return rewritten(entry, record | {"owner": other})


def as_a_turn(entry: dict) -> dict:
    record = json.loads(entry["record"])
    return rewritten(entry, record | {"steps": [["turn", detail] for _, detail in record["steps"]]})


def rewritten(entry: dict, record: dict) -> dict:
    text = json.dumps(record)
    return entry | {"record": text, "digest": hashlib.sha256(text.encode()).hexdigest()}
