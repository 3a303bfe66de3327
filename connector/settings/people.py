"""people.csv and teams.csv: who works here, in which team, with which users in the CRMs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from connector.model.people import Person, Role, Team
from connector.model.routing import SPANS
from connector.settings import texts
from connector.settings.calendars import Calendars, check_calendar
from connector.settings.complaints import Complaints
from connector.settings.organisation import Organisation
from connector.settings.shapes import Shape, Text, at_least, complain, one_of
from connector.settings.tables import Columns, Row, Table, read_table

FILE = "people.csv"
TEAMS = "teams.csv"

#: Areas of work (aftersales reference, section 1).
LANES = (
    "marketing",
    "sales",
    "order_desk",
    "production",
    "fulfilment",
    "customer_service",
    "finance",
    "management",
)

_USER = "user:"
_RATE = "max_per_"
_COLUMNS = Columns(
    required=("key", "name", "email", "lane", "role", "team"),
    optional=(
        *("timezone", "calendar", "languages", "skills", "active", "weight", "max_open"),
        *(f"{_RATE}{span}" for span in SPANS),
        "starts",
    ),
    families=(_USER,),
)
_TEAM_COLUMNS = Columns(required=("key", "name", "parent", "manager"))


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody who could be read. `keys` and `team_keys` name the others too; None: the file is unreadable."""

    people: Mapping[str, Person]
    teams: Mapping[str, Team]
    keys: frozenset[str] | None
    team_keys: frozenset[str] | None


def lane(text: str) -> str:
    """Return an area of work; `order desk` is written as `order_desk`."""
    return one_of(LANES)(text.casefold().replace(" ", "_").replace("-", "_"))


class _Person(Shape):
    key = Text(texts.key, required=True)
    name = Text(required=True)
    email = Text(texts.email, required=True)
    lane = Text(lane, required=True)
    role = Text(one_of(tuple(Role)), required=True)
    team = Text(required=True)
    timezone = Text(texts.timezone)
    calendar = Text()
    languages = Text(texts.languages)
    skills = Text(texts.words)
    active = Text(texts.yes_no)
    weight = Text(at_least(1))
    max_open = Text(at_least(0))
    max_per_hour = Text(texts.rate_cap)
    max_per_day = Text(texts.rate_cap)
    max_per_week = Text(texts.rate_cap)
    max_per_month = Text(texts.rate_cap)
    starts = Text(texts.day)


class _Team(Shape):
    key = Text(texts.key, required=True)
    name = Text(required=True)
    parent = Text(load_default="")
    manager = Text(load_default="")


def read_staff(folder: Path, organisation: Organisation, calendars: Calendars, complaints: Complaints) -> Staff:
    """Read people.csv and teams.csv; rows with mistakes are complained about and left out."""
    people = read_table(folder / FILE, _COLUMNS, organisation.csv_encoding, complaints)
    teams = read_table(folder / TEAMS, _TEAM_COLUMNS, organisation.csv_encoding, complaints)
    _check_user_columns(people, organisation, complaints)
    staff = Staff(
        people={person.key: person for _, person in _people(people, organisation, complaints)},
        teams={team.key: team for _, team in _teams(teams, complaints)},
        keys=people.keys("key"),
        team_keys=teams.keys("key"),
    )
    _check_people(people, staff, complaints)
    for row in people.rows:
        check_calendar(FILE, row.line, row.cells.get("calendar", ""), calendars, complaints)
    _check_teams(teams, staff, complaints)
    return staff


def load_row(shape: Shape, row: Row, file: str, complaints: Complaints) -> dict[str, Any] | None:
    """Return a row as its shape reads it; None, with complaints, if it has mistakes."""
    try:
        loaded: dict[str, Any] = shape.load(dict(row.cells))
    except ValidationError as err:
        complain(complaints, file, lambda _path: row.line, err)
        return None
    return loaded


def check_keys_differ(table: Table, column: str, complaints: Complaints) -> None:
    """Complain about every key that stands in more than one row."""
    first: dict[str, int] = {}
    for row in table.rows:
        name = row.cells.get(column, "")
        if name and first.setdefault(name, row.line) != row.line:
            complaints.add(
                table.file,
                row.line,
                f"{column} '{name}' stands twice",
                f"line {first[name]} has it already",
                "rename or remove one of the two rows",
            )


