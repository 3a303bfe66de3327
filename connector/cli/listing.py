"""What came in, what goes out, who owns what and why: `deliveries`, `commands`, `leads`, `explain`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows import reading
from connector.store import commands as outbox
from connector.store import connections
from connector.store import deliveries as inbox
from connector.store import leads as lead_store

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Show at most so many."
)


@click.group()
def deliveries() -> None:
    """Show what came in, and replay what was set aside."""


@deliveries.command("list")
@click.option("--state", type=click.Choice(["stored", "waiting", "quarantined", "done"]), help="Only in this state.")
@click.option(
    "--fate",
    type=click.Choice(["leads", "updated", "duplicate", "applied", "rejected", "erased"]),
    help="Only with this fate.",
)
@click.option("--source", help="A source's key; crm:CONNECTION for what a CRM sent.")
@limit_option
@as_json
def list_deliveries(state: str | None, fate: str | None, source: str | None, limit: int, as_json: bool) -> None:
    """List deliveries, newest first."""
    with services_of() as services:
        rows = reading.deliveries(services, state=state, fate=fate, source=source, limit=limit)
    show(
        [
            {
                "id": r.id,
                "received": r.received_at,
                "source": r.source,
                "fate": r.fate or r.state,
                "score": r.score,
                "reason": r.reason,
            }
            for r in rows
        ],
        as_json=as_json,
    )


@deliveries.command("show")
@click.argument("delivery", type=click.UUID)
@as_json
def show_delivery(delivery: UUID, as_json: bool) -> None:
    """Show one delivery and what became of it."""
    with services_of() as services:
        found = reading.receipt(services, delivery)
    if found is None:
        raise HearbackError(f"no delivery has the id {delivery}: see `hearback deliveries list`")
    show_one(asdict(found) | {"sha256": found.sha256.hex()}, as_json=as_json)


@deliveries.command("replay")
@click.argument("delivery", type=click.UUID)
def replay_delivery(delivery: UUID) -> None:
    """Send a quarantined or rejected delivery through again."""
    with services_of() as services, services.store.transaction() as tx:
        if not inbox.replay(tx, delivery):
            raise HearbackError(f"{delivery} is neither quarantined nor rejected: there is nothing to replay")
        tx.after_commit(lambda: services.wake("intake"))
        tx.after_commit(lambda: services.wake("sync"))
    click.echo("It is worked again.")


@click.group()
def commands() -> None:
    """Show what goes out, and what is stuck."""


@commands.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["pending", "done", "dead", "parked", "observed"]),
    help="Only in this state; may be given more than once.",
)
@limit_option
@as_json
def list_commands(states: Sequence[str], limit: int, as_json: bool) -> None:
    """List commands, newest first.

    Without --state those that need attention: pending and dead.
    """
    with services_of() as services, services.store.transaction() as tx:
        rows = outbox.listing(tx, states=states or ("pending", "dead"), limit=limit)
        resting = {name: connections.state(tx, name).pause for name in sorted({row["connection"] for row in rows})}
    for name, pause in resting.items():
        if pause is not None:
            until = f"{pause.until:%Y-%m-%d %H:%M} UTC" if pause.until else f"`hearback crm resume {name}`"
            click.echo(f"{name} rests until {until}: {pause.reason}", err=True)
    show(rows, as_json=as_json)


@commands.command("retry")
@click.argument("command", type=click.UUID)
def retry_command(command: UUID) -> None:
    """Try a dead letter again."""
    with services_of() as services, services.store.transaction() as tx:
        if not outbox.retry(tx, command):
            raise HearbackError(f"{command} is no dead letter: see `hearback commands list --state dead`")
        tx.after_commit(lambda: services.wake("commands"))
    click.echo("It is tried again.")


@commands.command("park")
@click.argument("command", type=click.UUID)
def park_command(command: UUID) -> None:
    """Set a command aside for good.

    Later ones for the same record then go on.
    """
    with services_of() as services, services.store.transaction() as tx:
        if not outbox.park(tx, command):
            raise HearbackError(f"{command} is neither pending nor dead: see `hearback commands list`")
    click.echo("It is parked. `hearback commands retry` takes it up again.")


@click.group()
def leads() -> None:
    """Show leads and their owners."""


@leads.command("list")
@click.option("--status", type=click.Choice(["held", "assigned", "closed"]), help="Only with this status.")
@click.option("--owner", help="Only of this person, by key.")
@limit_option
@as_json
def list_leads(status: str | None, owner: str | None, limit: int, as_json: bool) -> None:
    """List leads, newest first."""
    with services_of() as services, services.store.transaction() as tx:
        rows = lead_store.listing(tx, status=status, owner=owner, limit=limit)
    show(
        [
            {
                "id": row.id,
                "name": display_name(row.data),
                "status": row.status,
                "owner": row.owner or "",
                "pool": row.pool or "",
                "why": row.reason,
            }
            for row in rows
        ],
        as_json=as_json,
    )


@leads.command("show")
@click.argument("lead", type=click.UUID)
@as_json
def show_lead(lead: UUID, as_json: bool) -> None:
    """Show one lead."""
    with services_of() as services:
        found = reading.lead(services, lead)
    if found is None:
        raise HearbackError(f"no lead has the id {lead}: see `hearback leads list`")
    summary = asdict(found.lead)
    show_one(summary.pop("data") | summary | {"owner_name": found.owner_name}, as_json=as_json)


@click.command()
@click.argument("lead", type=click.UUID)
@as_json
def explain(lead: UUID, as_json: bool) -> None:
    """Say why a lead has this owner.

    Every step and every candidate with its reason.
    """
    with services_of() as services:
        views = reading.decisions_of(services, lead)
    if not views:
        raise HearbackError(f"no decision was taken on {lead}: see `hearback leads list`")
    if as_json:
        click.echo(json.dumps([view.record for view in views], ensure_ascii=False, indent=2))
        return
    for view in views:
        click.echo(f"Decision {view.number} on {view.decided_at:%Y-%m-%d %H:%M:%S} UTC: {view.outcome}")
        for line in view.explanation:
            click.echo(f"  - {line}")
        click.echo(f"  Rules {view.rule_set[:12]}, record {view.digest[:12]}")


def display_name(data: Mapping[str, Any]) -> str:
    """Return what to call a lead in a list."""
    name = " ".join(filter(None, (data.get("first_name"), data.get("last_name"))))
    return name or data.get("company") or data.get("email") or "(no name)"


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows as a table, or as JSON."""
    if as_json:
        click.echo(json.dumps(rows, default=str, ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo("Nothing here.")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console(width=200).print(table)


def console(*, width: int) -> Console:
    """Return a console that shows what people wrote as it is.

    `width` is for a pipe, which has none of its own: what a script reads is not cut.
    """
    terminal = Console(markup=False, emoji=False)
    return terminal if terminal.is_terminal else Console(markup=False, emoji=False, width=width)


def show_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing, a line for each field that has a value."""
    if as_json:
        click.echo(json.dumps(row, default=str, ensure_ascii=False, indent=2))
        return
    for name, value in row.items():
        if value not in (None, "", (), {}):
            click.echo(f"{name:15} {_cell(value)}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str(value)
