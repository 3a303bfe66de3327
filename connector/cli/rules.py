"""`hearback rules`: check a rule set, try it, publish it, go back to an older one."""

import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from connector import publishing
from connector.cli.balancing import balance
from connector.cli.differing import diff
from connector.cli.findings import complaints
from connector.cli.folder import tell, valid
from connector.cli.listing import as_json, limit_option, show
from connector.cli.openings import closed_pools
from connector.cli.replaying import replay
from connector.cli.rerouting import reroute, tell_affected
from connector.cli.session import services_of
from connector.cli.versions import one_version
from connector.errors import ConfigurationError, HearbackError
from connector.routing.analysis import analyse
from connector.settings import Complaint, Loaded
from connector.settings.complaints import Severity
from connector.store import configuration


@click.group()
def rules() -> None:
    """Check, compare, try, publish and undo rules."""


rules.add_command(balance)
rules.add_command(diff)
rules.add_command(replay)
rules.add_command(reroute)


@rules.command()
def check() -> None:
    """Look for mistakes in the rules.

    Rules no lead reaches, rules at odds, postal codes no rule takes, pools with nobody active or at work.
    """
    found = _checked(valid())
    tell(found)
    errors = sum(each.severity is Severity.ERROR for each in found)
    click.echo(f"{errors} errors, {len(found) - errors} warnings.")
    if errors:
        sys.exit(1)


@rules.command()
def publish() -> None:
    """Put the folder in force, if it has no error."""
    found = [each for each in _checked(valid()) if each.severity is Severity.ERROR]
    if found:
        tell(found)
        raise ConfigurationError(f"{len(found)} errors: nothing was published")
    with services_of() as services:
        published = publishing.publish(services.store, publishing.config_folder())
        if published.hash is None:
            raise ConfigurationError("the folder changed meanwhile and is broken: run `hearback check`")
        if published.changed:
            services.wake("held")
        told = "is in force now" if published.changed else "was in force already"
        click.echo(f"Version {published.hash[:12]} {told}.")
        tell_affected(services)


@rules.command("list")
@limit_option
@as_json
def list_versions(limit: int, as_json: bool) -> None:
    """List published versions, newest first."""
    with services_of() as services, services.store.transaction() as tx:
        found = configuration.versions(tx, limit)
    show(
        [
            {
                "version": each.hash if as_json else each.hash[:12],
                "rules": each.rule_set if as_json else each.rule_set[:12],
                "published": each.published_at,
                "in force since": each.since,
            }
            for each in found
        ],
        as_json=as_json,
    )


@rules.command()
@click.argument("version")
def rollback(version: str) -> None:
    """Put an older VERSION in force again.

    VERSION is the beginning of a name in `rules list`.
    """
    settings = valid().settings
    if settings is None or settings.publish != "manual":
        raise HearbackError(
            "the folder is published by itself, so it would soon replace the older version: put the older files back, "
            "or write `publish: manual` into hearback.yaml first"
        )
    with services_of() as services:
        with services.store.transaction() as tx:
            digest = one_version(tx, version)
            changed = configuration.activate(tx, digest)
        if changed:
            services.wake("held")
        click.echo(f"Version {digest[:12]} {'is in force again' if changed else 'was in force already'}.")
        tell_affected(services)


def _checked(loaded: Loaded) -> list[Complaint]:
    settings = loaded.settings
    assert settings is not None
    now = datetime.now(ZoneInfo(settings.timezone))
    found = complaints(analyse(settings.rule_set, now.date()), loaded.rule_lines, settings.rule_set.fallback)
    return [*found, *closed_pools(settings, now)]
