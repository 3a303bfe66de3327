"""absences.csv: who is on leave from when to when, and who stands in."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connector.model.working import Leave
from connector.settings import texts
from connector.settings.complaints import Complaints
from connector.settings.organisation import Organisation
from connector.settings.people import FILE as PEOPLE
from connector.settings.people import Staff, load_row
from connector.settings.shapes import Shape, Text, fault
from connector.settings.tables import Columns, Row, read_table

FILE = "absences.csv"

_COLUMNS = Columns(required=("person", "from", "to"), optional=("delegate", "note"))


def moment(text: str) -> date | datetime:
    """Return a day, or a minute of one, as a person's own clock shows it."""
    day, _, clock = text.replace("T", " ").partition(" ")
    if not clock:
        return texts.day(day)
    try:
        return datetime.combine(texts.day(day), time.fromisoformat(clock))
    except ValueError as err:
        raise fault(
            f"'{text}' is no time of a day", "leave begins and ends by the clock", "write it like 2026-12-24 09:00"
        ) from err


class _Absence(Shape):
    person = Text(required=True)
    begin = Text(moment, required=True, data_key="from")
    end = Text(moment, required=True, data_key="to")
    delegate = Text(load_default="")
    note = Text(load_default="")


def read_absences(
    folder: Path, organisation: Organisation, staff: Staff, complaints: Complaints
) -> dict[str, tuple[Leave, ...]]:
    """Read absences.csv, which may be absent; rows with mistakes are complained about and left out."""
    if not (folder / FILE).exists():
        return {}
    table = read_table(folder / FILE, _COLUMNS, organisation.csv_encoding, complaints)
    found: dict[str, list[Leave]] = {}
    for person, leave in _leaves(table.rows, organisation, staff, complaints):
        found.setdefault(person, []).append(leave)
    return {person: tuple(sorted(leaves, key=lambda each: each.starts)) for person, leaves in found.items()}


def _leaves(
    rows: Iterable[Row], organisation: Organisation, staff: Staff, complaints: Complaints
) -> Iterable[tuple[str, Leave]]:
    shape = _Absence()
    for row in rows:
        for column in ("person", "delegate"):
            if name := row.cells.get(column, ""):
                complaints.unknown(FILE, row.line, column, name, staff.keys, home=PEOPLE)
        found = load_row(shape, row, FILE, complaints)
        if found is not None and _holds(found, row, complaints):
            yield found["person"], _leave(found, _zone(found["person"], organisation, staff))


def _holds(found: Mapping[str, Any], row: Row, complaints: Complaints) -> bool:
    if _wall(found["begin"], at_end=False) >= _wall(found["end"], at_end=True):
        complaints.add(
            FILE, row.line, "the leave ends before it begins", "nobody would be away", "exchange or correct from and to"
        )
        return False
    if found["delegate"] == found["person"]:
        complaints.add(
            FILE, row.line, f"'{found['person']}' stands in for themselves", "they are away", "name somebody else"
        )
        return False
    return True


def _leave(found: Mapping[str, Any], zone: ZoneInfo) -> Leave:
    starts, ends = (_wall(found[name], at_end=name == "end").replace(tzinfo=zone) for name in ("begin", "end"))
    return Leave(starts.astimezone(UTC), ends.astimezone(UTC), found["delegate"])


def _wall(moment: date | datetime, *, at_end: bool) -> datetime:
    """Return the wall clock a leave begins or ends at: a day counts from its first minute to its last."""
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment + timedelta(days=at_end), time())


def _zone(person: str, organisation: Organisation, staff: Staff) -> ZoneInfo:
    known = staff.people.get(person)
    return ZoneInfo(known.timezone if known else organisation.timezone)
