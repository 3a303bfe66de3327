"""A progress bar on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(of: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while work goes on; yield what to tell (done, all)."""
    columns = (TextColumn(of), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(of, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
