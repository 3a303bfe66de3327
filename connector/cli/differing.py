"""`hearback rules diff`: two versions side by side, in words and in the cells of the files."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import singledispatch

import click

from connector.cli.listing import as_json, show_one
from connector.cli.session import services_of
from connector.cli.versions import drafted, in_force, one_version, published_settings
from connector.model.routing import SPANS, Cap, Condition, RuleSet
from connector.routing.difference import About, Change, Difference, difference
from connector.settings.cells import write_cell

_SPANS = {span: name for name, span in SPANS.items()}


@click.command()
@click.argument("old", default="")
@click.argument("new", default="")
@as_json
def diff(old: str, new: str, as_json: bool) -> None:
    """Show what differs between two versions of the rules.

    OLD and NEW are beginnings of names in `rules list`. Without NEW the folder is compared, without OLD the version
    in force.
    """
    before, after = _pair(old, new)
    found = difference(before, after)
    if as_json:
        show_one(_document(before, after, found), as_json=True)
        return
    for line in _lines(found):
        click.echo(line)
    if not found.changes:
        click.echo("The rules are the same.")


def _pair(old: str, new: str) -> tuple[RuleSet, RuleSet]:
    with services_of() as services, services.store.transaction() as tx:
        first = published_settings(tx, one_version(tx, old) if old else in_force(tx))
        second = published_settings(tx, one_version(tx, new)) if new else drafted()
    return first.rule_set, second.rule_set


def _document(before: RuleSet, after: RuleSet, found: Difference) -> dict[str, object]:
    changes = [
        {
            "about": str(each.about),
            "key": each.key,
            "field": each.field,
            "before": _data(each.before),
            "after": _data(each.after),
        }
        for each in found.changes
    ]
    return {
        "old": before.hash,
        "new": after.hash,
        "changes": changes,
        "joined": list(found.joined),
        "left": list(found.left),
    }


def _data(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _data(each) for name, each in value.items()}
    return None if value is None else said(value)


def _lines(found: Difference) -> Iterator[str]:
    yield from map(_line, found.changes)
    if found.joined:
        yield f"Gets leads from now on: {', '.join(found.joined)}."
    if found.left:
        yield f"Gets no leads any more: {', '.join(found.left)}."


def _line(change: Change) -> str:
    about = " ".join(filter(None, (change.about if change.about is not About.SETTING else "", change.key)))
    if not change.field:
        return f"{about}: added ({_all(change.after)})" if change.before is None else f"{about}: removed"
    if change.field == "after":
        return f"{about}: stands {_place(change.after)} now, stood {_place(change.before)}"
    what = f"{about}: {change.field}" if about else change.field
    if change.before is None:
        return f"{what}: {said(change.after)} (was not set)"
    if change.after is None:
        return f"{what}: not set any more (was {said(change.before)})"
    return f"{what}: {said(change.before)} -> {said(change.after)}"


def _place(behind: object) -> str:
    return f"behind {behind}" if behind else "first"


def _all(cells: object) -> str:
    assert isinstance(cells, Mapping)
    return ", ".join(f"{name} {said(value)}" for name, value in cells.items())


@singledispatch
def said(value: object) -> str:
    """Say a value as the files write it."""
    return str(value)


@said.register
def _(value: bool) -> str:
    return "yes" if value else "no"


@said.register
def _(value: Condition) -> str:
    return write_cell(value)


@said.register
def _(value: tuple) -> str:  # type: ignore[type-arg]  # singledispatch wants the bare class
    return ";".join(map(str, value))


@said.register
def _(value: date) -> str:
    return value.isoformat()


@said.register
def _(value: timedelta) -> str:
    return f"{value / timedelta(hours=1):g}h"


@said.register
def _(value: Cap) -> str:
    tests = "".join(f" of {test.field} {write_cell(test)}" for test in value.conditions)
    return f"{value.limit} per {_SPANS.get(value.span, value.span)}{tests}"
