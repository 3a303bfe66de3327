"""P4: whatever is changed in stored decisions afterwards is found."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from office import Office, decide_under_two_versions

from connector.cli import checker
from connector.cli.app import main
from connector.flows import sealing, verify
from connector.flows.verify import Problem
from connector.store import Store


@pytest.fixture
def office(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office with sealed decisions under two seals and two rule sets, and one decision not sealed yet."""
    monkeypatch.setattr(sealing, "MOST", 6)
    with Store(database_url, size=2) as store:
        office = Office(store, tmp_path / "config")
        decide_under_two_versions(office)
        sealing.work(office.services)
        office.answer(("Last", "20095"))
        yield office


def problems(url: str, **options: str) -> tuple[Problem, ...]:
    return verify.verify(url, **options).problems  # type: ignore[arg-type]  # texts only


def tamper(url: str, statement: str) -> None:
    """Change what no statement of ours may change, as somebody with all rights could."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        changed = connection.execute(statement.encode()).rowcount
        assert changed == 1, statement


def test_untouched_decisions_verify_in_one_process_and_in_two(office: Office, database_url: str) -> None:
    alone = verify.verify(database_url)
    shared = verify.verify(database_url, processes=2)

    assert alone == shared
    assert alone.problems == ()
    assert alone.decisions == len(office.decisions())
    assert alone.seals >= 2


def test_progress_ends_with_everything(office: Office, database_url: str) -> None:
    heard: list[tuple[int, int]] = []

    verify.verify(database_url, progress=lambda done, total: heard.append((done, total)))

    assert heard[-1] == (len(office.decisions()), len(office.decisions()))


#: Record and digest changed together, so that only taking the decision again, or the seal, can tell.
TOGETHER = (
    "UPDATE decision SET record = changed.record, digest = sha256(changed.record::bytea) "
    "FROM (SELECT replace(record, '{old}', '{new}') AS record FROM decision WHERE seq = 1) changed WHERE seq = 1"
)


@pytest.mark.parametrize(
    "change",
    [
        "record = replace(record, '\"engine\":1', '\"engine\":2')",
        "record = record || ' '",
        "digest = set_byte(digest, 0, get_byte(digest, 0) # 1)",
        "owner = 'cleo'",
        "owner = NULL",
        "outcome = 'held'",
        "lead_id = gen_random_uuid()",
        "assign_seq = assign_seq + 1",
        "decided_at = decided_at + interval '1 microsecond'",
        "rule_set = 'none'",
    ],
)
def test_a_changed_decision_is_found_and_named(office: Office, database_url: str, change: str) -> None:
    tamper(database_url, f"UPDATE decision SET {change} WHERE seq = 1")

    assert 1 in {problem.seq for problem in problems(database_url)}


@pytest.mark.parametrize(("old", "new"), [('"owner":"anna"', '"owner":"cleo"'), ("500000000", "500000001")])
def test_a_decision_forged_with_its_digest_is_found(office: Office, database_url: str, old: str, new: str) -> None:
    assert office.decisions()[0].owner == "anna"

    tamper(database_url, TOGETHER.format(old=old, new=new))

    assert {problem.seq for problem in problems(database_url)} >= {1, 6}


def test_a_decision_taken_away_is_found(office: Office, database_url: str) -> None:
    tamper(database_url, "DELETE FROM decision WHERE seq = 3")
    tamper(database_url, f"DELETE FROM decision WHERE seq = {len(office.decisions()) + 1}")

    missing = {problem.seq for problem in problems(database_url) if problem.what == "the decision is missing"}

    assert missing == {3, len(office.decisions()) + 2}


def test_a_changed_or_missing_seal_is_found(office: Office, database_url: str) -> None:
    tamper(
        database_url, "UPDATE seal SET digest = set_byte(digest, 31, get_byte(digest, 31) # 128) WHERE first_seq = 1"
    )
    assert problems(database_url)

    tamper(database_url, "DELETE FROM seal WHERE first_seq = 1")
    assert any("a seal is missing" in problem.what for problem in problems(database_url))


def test_a_changed_rule_set_is_found(office: Office, database_url: str) -> None:
    first = office.decisions()[0]

    tamper(database_url, f"UPDATE rule_set SET document = document || ' '::bytea WHERE hash = '{first.rule_set}'")

    assert "rule set is not what was published" in problems(database_url)[0].what


def test_sealing_anew_does_not_hide_a_change_from_who_kept_a_seal(
    office: Office, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = verify.verify(database_url).newest
    assert problems(database_url, kept=kept) == ()

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM seal")
    monkeypatch.setattr(sealing, "MOST", 7)
    sealing.work(office.services)

    assert [problem.seq for problem in problems(database_url, kept=kept)] == [0]


def test_every_decision_is_sealed_once_whoever_seals(office: Office, database_url: str) -> None:
    sealing.work(office.services)
    sealing.work(office.services)

    with psycopg.connect(database_url) as connection:
        runs = connection.execute("SELECT first_seq, last_seq FROM seal ORDER BY first_seq").fetchall()
    covered = [seq for first, last in runs for seq in range(first, last + 1)]
    assert covered == [row.seq for row in office.decisions()]


def test_the_database_refuses_to_change_a_seal(office: Office, database_url: str) -> None:
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE seal SET first_seq = 2 WHERE first_seq = 1")


def test_the_command_says_what_it_found(office: Office, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARBACK_DATABASE_URL", database_url)
    fine = CliRunner().invoke(main, ["verify", "--processes", "1"])
    tamper(database_url, "UPDATE decision SET owner = 'cleo' WHERE seq = 1")
    broken = CliRunner().invoke(main, ["verify", "--processes", "1"])

    assert fine.exit_code == 0, fine.output
    assert f"{len(office.decisions())} decisions taken again" in fine.output
    assert broken.exit_code == 1
    assert "decision 1: the columns do not say what the record says" in broken.output


def check_alone(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the exported checker as a stranger would: isolated, without any library."""
    command = [sys.executable, "-I", "-S", str(folder / "checker.py"), str(folder / "decisions.jsonl")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def exported(office: Office, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEARBACK_DATABASE_URL", database_url)
    folder = tmp_path / "audit"
    told = CliRunner().invoke(main, ["verify", "--export", str(folder)])
    assert told.exit_code == 0, told.output
    assert "checker.py" in told.output
    return folder


def test_an_export_is_checked_without_us(office: Office, exported: Path) -> None:
    done = check_alone(exported)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(office.decisions())} decisions, 2 rule sets" in done.stdout


def test_any_changed_character_of_an_export_is_found(exported: Path) -> None:
    file = exported / "decisions.jsonl"
    text = file.read_text("utf-8")
    # One character in each line, somewhere else each time; only sealed decisions are safe against a new digest.
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        at = (number * 97 + 40) % (len(line) - 2)
        changed = line[:at] + ("0" if line[at] != "0" else "1") + line[at + 1 :]
        _, problems = checker.check([*lines[:number], changed, *lines[number + 1 :]])
        assert problems, (number, at)


def test_a_line_taken_out_of_an_export_is_found(exported: Path) -> None:
    lines = (exported / "decisions.jsonl").read_text("utf-8").splitlines()
    seals = [number for number, line in enumerate(lines) if '"seal"' in line]

    for number in {*range(seals[-1]), *range(len(lines) - 2, len(lines))}:
        _, problems = checker.check([*lines[:number], *lines[number + 1 :]])
        assert problems, lines[number]


def test_a_turn_given_to_somebody_owed_less_is_found(exported: Path) -> None:
    """The ledger's rule itself is checked, also where digests and seals were made anew."""
    lines = (exported / "decisions.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    first = next(entry for entry in entries if entry.get("decision") == 1)
    record = json.loads(first["record"])
    other = next(person for person in record["postings"] if person != record["owner"])
    record["postings"][other][3] -= 1_000_000_000
    record["postings"][record["owner"]][3] += 1_000_000_000
    record["owner"] = other
    first["record"] = json.dumps(record)
    first["digest"] = hashlib.sha256(first["record"].encode()).hexdigest()

    _, problems = checker.check(json.dumps(entry) for entry in entries if "seal" not in entry)

    assert any("does not go on from where it was" in problem for problem in problems)
