"""`hearback alerts`: what needs a person, and whether word of it gets through."""

import os
import sys
from datetime import UTC, datetime

import click

from connector.cli.folder import valid
from connector.cli.listing import as_json, limit_option, show
from connector.cli.session import services_of
from connector.errors import ConfigurationError, HearbackError, NotDelivered
from connector.flows import alerting
from connector.model.identity import new_id
from connector.settings import Settings, read_secret
from connector.store import alerts as store
from connector.store.alerts import Notice


@click.group()
def alerts() -> None:
    """Show what needs a person, and send a test."""


@alerts.command("list")
@click.option("--all", "over", is_flag=True, help="Also those that are over.")
@limit_option
@as_json
def list_alerts(over: bool, limit: int, as_json: bool) -> None:
    """List alerts that last, newest first."""
    with services_of() as services, services.store.transaction() as tx:
        rows = store.listing(tx, over=over, limit=limit)
    if not as_json:
        rows = [row | {"facts": ", ".join(f"{name} {value}" for name, value in row["facts"].items())} for row in rows]
    show(rows, as_json=as_json)


@alerts.command("test")
def test_alerts() -> None:
    """Send a test through every way the folder names.

    Needs no database and stores nothing.
    """
    settings = valid().settings
    assert settings is not None
    if not alerting.channels_of(settings.alerts):
        raise HearbackError("nobody is told of alerts: add alerts.mail or alerts.webhook to hearback.yaml")
    reached = [_reached(settings, channel) for channel in alerting.channels_of(settings.alerts)]
    if not all(reached):
        sys.exit(1)


def _reached(settings: Settings, channel: str) -> bool:
    now = datetime.now(UTC)
    notice = Notice(new_id(), new_id(), "test", "", "raised", channel, {}, now, now, 1)
    try:
        note = alerting.deliver(settings, notice, lambda name: read_secret(name, os.environ))
    except (NotDelivered, ConfigurationError) as err:
        click.echo(f"{channel}: not sent: {err}", err=True)
        return False
    click.echo(f"{channel}: sent{f', {note}' if note else ''}")
    return True
