"""`hearback init` and `hearback check`."""

import os
import sys
from pathlib import Path

import click

from connector.adapters.registry import adapter_for
from connector.errors import ConfigurationError, ConnectorError
from connector.publishing import config_folder, read
from connector.settings import read_secret, write_starter
from connector.settings.values import Connection, Settings, Source


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a commented sample configuration into FOLDER."""
    write_starter(folder)
    click.echo(f"Wrote a sample configuration to {folder}. Next: edit it, then")
    click.echo(f"  HEARBACK_CONFIG={folder} hearback check")


@click.command()
@click.option("--connect", is_flag=True, help="Also try every CRM connection.")
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
    problems = 0
    for connection in settings.connections.values():
        for problem in _problems(connection):
            click.echo(f"connection {connection.key}: {problem}")
            problems += 1
    return problems


def _problems(connection: Connection) -> list[str]:
    try:
        secrets = {name: read_secret(variable, os.environ) for name, variable in connection.secrets.items()}
        adapter = adapter_for(connection.adapter, key=connection.key, options=connection.options, secrets=secrets)
        info = adapter.check()
    except (ConnectorError, ConfigurationError) as err:
        return [str(err)]
    click.echo(f"connection {connection.key}: account {info.account}, API {info.api_version}")
    return list(info.problems)
