"""calendars.yaml: what it says reaches the working time of people, and every mistake in it has a line."""

# ruff: noqa: E501 (a row of the table below is read as one line)

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from test_settings_mistakes import complaint_of, folder_with, read

from connector.flows.staff import calendar_of
from connector.model.working import SpecialDay
from connector.settings import Settings, build, canonical, digest
from connector.worktime import add_work, is_working, is_working_day

CALENDARS = "calendars.yaml"
PEOPLE = "people.csv"

#: The people of the other mistakes, with a calendar each.
STAFF = """\
key,name,email,lane,role,team,timezone,calendar,user:crm
ann,Ann Ames,ann@example.com,sales,rep,north,Europe/Berlin,desk,u1
bob,Bob Beck,bob@example.com,sales,rep,north,America/New_York,desk,u2
meg,Meg Mann,meg@example.com,sales,manager,firm,Europe/Berlin,DE-BY,u3
"""

TEXT = """\
calendars:
  desk:
    holidays: DE-HB
    week:
      mon-thu: [06:00-13:45, 14:15-22:00]
      fri: [06:00-13:45]
    closed:
      - 2026-12-24..2026-12-31
      - 2027-05-07
    special_days:
      2026-12-05: [10:00-14:00]
      2027-03-29:
        - 10:00-12:00
  night:
    week:
      mon: [22:00-24:00]
      tue: [00:00-06:00]
"""


def folder_of(tmp_path: Path, text: str | None = TEXT, staff: str = STAFF) -> Path:
    return folder_with(tmp_path, **{CALENDARS: text, PEOPLE: staff})


def settings_of(folder: Path) -> Settings:
    loaded = read(folder)
    assert [str(complaint) for complaint in loaded.complaints] == []
    assert loaded.settings is not None
    return loaded.settings


def test_a_calendar_is_read_as_written(tmp_path: Path) -> None:
    text = TEXT.replace("2026-12-24..2026-12-31", "2026-12-24..2026-12-25")

    desk, night = settings_of(folder_of(tmp_path, text)).calendars.values()

    assert (desk.key, desk.country, desk.subdivision) == ("desk", "DE", "HB")
    assert desk.week == (*(((360, 825), (855, 1320)),) * 4, ((360, 825),), (), ())
    assert desk.special_days == (
        SpecialDay(date(2026, 12, 5), ((600, 840),)),
        SpecialDay(date(2026, 12, 24)),
        SpecialDay(date(2026, 12, 25)),
        SpecialDay(date(2027, 3, 29), ((600, 720),)),
        SpecialDay(date(2027, 5, 7)),
    )
    assert night.week == (((1320, 1440),), ((0, 360),), (), (), (), (), ())
    assert night.country == ""


def test_a_name_in_people_csv_brings_windows_and_each_person_their_own_zone(tmp_path: Path) -> None:
    settings = settings_of(folder_of(tmp_path))
    ann, bob, meg = (calendar_of(settings, key) for key in ("ann", "bob", "meg"))
    six_in_berlin = datetime(2026, 6, 22, 4, tzinfo=UTC)

    assert is_working(six_in_berlin, ann)
    assert not is_working(six_in_berlin, bob)
    assert not is_working(six_in_berlin, meg)
    assert add_work(six_in_berlin, timedelta(hours=8), ann) == datetime(2026, 6, 22, 12, 30, tzinfo=UTC)
    assert add_work(six_in_berlin, timedelta(hours=8), meg) == datetime(2026, 6, 22, 15, tzinfo=UTC)
    assert str(ann) == "desk DE-HB Europe/Berlin"
    assert str(meg) == "DE-BY Europe/Berlin"
    assert not any(is_working_day(date(2026, 12, day), ann) for day in range(24, 32))
    assert is_working_day(date(2027, 3, 29), ann)
    assert not is_working_day(date(2027, 3, 29), meg)


def test_settings_without_calendars_are_the_document_they_were(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)

    loaded = read(folder)

    assert loaded.settings is not None
    assert loaded.settings.calendars == {}
    assert loaded.document is not None
    assert "calendars" not in loaded.document


def test_calendars_survive_the_published_document(tmp_path: Path) -> None:
    loaded = read(folder_of(tmp_path))
    assert loaded.settings is not None
    assert loaded.document is not None

    rebuilt = build(json.loads(canonical(loaded.document)))

    assert rebuilt == loaded.settings
    assert rebuilt.hash == digest(canonical(loaded.document))
    assert calendar_of(rebuilt, "ann") == calendar_of(loaded.settings, "ann")


@pytest.mark.parametrize(
    ("old", "new"),
    [("13:45", "13:44"), ("DE-HB", "DE-NI"), ("2027-05-07", "2027-05-08"), ("tue:", "wed:")],
)
def test_another_calendar_is_another_hash(tmp_path: Path, old: str, new: str) -> None:
    before = settings_of(folder_of(tmp_path))

    after = settings_of(folder_of(tmp_path, TEXT.replace(old, new, 1)))

    assert after.hash != before.hash
    assert after.rule_set.hash == before.rule_set.hash


