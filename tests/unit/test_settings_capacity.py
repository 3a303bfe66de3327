"""Rolling caps, leave, ramp-up, tags and steps as an admin writes them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from test_settings_mistakes import FILES, PEOPLE, ROUTING, RULES, complaint_of, folder_with, read

from connector.model.routing import SPANS, Absence, Cap, Condition, OffShift, Step, Term
from connector.model.working import Leave
from connector.settings.document import build, to_document
from connector.settings.values import RampUp, Settings

ABSENCES = "absences.csv"


def settings_of(tmp_path: Path, **files: str) -> Settings:
    loaded = read(folder_with(tmp_path, **files))
    assert loaded.settings is not None, loaded.complaints
    assert build(to_document(replace(loaded.settings, hash=""))) == loaded.settings
    return loaded.settings


def people(column: str, cell: str) -> str:
    """Return people.csv with one more column, filled in for Bob."""
    head, ann, bob, meg = FILES[PEOPLE].splitlines()
    return "\n".join([f"{head},{column}", f"{ann},", f"{bob},{cell}", f"{meg},", ""])


@pytest.mark.parametrize(
    ("column", "cell", "cap"),
    [
        ("max_per_hour", "10", Cap("hour", 10, timedelta(hours=1))),
        ("max_per_day", "0.5", Cap("day", 1, timedelta(days=2))),
        ("max_per_week", "1/3", Cap("week", 1, timedelta(days=21))),
        ("max_per_month", "14", Cap("month", 14, timedelta(days=30))),
        ("max_per_day", "2.5", Cap("day", 5, timedelta(days=2))),
        ("max_per_day", "0", Cap("day", 0, timedelta(days=1))),
    ],
)
def test_a_rate_may_be_a_fraction_and_is_never_rounded(tmp_path: Path, column: str, cell: str, cap: Cap) -> None:
    """R11"""
    settings = settings_of(tmp_path, **{PEOPLE: people(column, cell)})

    assert settings.rule_set.reps["bob"].caps == (cap,)
    assert settings.rule_set.reps["ann"].caps == ()


@pytest.mark.parametrize("cell", ["many", "-1", "1/0", "0.001", "1,5"])
def test_a_rate_that_is_none_is_named(tmp_path: Path, cell: str) -> None:
    loaded = read(folder_with(tmp_path, **{PEOPLE: people("max_per_day", f'"{cell}"')}))

    complaint_of(loaded, PEOPLE, 3, "is no number of leads", "0.5 or 1/3")


def test_leave_counts_by_each_persons_own_clock(tmp_path: Path) -> None:
    """Days count whole; a block of hours is only these hours (R19)."""
    csv = "person,from,to,delegate\nann,2026-12-24,2026-12-31,bob\nbob,2026-07-01 09:00,2026-07-01 15:00,\n"

    settings = settings_of(tmp_path, **{ABSENCES: csv})

    assert settings.leaves == {
        "ann": (Leave(datetime(2026, 12, 23, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC), "bob"),),
        "bob": (Leave(datetime(2026, 7, 1, 7, tzinfo=UTC), datetime(2026, 7, 1, 13, tzinfo=UTC)),),
    }


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("anne,2026-12-24,2026-12-31,", ("person 'anne' is unknown", "did you mean 'ann'")),
        ("ann,2026-12-24,2026-12-31,bobo", ("delegate 'bobo' is unknown", "did you mean 'bob'")),
        ("ann,2026-12-31,2026-12-24,", ("ends before it begins", "exchange")),
        ("ann,2026-12-24 12:00,2026-12-24 12:00,", ("ends before it begins",)),
        ("ann,24.12.2026,2026-12-31,", ("is no date", "2026-01-31")),
        ("ann,2026-12-24 25:00,2026-12-31,", ("no time of a day", "2026-12-24 09:00")),
        ("ann,2026-12-24,2026-12-31,ann", ("stands in for themselves", "name somebody else")),
        (",2026-12-24,2026-12-31,", ("person", "is missing")),
    ],
)
def test_a_mistake_in_the_absences_is_named(tmp_path: Path, row: str, says: tuple[str, ...]) -> None:
    loaded = read(folder_with(tmp_path, **{ABSENCES: f"person,from,to,delegate\n{row}\n"}))

    complaint_of(loaded, ABSENCES, 2, *says)


def test_routing_yaml_orders_steps_caps_leads_and_eases_people_in(tmp_path: Path) -> None:
    text = (
        FILES[ROUTING]
        .replace(
            "pools:\n",
            "steps: [named_accounts, existing_owner, territories, holding, overflow]\n"
            "ramp_up: {start: 25, days: 30}\n"
            "caps:\n  enterprise:\n    when: {segment: enterprise; vip, employees: 250..9999}\n"
            "    max: 5\n    per: week\n"
            "pools:\n",
            1,
        )
        .replace("    members:", "    off_shift: hold\n    absence: paced\n    members:", 1)
    )

    settings = settings_of(tmp_path, **{ROUTING: text, PEOPLE: people("starts", "2026-06-01")})

    rule_set = settings.rule_set
    assert rule_set.steps == (
        Step.NAMED_ACCOUNTS,
        Step.EXISTING_OWNER,
        Step.TERRITORIES,
        Step.HOLDING,
        Step.OVERFLOW,
    )
    tests = (
        Condition("segment", (Term("enterprise"), Term("vip"))),
        Condition("employees", (Term("250", "9999"),)),
    )
    assert rule_set.caps == (Cap("enterprise", 5, SPANS["week"], tests),)
    assert (rule_set.pools["all"].off_shift, rule_set.pools["all"].absence) == (OffShift.HOLD, Absence.PACED)
    assert settings.ramp_up == RampUp(25, 30)
    assert str(settings.people["bob"].starts) == "2026-06-01"


def test_named_accounts_come_before_territories_whatever_their_order_and_a_step_left_out_drops_its_rules(
    tmp_path: Path,
) -> None:
    head, *rest = FILES[RULES].splitlines()
    named = "\n".join(
        [f"{head},domain,skills", *(f"{row},," for row in rest), "acme,,99" + "," * 10 + "ann,acme.example,welding", ""]
    )

    first = settings_of(tmp_path / "a", **{RULES: named}).rule_set.rules
    routing = FILES[ROUTING] + "steps: [territories, holding]\n"
    without = settings_of(tmp_path / "b", **{RULES: named, ROUTING: routing}).rule_set.rules

    assert first[0].key == "acme"
    assert first[0].skills == ("welding",)
    assert [rule.key for rule in without] == [rule.key for rule in first[1:]]