def _people(table: Table, organisation: Organisation, complaints: Complaints) -> Iterable[tuple[int, Person]]:
    shape = _Person()
    for row in table.rows:
        users = {name.removeprefix(_USER): cell for name, cell in row.cells.items() if name.startswith(_USER)}
        plain = {name: cell for name, cell in row.cells.items() if not name.startswith(_USER)}
        found = load_row(shape, Row(row.line, plain), table.file, complaints)
        if found is not None:
            yield row.line, _person(found, users, organisation)


def _person(found: dict[str, Any], users: Mapping[str, str], organisation: Organisation) -> Person:
    defaults = {
        "timezone": organisation.timezone,
        "calendar": organisation.country,
        "languages": organisation.languages[:1],
    }
    rates = {span: text for span in SPANS if (text := found.pop(f"{_RATE}{span}", None))}
    return Person(**{**defaults, **found, "role": Role(found["role"]), "users": dict(users), "rates": rates})


def _teams(table: Table, complaints: Complaints) -> Iterable[tuple[int, Team]]:
    shape = _Team()
    for row in table.rows:
        found = load_row(shape, row, table.file, complaints)
        if found is not None:
            yield row.line, Team(**found)


def _check_user_columns(table: Table, organisation: Organisation, complaints: Complaints) -> None:
    for name in table.columns:
        if name.startswith(_USER):
            names, home = organisation.keys("connections"), "connections in hearback.yaml"
            connection = name.removeprefix(_USER)
            complaints.unknown(table.file, table.line, f"column {_USER}", connection, names, home=home)


def _check_people(table: Table, staff: Staff, complaints: Complaints) -> None:
    check_keys_differ(table, "key", complaints)
    seen: dict[tuple[str, str], int] = {}
    for row in table.rows:
        if team := row.cells.get("team", ""):
            complaints.unknown(table.file, row.line, "team", team, staff.team_keys, home=TEAMS)
        users = {name: cell for name, cell in row.cells.items() if name.startswith(_USER)}
        for column, user in users.items():
            _check_user(table, row, (column, user), seen, complaints)
        if row.cells.get("role") == Role.REP and not users:
            complaints.add(
                table.file,
                row.line,
                f"rep '{row.cells.get('key', '')}' has no CRM user",
                "a lead could not be given to them",
                "fill in a user:CONNECTION cell with their user id in that CRM",
            )


def _check_user(
    table: Table, row: Row, user: tuple[str, str], seen: dict[tuple[str, str], int], complaints: Complaints
) -> None:
    first = seen.setdefault(user, row.line)
    if first != row.line:
        complaints.add(
            table.file,
            row.line,
            f"{user[0]} '{user[1]}' stands twice",
            f"line {first} has the same user, and a record's owner must be one person",
            "correct one of the two user ids",
        )


def _check_teams(table: Table, staff: Staff, complaints: Complaints) -> None:
    check_keys_differ(table, "key", complaints)
    parents = {row.cells.get("key", ""): row.cells.get("parent", "") for row in table.rows}
    for row in table.rows:
        if parent := row.cells.get("parent", ""):
            complaints.unknown(table.file, row.line, "parent", parent, staff.team_keys, home=TEAMS)
        if manager := row.cells.get("manager", ""):
            complaints.unknown(table.file, row.line, "manager", manager, staff.keys, home=FILE)
        check_no_cycle(table.file, row.line, row.cells.get("key", ""), parents, complaints)


def check_no_cycle(file: str, line: int, start: str, next_of: Mapping[str, str], complaints: Complaints) -> None:
    """Complain if following `next_of` from `start` leads back to it."""
    path = [start]
    while (name := next_of.get(path[-1], "")) and name not in path:
        path.append(name)
    if start and name == start:
        complaints.add(
            file,
            line,
            f"'{start}' is above itself ({' -> '.join([*path, start])})",
            "the chain would never end",
            "clear or correct one of them",
        )