MISTAKES = {
    "country": ("DE-HB", "XX", 3, ("desk.holidays: 'XX' is no holiday calendar", "DE-BY")),
    "subdivision": ("DE-HB", "DE-ZZ", 3, ("'DE-ZZ' is no holiday calendar",)),
    "window backwards": ("06:00-13:45, 14", "13:45-06:00, 14", 5, ("mon-thu[1]", "ends before it begins", "22:00-24:00")),
    "empty window": ("fri: [06:00-13:45", "fri: [06:00-06:00", 6, ("ends before it begins",)),
    "night in one window": ("22:00-24:00", "22:00-06:00", 16, ("ends before it begins", "00:00-06:00")),
    "overlap": ("14:15-22:00", "13:30-22:00", 5, ("mon-thu[2]", "begins before '06:00-13:45' ends", "in order")),
    "no window": ("fri: [06:00-13:45]", "fri: [6am-2pm]", 6, ("'6am-2pm' is no window", "09:00-12:30")),
    "minute 60": ("fri: [06:00-13:45]", "fri: [06:00-13:60]", 6, ("is no window",)),
    "hour 25": ("22:00-24:00", "22:00-25:00", 16, ("is no window",)),
    "minute after midnight": ("22:00-24:00", "22:00-24:01", 16, ("is no window",)),
    "windows that are no list": ("fri: [06:00-13:45]", "fri: 06:00-13:45", 6, ("not a list", "- value")),
    "weekday": ("      fri:", "      fry:", 6, ("'fry' is no weekday", "did you mean 'fri'")),
    "weekday in German": ("      fri:", "      mi:", 6, ("'mi' is no weekday", "use one of: fri, mon")),
    "half a range of weekdays": ("mon-thu:", "-thu:", 5, ("is no weekday", "mon-fri")),
    "weekdays backwards": ("mon-thu:", "thu-mon:", 5, ("is an empty range", "apart")),
    "weekday twice": ("      fri:", "      thu:", 6, ("thu stands twice", "line 5", "remove one")),
    "no windows": ("      mon: [22:00-24:00]\n      tue: [00:00-06:00]", "      mon: []", 15, ("no windows", "at least one")),
    "no week": ("    week:\n      mon: [22:00-24:00]\n      tue: [00:00-06:00]", "    holidays: PL", 14, ("week: is missing",)),
    "closed on no date": ("2027-05-07", "07.05.2027", 9, ("closed[2]: '07.05.2027' is no date", "2026-01-31")),
    "closed on a date that is none": ("2027-05-07", "2027-02-29", 9, ("is no date",)),
    "closure backwards": ("2026-12-24..2026-12-31", "2026-12-31..2026-12-24", 8, ("is empty", "exchange")),
    "closure of years": ("2026-12-24..2026-12-31", "2026-12-24..2062-12-31", 8, ("longer than a year",)),
    "the last closure of all": ("2026-12-24..2026-12-31", "9999-12-31..9999-12-01", 8, ("is empty",)),
    "special day of no date": ("2026-12-05:", "5 December:", 11, ("'5 December' is no date",)),
    "special day that is closed": ("2026-12-05:", "2026-12-24:", 11, ("2026-12-24 stands twice", "line 8")),
    "day closed twice": ("2027-05-07", "2026-12-31", 9, ("2026-12-31 stands twice", "line 8")),
    "window of a special day": ("10:00-12:00", "10:00-9:00", 13, ("2027-03-29[1]", "ends before it begins")),
    "unknown key": ("    holidays:", "    holiday:", 3, ("holiday: is not known here", "did you mean 'holidays'")),
    "bad name": ("  night:", "  Night shift:", 14, ("is no key", "lower-case")),
    "unknown top": ("calendars:", "calendar:", 1, ("did you mean 'calendars'",)),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_file_line_and_advice(tmp_path: Path, old, new, line, says) -> None:
    assert old in TEXT

    loaded = read(folder_of(tmp_path, TEXT.replace(old, new, 1)))

    complaint_of(loaded, CALENDARS, line, *says)
    assert loaded.settings is None
    assert {complaint.file for complaint in loaded.complaints} == {CALENDARS}


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = (
        TEXT.replace("DE-HB", "XX").replace("14:15", "13:30").replace("2027-05-07", "soon").replace("22:00-24", "22-24")
    )

    loaded = read(folder_of(tmp_path, text, STAFF.replace("DE-BY", "De-BY")))

    assert [(found.file, found.line) for found in loaded.complaints] == [
        *((CALENDARS, line) for line in (3, 5, 9, 16)),
        (PEOPLE, 4),
    ]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("dsk", "did you mean 'desk'?"), ("DE-ZZ", "write a code like PL"), ("Bremen", "add it to calendars.yaml")],
)
def test_a_person_needs_a_known_calendar(tmp_path: Path, wrong: str, says: str) -> None:
    loaded = read(folder_of(tmp_path, TEXT, STAFF.replace("New_York,desk", f"New_York,{wrong}")))

    complaint_of(loaded, PEOPLE, 3, f"'{wrong}' is no calendar", says)


def test_without_the_file_its_names_are_unknown(tmp_path: Path) -> None:
    loaded = read(folder_of(tmp_path, None))

    complaint_of(loaded, PEOPLE, 2, "'desk' is no calendar", "calendars.yaml does not define it")


def test_an_unreadable_file_does_not_make_people_look_wrong(tmp_path: Path) -> None:
    loaded = read(folder_of(tmp_path, "calendars: [\n"))

    assert {complaint.file for complaint in loaded.complaints} == {CALENDARS}
