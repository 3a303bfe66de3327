"""Progress bars: on a terminal only, on its error stream."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bytes_read(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of a file has been read; the bar is told the bytes read so far."""
    with _bar(DownloadColumn()) as bar:
        task = bar.add_task(file.name, total=file.stat().st_size)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def rows_done(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many of how many rows are done."""
    with _bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar(amount: DownloadColumn | MofNCompleteColumn) -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
