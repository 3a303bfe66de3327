"""CSV files as spreadsheets write them: any usual delimiter, with or without a byte order mark."""

import codecs
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.settings.complaints import Complaints
from connector.settings.shapes import faults, unknown_key

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table may hold: fixed columns, families like `user:...`, and columns of later versions."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    later: frozenset[str] = frozenset()

    def knows(self, name: str) -> bool:
        """Tell whether a column has a meaning."""
        return name in self.required or name in self.optional or name.startswith(self.families or ("\0",))


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the line it starts on and its cells that are not blank."""

    line: int
    cells: Mapping[str, str]
    width: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header, in order, and its rows."""

    file: str
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    #: Where the header stands.
    line: int = 1
    #: Rows with too many or too few cells: not read, but their keys are no unknown names elsewhere.
    ragged: tuple[Row, ...] = ()
    #: The file could be read to its end, so that a key it does not have is surely unknown.
    complete: bool = True

    def keys(self, column: str) -> frozenset[str] | None:
        """Return the values of a key column, also of rows with mistakes; None if some may be missing."""
        rows = (*self.rows, *self.ragged)
        return frozenset(row.cells.get(column, "") for row in rows) if self.complete else None


def read_table(path: Path, columns: Columns, encoding: str, complaints: Complaints) -> Table:
    """Read a CSV file; whatever cannot be read is complained about and left out."""
    unreadable = Table(path.name, complete=False)
    text = _text(path, encoding, complaints)
    if text is None:
        return unreadable
    if not text.strip():
        complaints.add(path.name, 1, "the file is empty", "a header is expected", _header_advice(columns))
        return unreadable
    records, complete = _records(text, delimiter_of(text, columns), path.name, complaints)
    line, cells = records[0] if records else (1, [])
    header = _header(cells)
    if not _header_holds(header, line, path.name, columns, complaints):
        return unreadable
    rows = [_row(record, header) for record in records[1:]]
    ragged = [row for row in rows if row.width != len(header)]
    for row in ragged:
        _complain_of_width(row, len(header), path.name, complaints)
    good = tuple(row for row in rows if row.width == len(header))
    return Table(path.name, header, good, line, tuple(ragged), complete)


def _text(path: Path, encoding: str, complaints: Complaints) -> str | None:
    try:
        raw = path.read_bytes()
    except OSError:
        complaints.add(
            path.name,
            1,
            "the file is missing or cannot be read",
            "the configuration is not complete without it",
            "add it; `hearback init DIR` writes a sample",
        )
        return None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        complaints.add(
            path.name,
            1,
            "the file is UTF-16",
            "tables are read as UTF-8 or as the declared csv_encoding",
            "save it as 'CSV UTF-8'",
        )
        return None
    if raw.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as err:
        _complain_of_encoding(path.name, raw, err, complaints)
        return None


def _complain_of_encoding(file: str, raw: bytes, err: UnicodeDecodeError, complaints: Complaints) -> None:
    line = raw.count(b"\n", 0, err.start) + 1
    complaints.add(
        file,
        line,
        f"byte 0x{raw[err.start]:02x} is not {err.encoding}",
        "the file has another encoding than the declared one",
        "save it as 'CSV UTF-8', or declare what it is in hearback.yaml, for example csv_encoding: cp1250",
    )


def delimiter_of(text: str, columns: Columns) -> str:
    """Return the delimiter that makes most known columns of the first line."""
    first = next(line for line in text.splitlines() if line.strip())

    def known(delimiter: str) -> int:
        return sum(columns.knows(name) for name in _header(next(csv.reader([first], delimiter=delimiter), [])))

    return max(DELIMITERS, key=known)


def _records(text: str, delimiter: str, file: str, complaints: Complaints) -> tuple[list[tuple[int, list[str]]], bool]:
    """Return each record that is not blank with the line it starts on, and whether that is all of them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as err:
        complaints.add(
            file,
            line,
            f"the row cannot be read ({err})",
            "a quoted cell is not closed, or text follows its closing quote",
            'close the quote, and write a quote inside a cell twice ("")',
        )
        return records, False
    return records, True


def _header(cells: list[str]) -> tuple[str, ...]:
    names = [cell.strip().casefold() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _header_holds(header: tuple[str, ...], line: int, file: str, columns: Columns, complaints: Complaints) -> bool:
    known = (*columns.required, *columns.optional, *columns.families)
    for position, name in enumerate(header):
        if not columns.knows(name):
            [(_, (what, why, do))] = faults([unknown_key(name, known, columns.later)])
            complaints.add(file, line, f"column '{name}' {what}", why, do)
        elif name in header[:position]:
            complaints.add(file, line, f"column '{name}' stands twice", "only one can count", "remove one of the two")
    missing = [name for name in columns.required if name not in header]
    for name in missing:
        complaints.add(file, line, f"column '{name}' is missing", "every row needs it", _header_advice(columns))
    return not missing


def _header_advice(columns: Columns) -> str:
    return f"start the file with a header that names at least {', '.join(columns.required)}"


def _row(record: tuple[int, list[str]], header: tuple[str, ...]) -> Row:
    line, cells = record
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    named = zip(header, cells, strict=False)
    return Row(line, {name: text for name, cell in named if (text := cell.strip())}, len(cells))


def _complain_of_width(row: Row, width: int, file: str, complaints: Complaints) -> None:
    complaints.add(
        file,
        row.line,
        f"the row has {row.width} cells, the header {width}",
        "its cells cannot be told apart",
        "give it as many cells as the header, and quote a cell that contains the delimiter",
    )
