"""`hearback rules`: mistakes in rules are found before a lead meets them, and older versions come back."""

import json
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from connector.cli.app import main
from connector.settings import default_folder


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sample organisation, published by hand."""
    folder = Path(shutil.copytree(default_folder(), tmp_path / "config"))
    monkeypatch.setenv("HEARBACK_CONFIG", str(folder))
    monkeypatch.setenv("HEARBACK_DATABASE_URL", database_url)
    monkeypatch.setenv("HEARBACK_DATA", str(tmp_path))
    edit(folder / "hearback.yaml", "publish: automatic", "publish: manual")
    return folder


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text, old
    file.write_text(text.replace(old, new), "utf-8")


def rules(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rules", *arguments])


def line_of(folder: Path, rule: str) -> int:
    lines = (folder / "territories.csv").read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(f"{rule},"))


def add_rule(folder: Path, text: str) -> None:
    """Append a rule given as COLUMN=VALUE words."""
    file = folder / "territories.csv"
    header, *_ = file.read_text("utf-8").splitlines()
    cells = dict(word.split("=", 1) for word in text.split())
    with file.open("a", encoding="utf-8") as stream:
        stream.write(",".join(cells.get(column, "") for column in header.split(",")) + "\n")


def test_the_sample_organisation_has_no_findings(folder: Path) -> None:
    done = rules("check")

    assert done.exit_code == 0
    assert done.output == "0 errors, 0 warnings.\n"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "rule=late order=900 country=DE postal=20100..20200 pool=de-south",
            "'late' is never reached, rule 'de-hamburg'",
        ),
        ("rule=two order=899 country=DE postal=18000..21000 pool=de-south", "'two' is never reached, the rules before"),
        ("rule=twin order=100 country=DE postal=20095 pool=de-south", "'de-hamburg' and 'twin' have the same order"),
        ("rule=past order=5 country=DE valid_to=2020-01-01 pool=de-south", "no lead can pass rule 'past'"),
    ],
)
def test_a_rule_that_cannot_do_its_work_is_named_with_its_line(folder: Path, rule: str, told: str) -> None:
    """R32."""
    add_rule(folder, rule)

    done = rules("check")

    assert told in done.output
    key = rule.split(maxsplit=1)[0].removeprefix("rule=")
    named = "de-hamburg" if key == "twin" else key
    assert f"territories.csv:{line_of(folder, named)}: " in done.output


def test_codes_no_rule_takes_are_told_once_a_country_with_the_fallback(folder: Path) -> None:
    edit(folder / "territories.csv", "\npl,,900,PL,,", "\npl,,900,PL,1*,")
    text = (folder / "territories.csv").read_text("utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("pl-warsaw,", "pl-wroclaw,"))]
    (folder / "territories.csv").write_text("\n".join(kept) + "\n", "utf-8")

    done = rules("check")

    told = [line for line in done.output.splitlines() if "no rule takes every lead from PL" in line]
    assert len(told) == 1
    assert "PL 00000..04999, 50000..59999" in told[0]
    assert "goes to the fallback owner henrik.voss" in told[0]


def test_a_pool_without_anybody_active_is_an_error(folder: Path) -> None:
    for name in ("tyler.jensen", "grace.okafor"):
        deactivate(folder, name)

    done = rules("check")

    assert done.exit_code == 1
    assert "routing.yaml:1: nobody in pool 'us-central' is active" in done.output


@pytest.mark.parametrize(("days", "told"), [(7, False), (20, True)])
def test_a_pool_with_nobody_at_work_for_14_days_is_a_warning(folder: Path, days: int, told: bool) -> None:
    """R32: one is on leave, the other has not begun."""
    today = datetime.now(UTC).date()
    back = today + timedelta(days=days)
    absences = f"person,from,to\ntyler.jensen,{today - timedelta(days=2)},{back}\n"
    (folder / "absences.csv").write_text(absences, "utf-8")
    begins(folder, "grace.okafor", back)

    done = rules("check")

    warning = "warning: routing.yaml:1: nobody in pool 'us-central' is at work in the next 14 days"
    assert (warning in done.output) is told
    assert done.output.count("is at work in") == told
    assert done.exit_code == 0


def begins(folder: Path, person: str, day: date) -> None:
    file = folder / "people.csv"
    header, *rows = file.read_text("utf-8").splitlines()
    changed = [f"{row},{day if row.startswith(f'{person},') else ''}" for row in rows]
    file.write_text("\n".join([f"{header},starts", *changed]) + "\n", "utf-8")


def deactivate(folder: Path, person: str) -> None:
    file = folder / "people.csv"
    header, *rows = file.read_text("utf-8").splitlines()
    column = header.split(",").index("active")
    changed = []
    for row in rows:
        cells = row.split(",")
        if cells[0] == person:
            cells[column] = "no"
        changed.append(",".join(cells))
    file.write_text("\n".join([header, *changed]) + "\n", "utf-8")


def test_publishing_refuses_what_the_check_calls_an_error(folder: Path, database_url: str) -> None:
    assert rules("publish").exit_code == 0
    add_rule(folder, "rule=late order=900 country=DE postal=20100..20200 pool=de-south")

    refused = rules("publish")

    assert refused.exit_code == 1
    assert "rule 'late' is never reached" in refused.output
    assert "1 errors: nothing was published" in refused.output
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM configuration").fetchone() == (1,)


def test_an_older_version_comes_back_and_stays_as_it_was(folder: Path) -> None:
    """R34."""
    first = re.findall(r"Version (\w+) is in force now", rules("publish").output)[0]
    edit(folder / "routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    rules("publish")

    back = rules("rollback", first[:8])

    assert back.output == f"Version {first} is in force again.\n"
    listed = json.loads(rules("list", "--json").output)
    assert [version["in force since"] is not None for version in listed] == [False, True]
    assert listed[1]["version"].startswith(first)
    assert rules("rollback", first).output == f"Version {first} was in force already.\n"


@pytest.mark.parametrize(
    ("version", "told"), [("abc", "too short"), ("0000000000", "no version begins with '0000000000'")]
)
def test_going_back_needs_one_version(folder: Path, version: str, told: str) -> None:
    rules("publish")

    refused = rules("rollback", version)

    assert refused.exit_code == 1
    assert told in refused.output


def test_whoever_waits_is_looked_at_again_under_the_new_version(folder: Path, database_url: str) -> None:
    """R28: publishing and going back are events of the holding queue; publishing the same again is none."""

    def woken() -> list[str]:
        with psycopg.connect(database_url) as connection:
            jobs = connection.execute("DELETE FROM procrastinate_jobs RETURNING args ->> 'job'").fetchall()
            return [row[0] for row in jobs]

    first = rules("publish").output.split()[1]
    edit(folder / "routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    woken()

    rules("publish")
    assert woken() == ["held"]
    rules("publish")
    assert woken() == []
    rules("rollback", first)
    assert woken() == ["held"]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM held_news").fetchone() == (3,)


def test_going_back_is_refused_where_the_folder_publishes_itself(folder: Path) -> None:
    rules("publish")
    edit(folder / "hearback.yaml", "publish: manual", "publish: automatic")

    refused = rules("rollback", "0000000000")

    assert refused.exit_code == 1
    assert "write `publish: manual` into hearback.yaml first" in refused.output


def test_a_broken_folder_tells_all_its_mistakes_instead(folder: Path) -> None:
    add_rule(folder, "rule=x order=ten country=DE pool=nowhere")

    for command in ("check", "publish"):
        done = rules(command)
        assert done.exit_code == 1
        assert "'ten' is no whole number" in done.output
        assert "nowhere" in done.output
