"""`hearback cards`: whom a mailing goes to, the print house's file, and how the answers compare."""

from collections.abc import Iterator
from datetime import date, datetime
from itertools import chain
from pathlib import Path

import click

from connector.cli.comparing import compare
from connector.cli.folder import tell
from connector.cli.options import at_least_one
from connector.cli.progress import bar, bytes_read
from connector.cli.session import services_of
from connector.cli.sheets import sheet
from connector.errors import HearbackError
from connector.flows.mailing import SMALL_QR, Card, Loaded, add_anonymous, load_recipients, send

#: What a print house gets of a recipient: no e-mail and no phone, for nothing of it is printed.
_ADDRESS = (
    *("first_name", "last_name", "full_name", "job_title", "company"),
    *("street", "postal_code", "city", "region", "country", "language"),
)
_HEADER = ("token", "qr", "key_code", "reference", *_ADDRESS)


@click.group()
def cards() -> None:
    """Prepare mailings of response cards, and compare what came back."""


cards.add_command(compare)


@cards.command("recipients")
@click.argument("campaign")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--encoding", default="utf-8", show_default=True, help="How the file is written: utf-8, cp1250, cp1252.")
@click.option("--anonymous", type=at_least_one, help="Instead of a list: so many cards with a serial number each.")
def load(campaign: str, file: Path | None, encoding: str, anonymous: int | None) -> None:
    """Load the recipients of CAMPAIGN from the CSV file FILE.

    Each gets a token. Safe to run again; with any mistake in the file nothing is loaded.
    """
    if (file is None) == (anonymous is None):
        raise click.UsageError("give either FILE or --anonymous")
    with services_of() as services:
        if anonymous is not None:
            loaded = add_anonymous(services, campaign, anonymous)
        elif file is not None:
            with bytes_read(file) as progress:
                loaded = load_recipients(services, campaign, file, encoding=encoding, progress=progress)
    _report(loaded)


def _report(loaded: Loaded) -> None:
    if loaded.complaints:
        tell(loaded.complaints)
        more = f" and {loaded.unlisted} more" if loaded.unlisted else ""
        raise HearbackError(f"{len(loaded.complaints)}{more} mistakes: nothing was loaded, correct these first")
    click.echo(f"{loaded.added} recipients loaded, {loaded.known} were known.")
    if loaded.erased:
        click.echo(f"{loaded.erased} left out: they were erased, and a list from before does not bring them back.")


@cards.command("export")
@click.argument("campaign")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--sent",
    "day",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day the cards go to the post, like 2026-12-01; it is kept for each recipient.",
)
def export(campaign: str, file: Path, day: datetime) -> None:
    """Write the print house's data of CAMPAIGN to FILE.

    Token, QR content, key code and address of each card.

    The recipients are marked as mailed on that day. Run again with the same day, the file is the same; recipients
    loaded meanwhile are added, those mailed on other days left out.
    """
    with services_of() as services, bar(file.name) as progress:
        written, longest = _write(file, send(services, campaign, _day(day), progress=progress))
    click.echo(f"{written} cards written to {file}, sent on {_day(day)}.")
    if longest > SMALL_QR:
        click.echo(
            f"The QR content has up to {longest} characters; {SMALL_QR} fit a code of version 2-M, so this one has "
            "smaller modules. A shorter host in public_url would do."
        )


def _write(file: Path, sent: Iterator[Card]) -> tuple[int, int]:
    written = longest = 0
    # Nothing is written, and no file replaced, before there is a first card.
    first = next(sent, None)
    if first is None:
        return 0, 0
    with sheet(file, "file") as write:
        write(_HEADER)
        for card in chain((first,), sent):
            write((card.token, card.qr, card.key_code, card.reference, *(card.address.get(n, "") for n in _ADDRESS)))
            written, longest = written + 1, max(longest, len(card.qr))
    return written, longest


def _day(day: datetime) -> date:
    return day.date()
