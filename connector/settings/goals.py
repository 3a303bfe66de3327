"""goals.csv and goals.yaml: who shall reach what, and how currencies convert."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from connector.model.goals import Goal
from connector.settings import texts
from connector.settings.complaints import Complaints
from connector.settings.organisation import Organisation
from connector.settings.pages import Page, read_page
from connector.settings.people import FILE as PEOPLE
from connector.settings.people import Staff, load_row
from connector.settings.shapes import Keyed, Listing, Shape, Text, complain, one_of
from connector.settings.tables import Columns, Row, read_table

FILE = "goals.csv"
RATES = "goals.yaml"

METRICS = ("bookings",)

_COLUMNS = Columns(required=("person", "metric", "start", "end", "amount", "currency"))


@dataclass(frozen=True, slots=True)
class Measures:
    """What goals.yaml says: metrics in use, and what one unit of each currency is worth; None: unreadable."""

    metrics: tuple[str, ...] | None = None
    rates: Mapping[str, str] | None = None


class _Goal(Shape):
    person = Text(required=True)
    metric = Text(one_of(METRICS), required=True)
    start = Text(texts.day, required=True)
    end = Text(texts.day, required=True)
    amount = Text(texts.amount, required=True)
    currency = Text(texts.currency, required=True)


class _Rates(Shape):
    currency = Text(texts.currency, required=True)
    metrics = Listing(Text(one_of(METRICS)), required=True)
    rates = Keyed(Text(texts.rate), texts.currency, load_default=dict)


def read_goals(
    folder: Path, organisation: Organisation, staff: Staff, complaints: Complaints
) -> tuple[tuple[Goal, ...], Mapping[str, str]]:
    """Read the goals and the rates; both files may be absent, goals.csv not without goals.yaml."""
    if not (folder / FILE).exists() and not (folder / RATES).exists():
        return (), {}
    page = read_page(folder / RATES, RATES, complaints)
    measures = _measures(page, complaints)
    goals: list[tuple[Row, Goal]] = []
    if (folder / FILE).exists():
        table = read_table(folder / FILE, _COLUMNS, organisation.csv_encoding, complaints)
        shape = _Goal()
        goals = [(row, goal) for row in table.rows if (goal := _goal(row, shape, staff, measures, complaints))]
    _check_single(goals, complaints)
    return tuple(goal for _, goal in goals), measures.rates or {}


def _measures(page: Page | None, complaints: Complaints) -> Measures:
    if page is None:
        return Measures()
    try:
        found: dict[str, Any] = _Rates().load(page.data)
    except ValidationError as err:
        complain(complaints, RATES, page.line, err)
        return Measures()
    currency: str = found["currency"]
    if currency in found["rates"]:
        complaints.add(
            RATES,
            page.line(("rates", currency)),
            f"rates.{currency}: is the currency the rates are in",
            "its rate is always 1",
            "remove the line",
        )
    return Measures(found["metrics"], {**found["rates"], currency: "1"})


def _goal(row: Row, shape: Shape, staff: Staff, measures: Measures, complaints: Complaints) -> Goal | None:
    if person := row.cells.get("person", ""):
        complaints.unknown(FILE, row.line, "person", person, staff.keys, home=PEOPLE)
    found: dict[str, Any] | None = load_row(shape, row, FILE, complaints)
    if found is None:
        return None
    goal = Goal(**found)
    _check(goal, row, measures, complaints)
    return goal


def _check(goal: Goal, row: Row, measures: Measures, complaints: Complaints) -> None:
    if goal.start > goal.end:
        complaints.add(
            FILE,
            row.line,
            f"start {goal.start} lies after end {goal.end}",
            "the goal would cover no day",
            "exchange or correct the dates",
        )
    complaints.unknown(FILE, row.line, "metric", goal.metric, measures.metrics, home=f"metrics in {RATES}")
    complaints.unknown(FILE, row.line, "currency", goal.currency, measures.rates, home=f"rates in {RATES}")


def _check_single(goals: list[tuple[Row, Goal]], complaints: Complaints) -> None:
    first: dict[tuple[str, str, date, date], int] = {}
    for row, goal in goals:
        line = first.setdefault((goal.person, goal.metric, goal.start, goal.end), row.line)
        if line != row.line:
            complaints.add(
                FILE,
                row.line,
                f"the goal of '{goal.person}' from {goal.start} stands twice",
                f"line {line} has the same person, metric and days",
                "remove or correct one of the two rows",
            )
