"""`hearback import`."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from connector.cli.progress import bytes_read
from connector.cli.session import services_of
from connector.cli.sheets import sheet
from connector.flows.importing import Imported, Receipt, Result, import_cards


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

    Safe to run again after an interruption. FILE's neighbour .ack.csv says for the mail house what became of each
    row; rows that cannot be taken go to .rejects.csv with their text.
    """
    with services_of() as services, ExitStack() as files, bytes_read(file) as progress:
        imported = import_cards(
            services,
            file,
            profile=profile,
            batch=batch,
            at_once=at_once,
            receipt=_receipts(files, file),
            progress=progress,
        )
    _tell(file, imported)


def _receipts(files: ExitStack, file: Path) -> Callable[[Receipt], None]:
    """Return what writes down each receipt; the files begin with the first row they are about."""
    acknowledge = reject = None

    def write(receipt: Receipt) -> None:
        nonlocal acknowledge, reject
        if acknowledge is None:
            acknowledge = files.enter_context(sheet(file.with_suffix(".ack.csv"), "acknowledgement file"))
            acknowledge(("line", "record", "result", "reason"))
        acknowledge((receipt.line, receipt.record, receipt.result, receipt.reason))
        if receipt.result is not Result.REJECTED:
            return
        if reject is None:
            reject = files.enter_context(sheet(file.with_suffix(".rejects.csv"), "reject file"))
            reject(("line", "reason", "text"))
        reject((receipt.line, receipt.reason, receipt.text))

    return write


def _tell(file: Path, imported: Imported) -> None:
    click.echo(f"{imported.stored} cards stored, {imported.known} were known, {imported.rejected} rejected.")
    if imported.rejected:
        click.echo(f"Rejected rows with their reasons: {file.with_suffix('.rejects.csv')}")
        sys.exit(1)
