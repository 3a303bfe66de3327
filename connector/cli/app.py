"""The command group, and how errors reach the person at the terminal."""

import sys
from importlib import import_module

import click
import psycopg

from connector.errors import HearbackError

#: Where each command is defined. A worker should not import the demo, nor a list of leads Alembic.
COMMANDS = {
    "init": "configuring:init",
    "check": "configuring:check",
    "migrate": "serving:migrate",
    "serve": "serving:serve",
    "web": "working:web",
    "worker": "working:worker",
    "import": "importing:import_",
    "sources": "sources:sources",
    "cards": "cards:cards",
    "deliveries": "listing:deliveries",
    "commands": "listing:commands",
    "alerts": "alerts:alerts",
    "crm": "crm_parts:crm",
    "leads": "listing:leads",
    "explain": "listing:explain",
    "rules": "rules:rules",
    "users": "users:users",
    "verify": "verifying:verify",
    "consents": "rights:consents",
    "export": "rights:export",
    "erase": "rights:erase",
    "demo": "demo:demo",
}


class Commands(click.Group):
    """Loads a command when it is asked for, and turns our errors into one clear line and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names of all commands, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (see above)
        """Import a command's module and return it, None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(f"connector.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

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
