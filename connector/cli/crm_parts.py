"""`hearback crm install`, `uninstall` and `disconnect`: what we need in a CRM, made and taken away."""

import getpass
import json
import os
import sys
from collections.abc import Sequence

import click

from connector.adapters import metering
from connector.cli.crm import connection_argument, count_calls, crm
from connector.cli.folder import valid
from connector.cli.listing import as_json
from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows import connecting, installing
from connector.flows.connecting import Checked
from connector.flows.connection_status import configured
from connector.flows.installing import Failed, Work
from connector.model.crm import Part
from connector.settings.values import Connection, Mode
from connector.store import commands

_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@crm.command()
@connection_argument
@_dry_run
@as_json
def install(connection: str, *, dry_run: bool, as_json: bool) -> None:
    """Make our fields, groups and permissions in the CRM.

    Says first what it will do. Safe to run again: what is there stays. What only a person can do is listed last.
    """
    adapter = connecting.adapter_of(_configured(connection), os.environ)
    work = installing.to_install(adapter)
    if not as_json:
        _announce(work, f"Will make in {connection}:", f"Nothing to make in {connection}", work.present)
    failed = [] if dry_run else installing.install(adapter, work.ours, _teller(as_json))
    count_calls([Checked(connection, adapter)])
    _end(work, failed, as_json=as_json, dry_run=dry_run)


@crm.command()
@connection_argument
@_dry_run
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def uninstall(connection: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove from the CRM what is ours, with the values it holds.

    Says first what will go, and asks. Records stay, and so do fields that were there before.
    """
    found = _configured(connection)
    adapter = connecting.adapter_of(found, os.environ)
    work = installing.to_uninstall(adapter)
    if not as_json:
        _announce(work, f"Will remove from {connection}, with what it holds:", f"Nothing of ours in {connection}")
    if not dry_run and work.ours:
        _refuse_while_written(found)
        if not yes:
            click.confirm("Remove all this for good?", abort=True)
    failed = [] if dry_run else installing.uninstall(adapter, work.ours, _teller(as_json))
    count_calls([Checked(connection, adapter)])
    _end(work, failed, as_json=as_json, dry_run=dry_run)


@crm.command()
@connection_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def disconnect(connection: str, *, yes: bool) -> None:
    """Give back what a CRM let us sign in with.

    The connection is paused first, and leads that come in wait. After a failure, run it again.
    """
    with services_of() as services:
        found = configured(services.current().settings, connection)
        if not yes:
            click.confirm(f"Give up the access to {connection} for good?", abort=True)
        with services.store.transaction() as tx:
            commands.pause(tx, connection, until=None, reason=f"disconnected by {getpass.getuser()}")
    click.echo(f"{connection} is paused.")
    adapter = connecting.adapter_of(found, os.environ)
    with metering.calling_for("disconnect"):
        left = adapter.revoke()
    count_calls([Checked(connection, adapter)])
    click.echo(f"In the CRM: {left}." if left else "Its access is revoked.")
    variables = ", ".join(sorted(found.secrets.values()))
    click.echo(f"Where Hearback runs: delete {variables}, and take {connection} out of hearback.yaml and people.csv.")


def _configured(connection: str) -> Connection:
    settings = valid().settings
    assert settings is not None
    return configured(settings, connection)


def _refuse_while_written(found: Connection) -> None:
    """Refuse to take fields away from under a worker that fills them."""
    if found.mode is Mode.OBSERVE:
        return
    with services_of() as services, services.store.transaction() as tx:
        if not commands.paused(tx, found.key):
            raise HearbackError(
                f"{found.key} is being written to: run `hearback crm pause {found.key}` first, or set mode: observe"
            )


def _announce(work: Work, title: str, nothing: str, present: int = 0) -> None:
    there = f"; {present} parts are there already" if present else ""
    click.echo(title if work.ours else f"{nothing}{there}.")
    for part in work.ours:
        click.echo(f"  {connecting.told(part)}")
    if work.ours and there:
        click.echo(f"{present} parts are there already.")


def _teller(as_json: bool) -> installing.Told:
    def tell(part: Part, how: str) -> None:
        if not as_json:
            click.echo(f"{how:8} {part.name}")

    return tell


def _end(work: Work, failed: Sequence[Failed], *, as_json: bool, dry_run: bool) -> None:
    bad = {each.part.name for each in failed}
    if as_json:
        done = [] if dry_run else [part.name for part in work.ours if part.name not in bad]
        told = {
            "to_do": [part.name for part in work.ours],
            "done": done,
            "failed": [{"part": each.part.name, "why": each.why} for each in failed],
            "by_hand": [{"part": part.name, "do": part.remedy} for part in work.by_hand],
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _tell_rest(work, failed)
    if failed:
        sys.exit(1)


def _tell_rest(work: Work, failed: Sequence[Failed]) -> None:
    for each in failed:
        click.echo(f"{each.part.name}: {each.why}")
    if work.by_hand:
        click.echo("To do by hand in the CRM:")
    for part in work.by_hand:
        click.echo(f"  {part.name}, {part.what}: {part.remedy}")
