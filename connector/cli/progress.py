"""A progress bar on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


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


def _shown(of: str, amount: MofNCompleteColumn | DownloadColumn) -> Progress:
    columns = (TextColumn(of), BarColumn(), amount, TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
