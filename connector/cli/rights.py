"""`hearback consents`, `export` and `erase`: what a person may ask of whoever keeps their data."""

import getpass
import json
from collections.abc import Callable
from typing import Any

import click

from connector.cli.listing import as_json, show, show_one
from connector.cli.progress import bar
from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows import erasing, exporting, searching
from connector.flows.erasing import Preview
from connector.flows.searching import Person
from connector.services import Services
from connector.store.erasures import Erasure

_ELSEWHERE = (
    "Backups of the database, and copies of exports, still hold the person until they are overwritten.",
    "Files beside imports (*.rejects.csv, and the mail house's own) are not ours to delete: look through them.",
)
_AGAIN = "What was sent before is not taken in again; who writes anew is welcome."

_email = click.option("--email", default="", help="The person's e-mail.")
_phone = click.option("--phone", default="", help="The person's phone number, with its country.")


def _who(command: Callable[..., None]) -> Callable[..., None]:
    return _email(_phone(command))


@click.group()
def consents() -> None:
    """Show what people agreed to."""


@consents.command("list")
@_who
@as_json
def list_consents(email: str, phone: str, as_json: bool) -> None:
    """List what a person said to each purpose, first to last.

    The receipt is the evidence. A box that was ticked already does not count.
    """
    with services_of() as services:
        rows = exporting.consents_of(services, _person(services, email, phone))
    show(rows if as_json else [_brief(row) for row in rows], as_json=as_json)


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    names = ("occurred_at", "purpose", "state", "default_state", "text", "source_url", "receipt")
    return {name: row[name] for name in names}


@click.command()
@_who
def export(email: str, phone: str) -> None:
    """Print all that is held of a person."""
    with services_of() as services, bar("deliveries") as progress:
        held = exporting.export(services, _person(services, email, phone), progress)
    click.echo(json.dumps(held, ensure_ascii=False, indent=2, default=str))


@click.command()
@_who
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--by", "asked_by", default="", help="Who asked for it; your user name if not given.")
@as_json
def erase(email: str, phone: str, *, dry_run: bool, yes: bool, asked_by: str, as_json: bool) -> None:
    """Erase a person, here and in the CRMs.

    What they sent, what is known of them, and the records made of them. Says in numbers what will go, and asks.
    Safe to run again after an interruption.
    """
    with services_of() as services:
        person = _person(services, email, phone)
        with bar("deliveries") as progress:
            found = erasing.preview(services, person, progress)
        if not as_json:
            _tell_preview(found)
        if dry_run:
            if as_json:
                show_one(found.counts, as_json=True)
            return
        if not yes:
            click.confirm("Erase all this for good?", abort=True)
        with bar("deliveries") as progress:
            done = erasing.erase(services, person, asked_by or getpass.getuser(), progress)
    if as_json:
        show_one({"erasure": done.id, "counts": done.counts, "by_hand": done.by_hand}, as_json=True)
    else:
        _tell(done)


def _person(services: Services, email: str, phone: str) -> Person:
    if not email and not phone:
        raise HearbackError("nobody is named: give --email or --phone")
    return searching.person(services, email, phone)


def _tell_preview(found: Preview) -> None:
    click.echo("Held of this person:" if found.counts else "Nothing is held of this person.")
    for name, count in found.counts.items():
        click.echo(f"  {name:18} {count}")
    if found.unread:
        click.echo(f"{found.unread} deliveries are not read yet; they are read first and may add to this.")
    if found.erased_before:
        click.echo("They were erased before, or an erasure was interrupted.")


def _tell(done: Erasure) -> None:
    click.echo("Erased:" if done.counts else "There was nothing to erase.")
    for name, count in done.counts.items():
        click.echo(f"  {name:18} {count}")
    if done.by_hand:
        click.echo("To do by hand in the CRMs:")
    for line in done.by_hand:
        click.echo(f"  {line}")
    for line in (*_ELSEWHERE, _AGAIN):
        click.echo(line)
    click.echo(f"The record of this erasure is {done.id}. It names nobody.")
