"""The sample organisation, the published document, secrets and the starter."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connector.errors import ConfigurationError
from connector.model.followup import Action, Span, Unit
from connector.model.postal import postal_key
from connector.model.routing import RuleSet
from connector.model.ruleset_document import from_document, to_document
from connector.settings import (
    Installation,
    Settings,
    build,
    canonical,
    default_folder,
    digest,
    load,
    read_secret,
    write_starter,
)
from connector.settings.values import Response
from connector.sources.registry import SOURCES


@pytest.fixture(scope="module")
def sample() -> Settings:
    loaded = load(default_folder(), Installation(adapters=("sandbox",), kinds=SOURCES))
    assert [str(complaint) for complaint in loaded.complaints] == []
    assert loaded.settings is not None
    return loaded.settings


def the_document() -> dict[str, Any]:
    document = load(default_folder()).document
    assert document is not None
    return document


def test_the_sample_organisation_covers_every_lane_and_six_pools(sample: Settings) -> None:
    lanes = {person.lane for person in sample.people.values()}

    assert {"marketing", "sales", "order_desk", "production", "fulfilment", "customer_service", "finance"} < lanes
    assert len(sample.rule_set.pools) == 6
    assert 40 <= len(sample.rule_set.rules) <= 70


def test_rules_stand_in_ascending_order_and_ties_keep_the_order_of_the_file(sample: Settings) -> None:
    orders = [rule.order for rule in sample.rule_set.rules]
    first = [rule.key for rule in sample.rule_set.rules[:2]]

    assert orders == sorted(orders)
    assert first == ["account-hansewerft", "account-stahlbau-rhein"]


def test_every_filled_test_column_becomes_a_condition(sample: Settings) -> None:
    folder = default_folder()
    with (folder / "territories.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["rule"]: row for row in csv.DictReader(file)}
    others = {"rule", "parent", "order", "valid_from", "valid_to", "connection", "pool", "rep"}

    for rule in sample.rule_set.rules:
        filled = {column for column, cell in rows[rule.key].items() if cell and column not in others}
        assert {condition.field for condition in rule.conditions} == filled
    assert any(condition.field == "custom.dealer" for rule in sample.rule_set.rules for condition in rule.conditions)


def test_every_rep_of_the_sample_has_goals_for_both_years(sample: Settings) -> None:
    covered = {(goal.person, goal.start, goal.end) for goal in sample.goals}
    reps = {key for key, person in sample.people.items() if person.role == "rep"}

    for year in (2026, 2027):
        assert {(rep, date(year, 1, 1), date(year, 12, 31)) for rep in reps} <= covered
    assert {type(goal.amount) for goal in sample.goals} == {Decimal}


def test_the_sample_plan_has_two_steps_with_calls_as_evidence(sample: Settings) -> None:
    confirm, arrival = sample.plans["after-purchase"].steps

    assert (confirm.anchor, confirm.add, confirm.evidence[0].min_seconds) == ("won", Span(1, Unit.BUSINESS_DAYS), 60)
    assert (arrival.requires, arrival.evidence[0].min_seconds) == (("confirm_order",), 120)
    assert set(confirm.titles) == {"en", "de", "pl"}
    assert [rung.actions for rung in arrival.escalation] == [
        (Action.MARK_OVERDUE,),
        (Action.NOTIFY_MANAGER, Action.REASSIGN),
    ]


def test_the_sample_calendars_know_split_days_and_the_days_between_the_years(sample: Settings) -> None:
    named = {person.calendar for person in sample.people.values()} & set(sample.calendars)
    closed = {special.day for special in sample.calendars["bremen"].special_days if not special.windows}

    assert named == set(sample.calendars)
    assert {each.country for each in sample.calendars.values()} == {"DE", "PL", "US"}
    assert {date(2026, 12, day) for day in range(24, 32)} <= closed
    assert [len(windows) for windows in sample.calendars["service-desk"].week] == [2, 2, 2, 2, 2, 1, 0]


def test_settings_hold_names_of_secrets_and_the_rule_set_holds_no_mail_address(sample: Settings) -> None:
    assert sample.connections["sandbox"].secrets["token"] == "HEARBACK_SANDBOX_TOKEN"
    assert sample.api_keys[0].secret == "HEARBACK_API_KEY"
    assert b"@" not in canonical(to_document(sample.rule_set))


def test_a_document_that_went_through_json_builds_the_same_settings(sample: Settings) -> None:
    document = the_document()

    rebuilt = build(json.loads(canonical(document)))

    assert rebuilt == sample
    assert rebuilt.hash == sample.hash == digest(canonical(document))
    assert rebuilt.rule_set.hash == sample.rule_set.hash


def test_a_rule_set_document_alone_rebuilds_the_rule_set(sample: Settings) -> None:
    """Promise P4: a decision recomputes from its stored rule set."""
    document = to_document(sample.rule_set)

    rebuilt = from_document(json.loads(canonical(document)))

    assert rebuilt == sample.rule_set
    assert rebuilt.hash == sample.rule_set.hash == digest(canonical(document))


def test_another_rule_set_has_another_hash(sample: Settings) -> None:
    changed = replace(sample.rule_set, max_hold=timedelta(hours=5))

    assert digest(canonical(to_document(changed))) != sample.rule_set.hash


def test_the_document_holds_no_float(sample: Settings) -> None:
    def refuse(text: str) -> None:
        pytest.fail(f"a float: {text}")

    json.loads(canonical(the_document()), parse_float=refuse)


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_another_process_writes_the_same_bytes_whatever_its_hash_seed(sample: Settings, seed: str) -> None:
    code = (
        "from connector.settings import *\n"
        "import sys, json\n"
        "document = load(default_folder()).document\n"
        "print(digest(canonical(document)), build(json.loads(canonical(document))).hash)"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    ).stdout

    assert printed.split() == [sample.hash, sample.hash]


@pytest.mark.parametrize("read", [build, from_document])
def test_a_document_of_another_schema_is_refused(read: Any) -> None:
    with pytest.raises(ValueError, match="this version reads"):
        read({"schema": "from-the-future/9"})


def test_an_unread_default_leaves_no_trace_in_the_document() -> None:
    """A field a later version adds with a default changes no hash that is stored already."""
    empty = RuleSet({}, {}, (), "nobody", timedelta(hours=1))

    assert set(to_document(empty)) == {
        "schema",
        "fallback",
        "max_hold_seconds",
        "matching",
        "reps",
        "pools",
        "rules",
    }


@pytest.mark.parametrize(
    ("country", "text", "key"),
    [
        ("DE", "01067", "01067"),
        ("DE", "D-28195", "28195"),
        ("de", " 28195 ", "28195"),
        ("DE", "1067", None),
        ("PL", "00-950", "00950"),
        ("PL", "00950", "00950"),
        ("PL", "00 950", "00950"),
        ("US", "10001-1234", "10001"),
        ("US", "1001", None),
        ("US", "01001", "01001"),
        ("GB", "sw1a 1aa", "SW1A1AA"),
        ("AT", "1010", "1010"),
        ("AT", " - ", None),
        ("", "123", "123"),
    ],
)
def test_postal_codes_become_keys_of_fixed_width(country: str, text: str, key: str | None) -> None:
    """Routing R30."""
    assert postal_key(country, text) == key


def test_a_secret_comes_from_its_variable() -> None:
    assert read_secret("A_TOKEN", {"A_TOKEN": " abc\n"}) == "abc"


def test_a_secret_comes_from_the_file_its_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")

    assert read_secret("A_TOKEN", {"A_TOKEN_FILE": str(file)}) == "abc"


@pytest.mark.parametrize(
    "environ", [{}, {"A_TOKEN": ""}, {"A_TOKEN_FILE": "/nowhere/token"}], ids=["unset", "empty", "no file"]
)
def test_a_missing_secret_says_which_variable_to_set(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"A_TOKEN_FILE"):
        read_secret("A_TOKEN", environ)


def test_the_starter_is_the_commented_sample_and_loads(tmp_path: Path, sample: Settings) -> None:
    target = tmp_path / "new"

    write_starter(target)

    assert load(target).settings == sample
    assert (target / "README.md").exists()
    assert "# Every key is explained" in (target / "hearback.yaml").read_text(encoding="utf-8")


def test_the_starter_never_touches_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(ConfigurationError, match="not an empty folder"):
        write_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_readme_explains_every_file_and_column_of_the_sample() -> None:
    folder = default_folder()
    readme = (folder / "README.md").read_text(encoding="utf-8")

    for path in folder.rglob("*.*"):
        # What is installed in a CRM is named as a package.
        inside = path.relative_to(folder).parts[:2] if "crm" in path.relative_to(folder).parts[:1] else (path.name,)
        assert path.name == "README.md" or f"{'/'.join(inside)}`" in readme
    for path in folder.glob("*.csv"):
        for column in path.read_text(encoding="utf-8").splitlines()[0].split(","):
            family, dot, _ = column.partition("custom.")
            assert f"`{dot or family.partition(':')[0]}" in readme, column


def test_response_settings_are_read_with_their_defaults_and_survive_publishing(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(default_folder(), tmp_path / "config"))
    routing = folder / "routing.yaml"
    before = load(folder)
    routing.write_text(
        'response: {due: "4h", accept: yes, max_moves: off}\n' + routing.read_text("utf-8"), encoding="utf-8"
    )

    loaded = load(folder)

    assert before.settings is not None
    assert loaded.settings is not None, loaded.complaints
    assert before.settings.response is None
    assert loaded.settings.response == Response(due=240, remind_at=(50, 80), max_moves=None, accept_due=60)
    assert loaded.settings.rule_set.hash == before.settings.rule_set.hash, "it has no part in matching"
