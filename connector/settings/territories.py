"""territories.csv: one routing rule a row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from connector.model.routing import Condition, Rule, Step
from connector.settings import texts
from connector.settings.cells import parse_cell
from connector.settings.complaints import Complaints
from connector.settings.organisation import Organisation
from connector.settings.people import FILE as PEOPLE
from connector.settings.people import Staff, check_keys_differ, check_no_cycle, load_row
from connector.settings.pools import FILE as POOLS
from connector.settings.pools import Routing, check_is_rep
from connector.settings.shapes import Shape, Text, complain, fault
from connector.settings.tables import Columns, Row, Table, read_table

FILE = "territories.csv"

#: Columns that test a facet, in the order their conditions are checked: the cheap and telling ones first.
FACETS = (
    "country",
    "postal",
    "region",
    "product",
    "industry",
    "employees",
    "segment",
    "language",
    "source",
    "campaign",
    "domain",
)

_CUSTOM = "custom."
COLUMNS = Columns(
    required=("rule", "order"),
    optional=("parent", *FACETS, "valid_from", "valid_to", "skills", "connection", "pool", "rep"),
    families=(_CUSTOM,),
    later=frozenset({"priority", "state", "city"}),
)


_PLAIN = ("order", "pool", "rep", "parent", "connection", "valid_from", "valid_to", "skills")


@dataclass(frozen=True, slots=True)
class Territories:
    """The rules in order of evaluation, and the line each stands on."""

    rules: tuple[Rule, ...]
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Line:
    """A rule and where it stands."""

    line: int
    rule: Rule


def order(text: str) -> int:
    """Return the place of a rule; smaller ones are tried first."""
    if not text.removeprefix("-").isdecimal():
        raise fault(f"'{text}' is no whole number", "rules are tried in ascending order", "write one like 10 or 200")
    return int(text)


class _Rule(Shape):
    rule = Text(texts.key, required=True)
    order = Text(order, required=True)
    parent = Text(load_default="")
    valid_from = Text(texts.day, load_default=None)
    valid_to = Text(texts.day, load_default=None)
    skills = Text(texts.words, load_default=())
    connection = Text(load_default=None)
    pool = Text(load_default=None)
    rep = Text(load_default=None)


def _shape(table: Table) -> Shape:
    """Return the shape of this table's rows: `postal` stays text, it is read with the row's country."""
    # marshmallow takes a dot in a field's name for nesting, but not in its data_key.
    tests: dict[str, Any] = {
        name.replace(".", ":"): Text(partial(parse_cell, name), data_key=name)
        for name in table.columns
        if name != "postal" and (name in FACETS or name.startswith(_CUSTOM))
    }
    return _Rule.from_dict({"postal": Text(), **tests})()  # type: ignore[return-value]  # from_dict says Schema


def read_rules(
    folder: Path, organisation: Organisation, staff: Staff, routing: Routing, complaints: Complaints
) -> Territories:
    """Read territories.csv; rows with mistakes are complained about and left out."""
    table = read_table(folder / FILE, COLUMNS, organisation.csv_encoding, complaints)
    lines = list(_rules(table, complaints))
    check_keys_differ(table, "rule", complaints)
    _check_parents(table, complaints)
    for row in table.rows:
        _check_destination(row, organisation, staff, routing, complaints)
    for each in lines:
        _check_values(each, organisation, complaints)
        _check_reach(each, staff, routing, complaints)
    rules = tuple(each.rule for each in sorted(lines, key=lambda each: each.rule.order))
    return Territories(rules, {each.rule.key: each.line for each in lines})


def in_order_of_steps(rules: Iterable[Rule], steps: Sequence[Step]) -> tuple[Rule, ...]:
    """Return rules as the steps ask for them: named accounts and territories apart, none of a step left out."""
    kept = [(steps.index(step), rule) for rule in rules if (step := _step(rule)) in steps]
    return tuple(rule for _, rule in sorted(kept, key=lambda each: each[0]))


def _step(rule: Rule) -> Step:
    return Step.NAMED_ACCOUNTS if rule.names_accounts else Step.TERRITORIES


def _rules(table: Table, complaints: Complaints) -> Iterable[_Line]:
    shape = _shape(table)
    for row in table.rows:
        found = load_row(shape, row, FILE, complaints)
        if found is None:
            continue
        try:
            yield _Line(row.line, _rule(found))
        except ValidationError as err:
            complain(complaints, FILE, lambda _path, line=row.line: line, err)  # type: ignore[misc]


def _rule(found: dict[str, Any]) -> Rule:
    _check_days(found)
    tests: dict[str, Condition | None] = {test.field: test for test in found.values() if isinstance(test, Condition)}
    tests["postal"] = _postal(found.get("postal", ""), tests.get("country"))
    names = (*FACETS, *sorted(name for name in tests if name.startswith(_CUSTOM)))
    return Rule(
        key=found["rule"],
        conditions=tuple(test for name in names if (test := tests.get(name)) is not None),
        **{name: found[name] for name in _PLAIN},
    )


def _check_days(found: dict[str, Any]) -> None:
    first, last = found["valid_from"], found["valid_to"]
    if first and last and first > last:
        raise fault(
            f"valid_from {first} lies after valid_to {last}",
            "the rule would never be in force",
            "exchange or correct the dates",
        )


def _postal(text: str, country: Condition | None) -> Condition | None:
    if not text:
        return None
    plain = country is not None and not country.exclude and not country.missing
    if country is None or not plain or len(country.include) != 1:
        raise fault(
            "postal needs exactly one country",
            "the same digits are another place in another country",
            "write one country code into the country cell, and split the rule if it needs several",
        )
    try:
        return parse_cell("postal", text, country.include[0].low.upper())
    except ValidationError as err:
        raise ValidationError({"postal": err.messages}) from err


def _check_parents(table: Table, complaints: Complaints) -> None:
    parents = {row.cells.get("rule", ""): row.cells.get("parent", "") for row in table.rows}
    rules = table.keys("rule")
    for row in table.rows:
        if parent := row.cells.get("parent", ""):
            complaints.unknown(FILE, row.line, "parent", parent, rules, home=FILE)
        check_no_cycle(FILE, row.line, row.cells.get("rule", ""), parents, complaints)


def _check_destination(
    row: Row, organisation: Organisation, staff: Staff, routing: Routing, complaints: Complaints
) -> None:
    pool, rep = row.cells.get("pool", ""), row.cells.get("rep", "")
    if bool(pool) == bool(rep):
        what = "the rule names a pool and a rep" if pool else "the rule leads nowhere"
        complaints.add(FILE, row.line, what, "a lead goes to one of them", "fill in either the pool or the rep cell")
    if pool:
        complaints.unknown(FILE, row.line, "pool", pool, routing.keys, home=f"pools in {POOLS}")
    if rep:
        complaints.unknown(FILE, row.line, "rep", rep, staff.keys, home=PEOPLE)
        check_is_rep((FILE, row.line, "rep"), rep, staff, complaints)
    if connection := row.cells.get("connection", ""):
        names, home = organisation.keys("connections"), "connections in hearback.yaml"
        complaints.unknown(FILE, row.line, "connection", connection, names, home=home)


def _check_values(each: _Line, organisation: Organisation, complaints: Complaints) -> None:
    known: Mapping[str, frozenset[str] | None] = {
        "source": organisation.keys("sources"),
        "campaign": organisation.keys("campaigns"),
    }
    for test in each.rule.conditions:
        for term in (*test.include, *test.exclude):
            if test.field in known and not term.prefix:
                names, home = known[test.field], f"{test.field}s in hearback.yaml"
                complaints.unknown(FILE, each.line, test.field, term.low, names, home=home)


def _check_reach(each: _Line, staff: Staff, routing: Routing, complaints: Complaints) -> None:
    """Complain about a rule's connection in which nobody it leads to has a user."""
    rule = each.rule
    pool = routing.pools.get(rule.pool or "")
    names = [member.person for member in pool.members] if pool else [rule.rep or ""]
    people = [staff.people[name] for name in names if name in staff.people]
    if rule.connection and people and not any(rule.connection in person.users for person in people):
        complaints.add(
            FILE,
            each.line,
            f"nobody of '{rule.pool or rule.rep}' has a user in connection '{rule.connection}'",
            "the lead could not be given to them there",
            f"fill in user:{rule.connection} in {PEOPLE}, or clear the connection cell",
        )
