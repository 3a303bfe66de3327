"""`hearback import`."""

import csv
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows.importing import Imported, import_cards
from connector.services import Services


@click.group("import")
def import_() -> None:
    """Read batch files."""


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--profile", required=True, help="How this mail house writes its files (card_profiles in hearback.yaml).")
@click.option("--batch", default="", help="The batch's name; the file's name if not given.")
@click.option(
    "--at-once",
    is_flag=True,
    help="Hand the leads out together, up to 200 at a time: as many as there is room for, then as evenly as can be.",
)
def cards(file: Path, profile: str, batch: str, *, at_once: bool) -> None:
    """Import response cards.

    Safe to run again after an interruption. Rows that cannot be read go to FILE's neighbour .rejects.csv.
    """
    with services_of() as services:
        imported = _with_progress(services, file, profile, batch, at_once=at_once)
    click.echo(f"{imported.stored} cards stored, {imported.known} were known, {len(imported.rejects)} rejected.")
    if imported.rejects:
        rejects = _write_rejects(file, imported)
        click.echo(f"Rejected rows with their reasons: {rejects}")
        sys.exit(1)


def _with_progress(services: Services, file: Path, profile: str, batch: str, *, at_once: bool) -> Imported:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(file.name, total=file.stat().st_size)
        return import_cards(
            services,
            file,
            profile=profile,
            batch=batch,
            at_once=at_once,
            progress=lambda done: bar.update(task, completed=done),
        )


def _write_rejects(file: Path, imported: Imported) -> Path:
    target = file.with_suffix(".rejects.csv")
    try:
        with target.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(("line", "reason", "text"))
            writer.writerows((reject.line, reject.reason, safe_cell(reject.text)) for reject in imported.rejects)
    except OSError as err:
        raise HearbackError(f"the reject file {target} cannot be written: {err.strerror}") from err
    return target


def safe_cell(text: str) -> str:
    """Defuse a cell that a spreadsheet would run as a formula (CWE-1236, requirement I22)."""
    return "'" + text if text[:1] in set("=+-@\t\r\n\0＝＋－＠") else text
