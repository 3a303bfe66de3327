"""`hearback users`: who may open the console."""

import sys
from zoneinfo import available_timezones

import click

from connector.cli.listing import as_json as json_option
from connector.cli.listing import show
from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows import users as flow
from connector.model.console import ConsoleRole
from connector.store import users as store

LANGUAGES = ("en", "de", "pl")

one_time_option = click.option(
    "--one-time", is_flag=True, help="Make a password that only serves to choose another, and print it once."
)


@click.group()
def users() -> None:
    """Say who may open the console."""


@users.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([role.value for role in ConsoleRole]), required=True, help="What the account may do."
)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of the pages.")
@click.option("--timezone", default="", help="Of the times shown, like Europe/Warsaw (default: the organisation's).")
@one_time_option
def add(name: str, role: str, language: str, timezone: str, one_time: bool) -> None:
    """Make an account and ask for its password.

    Without a terminal to ask at, a one-time password is made.
    """
    if timezone and timezone not in available_timezones():
        raise HearbackError(f"{timezone!r} is no time zone: write one like Europe/Berlin")
    password, made = _password(one_time=one_time)
    with services_of() as services:
        user = flow.add(services, name, password, ConsoleRole(role), language, timezone, one_time=made)
    click.echo(f"{user.name} may sign in at /console/ as {role}.")
    _tell(password, made=made)


@users.command("list")
@json_option
def list_users(as_json: bool) -> None:
    """List accounts by name."""
    with services_of() as services, services.store.transaction() as tx:
        rows = store.everyone(tx)
    show(
        [
            {
                "name": user.name,
                "role": user.role,
                "language": user.language,
                "timezone": user.timezone,
                "created": user.created_at,
                "disabled": user.disabled_at,
            }
            for user in rows
        ],
        as_json=as_json,
    )


@users.command()
@click.argument("name")
def disable(name: str) -> None:
    """Lock an account out; its sessions end at once."""
    with services_of() as services:
        user = flow.named(services, name)
        with services.store.transaction() as tx:
            store.disable(tx, user.id)
    click.echo(f"{user.name} is locked out.")


@users.command()
@click.argument("name")
@one_time_option
def password(name: str, one_time: bool) -> None:
    """Give an account another password; its sessions end at once."""
    with services_of() as services:
        user = flow.named(services, name)
        text, made = _password(one_time=one_time)
        flow.set_password(services, user, text, one_time=made)
    click.echo(f"{user.name} has another password.")
    _tell(text, made=made)


def _password(*, one_time: bool) -> tuple[str, bool]:
    """Ask for a password, or make one; return it and whether it was made."""
    if one_time or not at_a_terminal():
        return flow.one_time_password(), True
    return click.prompt("Password", hide_input=True, confirmation_prompt=True), False


def _tell(password: str, *, made: bool) -> None:
    if made:
        click.echo(f"One-time password, shown only now: {password}")


def at_a_terminal() -> bool:
    """Tell whether somebody can be asked."""
    return sys.stdin.isatty()
