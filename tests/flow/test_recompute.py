"""P4: a decision is a pure function of its record and the stored rule set, in any process, for ever."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from office import Office, decide_under_two_versions

from connector.model.canonical import canonical
from connector.routing.record import ENGINE, recompute
from connector.store import Store

#: All a verifier needs: the records, the rule sets they name, and one module of ours.
VERIFIER = """
import sys
import psycopg
from connector.routing.record import recompute

with psycopg.connect(sys.argv[1]) as connection:
    rows = connection.execute(
        "SELECT d.seq, d.record, r.document FROM decision d JOIN rule_set r ON r.hash = d.rule_set ORDER BY d.seq"
    ).fetchall()
for seq, record, document in rows:
    print(seq, recompute(record.encode(), bytes(document)) == record.encode())
loaded = {name for name in sys.modules if name.startswith("connector.")}
assert not any(name.startswith(("connector.store", "connector.flows", "connector.settings")) for name in loaded), loaded
"""


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    with Store(database_url, size=2) as store:
        yield Office(store, tmp_path / "config")


def test_a_fresh_process_with_nothing_but_record_and_rule_set_decides_the_same_bytes(
    office: Office, database_url: str
) -> None:
    decide_under_two_versions(office)

    for seed in ("0", "4242"):
        checked = subprocess.run(
            [sys.executable, "-c", VERIFIER, database_url],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            check=True,
            capture_output=True,
            text=True,
        )
        assert checked.stdout.split() == [word for row in office.decisions() for word in (str(row.seq), "True")]


def test_the_decisions_cover_every_outcome_and_both_versions(office: Office) -> None:
    """The test above is worth something only if there was something to decide."""
    decide_under_two_versions(office)

    rows = office.decisions()

    steps = {step[0] for row in rows for step in json.loads(row.record)["steps"]}
    assert len(rows) == 12
    assert len({row.rule_set for row in rows}) == 2
    assert {row.outcome for row in rows} == {"assigned", "held"}
    assert steps >= {"rule", "turn", "no_rule", "fallback", "nobody_eligible", "hold"}
    assert steps >= {"existing_owner", "existing_owner_passed"}
    assert any(len(json.loads(row.record)["postings"]) > 1 for row in rows)


def test_a_rule_set_of_another_version_leads_to_other_bytes(office: Office) -> None:
    decide_under_two_versions(office)
    rows = office.decisions()

    assert recompute(rows[0].record, office.rules_of(rows[-1])) != rows[0].record


def test_a_changed_byte_is_found_by_the_digest(office: Office) -> None:
    office.answer(("Ada", "20095"))
    (row,) = office.decisions()

    assert hashlib.sha256(row.record).digest() == row.digest
    for place in range(len(row.record)):
        altered = bytearray(row.record)
        altered[place] ^= 1
        assert hashlib.sha256(altered).digest() != row.digest


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "bert"},
        {"rule_set": "0" * 64},
        {"passed": {"anna": ["cap_open", "40/40"]}},
        {"result": "held"},
        {"pool": "south"},
        {"connection": "other"},
        {"steps": [["no_rule", ""], ["fallback", "anna"]]},
    ],
    ids=str,
)
def test_a_record_that_tells_another_story_is_found_by_deciding_again(office: Office, change: dict[str, Any]) -> None:
    office.answer(("Ada", "20095"))
    (row,) = office.decisions()

    forged = canonical(json.loads(row.record) | change)

    assert forged != row.record
    assert recompute(forged, office.rules_of(row)) != forged


def test_a_record_of_an_engine_of_the_future_is_refused_by_name(office: Office) -> None:
    office.answer(("Ada", "20095"))
    (row,) = office.decisions()

    later = canonical(json.loads(row.record) | {"engine": ENGINE + 1})

    with pytest.raises(ValueError, match=f"engine {ENGINE + 1} is not known here"):
        recompute(later, office.rules_of(row))


def test_decisions_and_rule_sets_can_be_neither_changed_nor_removed(office: Office, database_url: str) -> None:
    """P7, P8"""
    office.answer(("Ada", "20095"))

    for statement in (
        "UPDATE decision SET owner = 'bert'",
        "DELETE FROM decision",
        "UPDATE rule_set SET hash = 'x'",
        "DELETE FROM configuration",
    ):
        with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement.encode())


def test_the_record_holds_no_personal_data(office: Office) -> None:
    """P4"""
    office.answer(("Adalbert", "20095"), nachname="Geheim", telefon="+49 40 555 0101", firma="Geheimwerk")
    (row,) = office.decisions()

    text = row.record.decode().casefold()

    assert not any(word in text for word in ("adalbert", "geheim", "5550101", ".example", "@"))
