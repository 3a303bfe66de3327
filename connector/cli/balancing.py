"""`hearback rules balance`: a fairer cut of postal areas, by few moves."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from connector import publishing
from connector.cli.cut_picture import draw
from connector.cli.folder import valid
from connector.cli.listing import as_json, show, show_one
from connector.cli.options import since_option
from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows.balance import balance as proposed
from connector.routing.areas import Destination
from connector.routing.balancing import Proposal
from connector.routing.recut import Row, rows
from connector.settings.rewriting import Edit, Rewritten, rewritten

NOT_PROVED = "The search ran out of time: the best cut may cost {gap:.0%} less, and another run may find another one."


@click.command()
@click.argument("country", type=str.upper)
@since_option
@click.option(
    "--digits",
    type=click.IntRange(min=1),
    help="Leading digits of the postal code that make an area. [default: US 3, else 2]",
)
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write a changed territories.csv there.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw before and after there, as SVG.")
@as_json
def balance(
    country: str, since: timedelta, digits: int | None, write: Path | None, picture: Path | None, as_json: bool
) -> None:
    """Propose a fairer cut of a COUNTRY's postal areas.

    Few areas move, neighbours on the number line of codes stay together where that costs little, and nothing is
    changed by itself. Only rules that test nothing but country and postal take part.
    """
    settings = valid().settings
    assert settings is not None
    with services_of() as services:
        proposal = proposed(services.store, settings, country, since=since, digits=digits)
    changed = rewritten(publishing.config_folder(), _edits(rows(settings.rule_set, proposal)))
    _tell(proposal, changed, as_json=as_json)
    if write is not None:
        _save(write, changed.content)
    if picture is not None:
        _save(picture, draw(proposal).encode())


def _save(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as err:
        raise HearbackError(f"{file} cannot be written: {err.strerror}") from err


def _edits(changed: list[Row]) -> list[Edit]:
    return [Edit(row.source, _cells(row), added=row.key != row.source) for row in changed]


def _cells(row: Row) -> dict[str, str]:
    to = row.destination
    led = {"pool": to.name if to.pool else "", "rep": "" if to.pool else to.name, "connection": to.connection}
    return {"rule": row.key, "postal": row.cell, **led}


def _tell(proposal: Proposal, changed: Rewritten, *, as_json: bool) -> None:
    if as_json:
        show_one(_document(proposal, changed), as_json=True)
        return
    before, after = proposal.deviation
    click.echo(f"{proposal.leads} leads in {len(proposal.areas)} areas of {proposal.cut.country}.")
    show(_shares(proposal), as_json=False)
    click.echo(f"The largest deviation from a fair share: {before:.0%} now, {after:.0%} then.")
    if not proposal.moves:
        click.echo("Fair enough: nothing should move." if not proposal.gap else "No fairer cut was found.")
        return
    show(_moves(proposal), as_json=False)
    if proposal.gap:
        click.echo(NOT_PROVED.format(gap=proposal.gap))
    click.echo("The changed lines of territories.csv:")
    for line in changed.new:
        click.echo(line)


def _shares(proposal: Proposal) -> list[dict[str, str]]:
    return [
        {
            "rep or pool": str(each.destination),
            "fair share": f"{each.wanted:.1%}",
            "now": f"{each.before:.1%}",
            "then": f"{each.after:.1%}",
            "leads now": str(each.leads_before),
            "leads then": str(each.leads_after),
        }
        for each in proposal.balances
    ]


def _moves(proposal: Proposal) -> list[dict[str, str]]:
    return [
        {"area": area.cell, "leads": str(area.leads), "from": str(area.destination), "to": str(to), "rule": area.rule}
        for area, to in proposal.moves
    ]


def _document(proposal: Proposal, changed: Rewritten) -> dict[str, object]:
    before, after = proposal.deviation
    return {
        "country": proposal.cut.country,
        "leads": proposal.leads,
        "areas": len(proposal.areas),
        "deviation": {"before": before, "after": after},
        "gap": proposal.gap,
        "shares": [asdict(each) | {"destination": _name(each.destination)} for each in proposal.balances],
        "moves": [
            {
                "area": area.cell,
                "leads": area.leads,
                "rule": area.rule,
                "from": _name(area.destination),
                "to": _name(to),
            }
            for area, to in proposal.moves
        ],
        "lines": list(changed.new),
    }


def _name(destination: Destination) -> dict[str, object]:
    return asdict(destination)
