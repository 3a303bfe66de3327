"""`hearback rules reroute`: open leads follow the rules in force."""

import click

from connector.cli.listing import as_json, show
from connector.cli.progress import bar
from connector.cli.session import services_of
from connector.flows import reroute as flow
from connector.flows.reroute import Fate
from connector.services import Services

_TOLD = {
    Fate.MOVED: "{0} have another owner now.",
    Fate.SAME: "{0} were decided anew and stay with their owner.",
    Fate.NO_ROOM: "{0} stay where they are: nobody the rules lead to can take them now. Try again later.",
    Fate.ELSEWHERE: "{0} stay where they are: whoever would take them works in another CRM.",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list the leads, and the rules that decide.")
@as_json
def reroute(dry_run: bool, as_json: bool) -> None:
    """Decide open leads anew whose rules lead elsewhere now.

    Leads somebody moved in the CRM stay where they are. The turn a lead was given before is not given back.
    """
    with services_of() as services:
        if dry_run:
            _list(flow.affected(services), as_json=as_json)
            return
        with bar("leads") as progress:
            done = flow.work(services, progress=progress)
    if as_json:
        show([{str(fate): done[fate] for fate in Fate}], as_json=True)
        return
    for fate, count in done.items():
        click.echo(_TOLD[fate].format(count))
    if not done:
        click.echo("No open lead is led elsewhere.")


def tell_affected(services: Services) -> None:
    """Say how many open leads the version in force leads elsewhere."""
    if count := len(flow.affected(services)):
        click.echo(f"These rules lead {count} open leads elsewhere: `hearback rules reroute` decides them anew.")


def _list(found: list[flow.Affected], *, as_json: bool) -> None:
    rows = [
        {
            "lead": each.lead,
            "owner": each.owner,
            "rule then": each.before or "(none)",
            "rule now": each.after or "(none)",
        }
        for each in found
    ]
    show(rows, as_json=as_json)
