"""A progress bar on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Where there is no terminal a line says so often how far it is.
LINE_SECONDS = 10.0


@contextmanager
def bar(of: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while work goes on; yield what to tell (done, all)."""
    with _shown(of, MofNCompleteColumn()) as shown:
        task = shown.add_task(of, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def bytes_read(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of a file has been read; yield what to tell (bytes so far)."""
    with _shown(file.name, DownloadColumn()) as shown:
        task = shown.add_task(file.name, total=file.stat().st_size)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def counting(of: str) -> Iterator[Callable[[int, str], None]]:
    """Show how much is done of what nobody knows the end of; yield what to tell (done, in words)."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed} " + of), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    told = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(of, total=None, words="")

        def tell(done: int, words: str) -> None:
            nonlocal told
            shown.update(task, completed=done, words=words)
            if not console.is_terminal and time.monotonic() - told > LINE_SECONDS:
                told = time.monotonic()
                click.echo(f"{done} {of}: {words}", err=True)

        yield tell


def _shown(of: str, amount: MofNCompleteColumn | DownloadColumn) -> Progress:
    columns = (TextColumn(of), BarColumn(), amount, TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
