"""CSV files for other people's spreadsheets: no cell runs as a formula, no half-written file bears the name."""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.errors import HearbackError

Write = Callable[[Iterable[object]], None]


@contextmanager
def sheet(target: Path, what: str) -> Iterator[Write]:
    """Write a CSV file row by row; it gets its name when it is complete.

    Raises:
        HearbackError: it cannot be written; `what` says what it is.
    """
    draft = target.with_name(f"{target.name}.part")
    try:
        with draft.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            yield lambda cells: writer.writerow([safe_cell(str(cell)) for cell in cells])
        draft.replace(target)
    except OSError as err:
        raise HearbackError(f"the {what} {target} cannot be written: {err.strerror}") from err
    finally:
        draft.unlink(missing_ok=True)


def safe_cell(text: str) -> str:
    """Defuse a cell that a spreadsheet would run as a formula (CWE-1236, requirement I22)."""
    return "'" + text if text[:1] in set("=+-@\t\r\n\0＝＋－＠") else text
