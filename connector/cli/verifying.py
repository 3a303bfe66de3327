"""`hearback verify`: nothing decided was changed since."""

import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click

from connector.cli import checker
from connector.cli.listing import as_json, show_one
from connector.cli.options import at_least_one
from connector.cli.progress import bar
from connector.flows import audit
from connector.flows import verify as flow
from connector.store import Store, embedded

#: More would scroll the first ones, which matter most, off the screen.
SHOWN = 20


@click.command()
@click.option(
    "--processes",
    type=at_least_one,
    default=os.cpu_count() or 1,
    show_default="one per core",
    help="Check in so many processes at once.",
)
@click.option(
    "--seal", default="", help="A seal kept elsewhere (the log has each): it must be the newest one or in the chain."
)
@click.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    help="Instead write all decisions into this folder, with a checker that needs Python alone.",
)
@as_json
def verify(processes: int, seal: str, export: Path | None, as_json: bool) -> None:
    """Take every stored decision again and check the chain of seals."""
    if export:
        _export(export)
        return
    with bar("decisions") as progress:
        url = embedded.database_url(owner=True)
        report = flow.verify(url, processes=processes, kept=seal.casefold(), progress=progress)
    show_one(asdict(report), as_json=True) if as_json else _tell(report)
    if report.problems:
        sys.exit(1)


def _export(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        Store(embedded.database_url(owner=True), size=1) as store,
        (folder / "decisions.jsonl").open("w", encoding="utf-8") as file,
    ):
        file.writelines(audit.lines(store))
    shutil.copy(checker.__file__, folder / "checker.py")
    click.echo(f"To check it: python3 {folder / 'checker.py'} {folder / 'decisions.jsonl'}")


def _tell(report: flow.Report) -> None:
    for problem in report.problems[:SHOWN]:
        click.echo(f"decision {problem.seq}: {problem.what}")
    if len(report.problems) > SHOWN:
        click.echo(f"... and {len(report.problems) - SHOWN} more; --json lists all")
    click.echo(
        f"{report.decisions} decisions taken again, {report.seals} seals checked: "
        + (f"{len(report.problems)} problems." if report.problems else "all as they were written.")
    )
    if report.erased:
        click.echo(f"{report.erased} of them are about people who were erased since: erased, and as they were written.")
    if report.newest:
        click.echo(f"Newest seal: {report.newest} (keep a copy elsewhere, and give it next time with --seal)")
