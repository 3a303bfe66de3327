"""The command group, and how errors reach the person at the terminal."""

import sys

import click
import psycopg

from connector.cli import configuring, demo, importing, listing, serving
from connector.errors import HearbackError


class Commands(click.Group):
    """Turns our errors into one clear line and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; anything unexpected still shows its traceback."""
        try:
            return super().invoke(ctx)
        except HearbackError as err:
            click.echo(f"hearback: {err}", err=True)
            sys.exit(1)
        except psycopg.errors.UndefinedTable:
            click.echo("hearback: the database has no schema yet, or an old one: run `hearback migrate`", err=True)
            sys.exit(1)


EPILOG = """\b
HEARBACK_CONFIG        the configuration folder (default: the sample organisation)
HEARBACK_DATABASE_URL  PostgreSQL (default: an embedded one in HEARBACK_DATA, ./.hearback)
HEARBACK_SECRET_KEY    seals stored bodies (default: made on the first start)
HEARBACK_LOG           text or json
"""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(package_name="hearback-connector", prog_name="hearback")
def main() -> None:
    """Route answers to mailings and web forms to the right rep, and see the follow-up through."""


for command in (
    *configuring.COMMANDS,
    *serving.COMMANDS,
    *importing.COMMANDS,
    *listing.COMMANDS,
    *demo.COMMANDS,
):
    main.add_command(command)
