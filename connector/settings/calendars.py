"""calendars.yaml: when people work, by names that people.csv refers to."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, fields

from connector.model.working import SpecialDay, Window
from connector.settings import texts
from connector.settings.complaints import Complaints, suggestion
from connector.settings.pages import Page, read_page
from connector.settings.shapes import Keyed, Listing, Shape, Text, complain, dotted, fault
from connector.settings.shapes import Path as ValuePath
from connector.settings.values import WorkCalendar

FILE = "calendars.yaml"

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})")
_HOUR = 60
_MIDNIGHT = 24 * _HOUR
_YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Calendars:
    """What calendars.yaml says. `keys` name broken calendars too; None: the file is unreadable."""

    calendars: Mapping[str, WorkCalendar] = field(default_factory=dict)
    keys: frozenset[str] | None = frozenset()


def window(text: str) -> Window:
    """Return the minutes of the day of a window like 09:00-12:30."""
    found = _WINDOW.fullmatch(text)
    hours, minutes, until, past = map(int, found.groups()) if found else (0, _HOUR, 0, _HOUR)
    opens, closes = hours * _HOUR + minutes, until * _HOUR + past
    if max(minutes, past) >= _HOUR or max(opens, closes) > _MIDNIGHT:
        raise fault(f"'{text}' is no window", "working time is counted in it", "write it like 09:00-12:30")
    if closes <= opens:
        raise fault(
            f"'{text}' ends before it begins",
            "a window lies within one day",
            "exchange the times, or write a night shift as 22:00-24:00 and, on the day after, 00:00-06:00",
        )
    return opens, closes


def weekdays(text: str) -> range:
    """Return the numbers, from Monday's 0 on, of a weekday like mon or a range like mon-fri."""
    first, _, last = text.lower().partition("-")
    for name in (first, last or first):
        if name not in WEEKDAYS:
            advice = suggestion(name, WEEKDAYS) if name else "write a range like mon-fri"
            raise fault(f"'{text}' is no weekday", "windows belong to days of the week", advice)
    begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    if end < begin:
        raise fault(f"'{text}' is an empty range", "weeks begin on Monday", f"list '{first}' and '{last}' apart")
    return range(begin, end + 1)


def days(text: str) -> tuple[date, ...]:
    """Return the dates of a day like 2026-12-24 or a range like 2026-12-24..2026-12-31."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    begin = texts.day(first)
    end = texts.day(last) if dots else begin
    if not timedelta(0) <= end - begin < _YEAR:
        raise fault(
            f"the range '{text}' is empty or longer than a year",
            "a closure has a first and a last day",
            "exchange or correct the dates",
        )
    return tuple(begin + timedelta(days=number) for number in range((end - begin).days + 1))


class _Windows(Listing):
    """The windows of a day: in order, none inside another."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Text(window), **options)

    def _deserialize(self, value: Any, *context: Any, **options: Any) -> tuple[Window, ...]:
        windows = super()._deserialize(value, *context, **options)
        errors = {
            at: fault(
                f"'{value[at]}' begins before '{value[at - 1]}' ends",
                "no minute can be worked twice",
                "write the windows in order and without overlap",
            ).messages
            for at, (before, after) in enumerate(pairwise(windows), 1)
            if after[0] < before[1]
        }
        if errors:
            raise ValidationError(errors)
        return windows


class _Calendar(Shape):
    holidays = Text(texts.calendar, load_default="")
    week = Keyed(_Windows(), weekdays, required=True)
    closed = Listing(Text(days), load_default=())
    special_days = Keyed(_Windows(), texts.day, load_default=dict)


class _File(Shape):
    calendars = Keyed(fields.Nested(_Calendar), texts.key, required=True)


def read_calendars(folder: Path, complaints: Complaints) -> Calendars:
    """Read calendars.yaml, which may be absent; calendars with mistakes are complained about and left out."""
    if not (folder / FILE).exists():
        return Calendars()
    page = read_page(folder / FILE, FILE, complaints)
    if page is None:
        return Calendars(keys=None)
    try:
        data: dict[str, Any] = _File().load(page.data)
    except ValidationError as err:
        complain(complaints, FILE, page.line, err)
        data = err.valid_data if isinstance(err.valid_data, dict) else {}
    found: dict[str, Any] = data.get("calendars", {})
    for key, each in found.items():
        _check(key, each, page, complaints)
    keys = page.keys("calendars") if "calendars" in page.data else None
    return Calendars({key: _calendar(key, each) for key, each in found.items()}, keys)


def check_calendar(file: str, line: int, text: str, calendars: Calendars, complaints: Complaints) -> None:
    """Complain unless `text` is the name of a calendar or the code of a place with holidays."""
    if not text or calendars.keys is None or text in calendars.keys:
        return
    try:
        texts.calendar(text)
    except ValidationError:
        complaints.add(
            file,
            line,
            f"calendar: '{text}' is no calendar",
            f"{FILE} does not define it, and no place with known holidays has this code",
            suggestion(text, calendars.keys, otherwise=f"write a code like PL, DE-BY or US-NY, or add it to {FILE}"),
        )


def _check(key: str, found: dict[str, Any], page: Page, complaints: Complaints) -> None:
    at = ("calendars", key)
    week = [((*at, "week", name), WEEKDAYS[number]) for name in found["week"] for number in weekdays(name)]
    _check_once(week, page, complaints)
    _check_once([(path, day) for path, day, _ in _special_days(at, found)], page, complaints)
    if not any(found["week"].values()):
        what, why = f"{dotted((*at, 'week'))}: has no windows", "nothing would ever be due"
        complaints.add(FILE, page.line((*at, "week")), what, why, "give at least one weekday a window")


def _check_once(entries: Iterable[tuple[ValuePath, object]], page: Page, complaints: Complaints) -> None:
    first: dict[object, ValuePath] = {}
    for path, each in entries:
        earlier = first.setdefault(each, path)
        if earlier != path:
            complaints.add(
                FILE,
                page.line(path),
                f"{dotted(path)}: {each} stands twice",
                f"line {page.line(earlier)} has it already",
                "remove one of the two",
            )


def _calendar(key: str, found: dict[str, Any]) -> WorkCalendar:
    country, _, subdivision = found["holidays"].partition("-")
    week: list[tuple[Window, ...]] = [()] * len(WEEKDAYS)
    for name, windows in found["week"].items():
        for number in weekdays(name):
            week[number] = windows
    special = {day: windows for _, day, windows in _special_days((), found)}
    return WorkCalendar(
        key, tuple(week), country, subdivision, tuple(SpecialDay(day, special[day]) for day in sorted(special))
    )


def _special_days(at: ValuePath, found: dict[str, Any]) -> Iterator[tuple[ValuePath, date, tuple[Window, ...]]]:
    for number, closure in enumerate(found["closed"]):
        for day in closure:
            yield (*at, "closed", number), day, ()
    for name, windows in found["special_days"].items():
        yield (*at, "special_days", name), texts.day(name), windows
