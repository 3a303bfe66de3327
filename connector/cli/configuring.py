"""`hearback init` and `hearback check`."""

import os
import sys
from pathlib import Path

import click

from connector.flows import connecting
from connector.publishing import config_folder, read
from connector.settings import write_starter
from connector.settings.values import Settings, Source


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a commented sample configuration into FOLDER."""
    write_starter(folder)
    click.echo(f"Wrote a sample configuration to {folder}. Next: edit it, then")
    click.echo(f"  HEARBACK_CONFIG={folder} hearback check")


@click.command()
@click.option(
    "--connect",
    is_flag=True,
    help="Also try every CRM connection; `hearback crm check` compares users and campaigns too.",
)
def check(connect: bool) -> None:
    """Validate the configuration; list every complaint at once."""
    folder = config_folder()
    loaded = read(folder)
    for complaint in loaded.complaints:
        click.echo(str(complaint))
    if loaded.settings is None:
        click.echo(f"{len(loaded.complaints)} complaints in {folder}; nothing was applied.", err=True)
        sys.exit(1)
    problems = _connect(loaded.settings) if connect else 0
    if problems:
        sys.exit(1)
    settings = loaded.settings
    click.echo(
        f"{folder} is valid: {len(settings.people)} people, {len(settings.rule_set.rules)} territory rules, "
        f"{len(settings.rule_set.pools)} pools, {len(settings.sources)} sources, "
        f"{len(settings.connections)} connections. Version {settings.hash[:12]}."
    )
    missing = _unset_secrets(settings)
    if missing:
        click.echo(f"Not set here, needed where Hearback runs: {', '.join(missing)} (or each with _FILE).")


def _unset_secrets(settings: Settings) -> list[str]:
    """Name the secrets this environment lacks: a door without one stays closed."""
    named = {name for source in settings.sources.values() for name in (source.token, *source.secrets) if name}
    named |= {source.captcha.secret for source in settings.sources.values() if source.captcha}
    named = {name for source in settings.sources.values() for name in _secrets_of(source) if name}
    named |= {name for connection in settings.connections.values() for name in connection.secrets.values()}
    named |= {client.secret for client in settings.api_keys}
    mail, webhook = settings.alerts.mail, settings.alerts.webhook
    named |= {name for name in (mail and mail.password, webhook and webhook.secret) if name}
    return sorted(name for name in named if not (os.environ.get(name) or os.environ.get(f"{name}_FILE")))


def _secrets_of(source: Source) -> tuple[str | None, ...]:
    more = source.applications.values()
    return (source.token, *source.secrets, source.access_token, source.verify_token, *more)


def _connect(settings: Settings) -> int:
    """Say what is wrong with each connection: credentials, permissions, parts; return how much that is."""
    problems = 0
    for name in settings.connections:
        found = connecting.check(settings, name, os.environ, everything=False)
        if found.account:
            click.echo(f"connection {name}: account {found.account.account}, API {found.account.api_version}")
        for problem in found.problems:
            click.echo(f"connection {name}: {problem}")
        problems += len(found.problems)
    return problems
