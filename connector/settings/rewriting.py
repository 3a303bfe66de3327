"""territories.csv with some rows changed and every other line as it was, byte for byte."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.settings.complaints import Complaints
from connector.settings.organisation import read_organisation
from connector.settings.tables import delimiter_of
from connector.settings.territories import COLUMNS, FILE


@dataclass(frozen=True, slots=True)
class Edit:
    """Cells to lay over those of row `source`: in its place, or with `added` as a new row below it."""

    source: str
    cells: Mapping[str, str]
    added: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The whole file, and the lines in it that are new."""

    content: bytes
    new: tuple[str, ...]


def rewritten(folder: Path, edits: Sequence[Edit]) -> Rewritten:
    """Return a valid folder's territories.csv with these rows changed and added, in its own encoding and style."""
    raw = (folder / FILE).read_bytes()
    encoding = "utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else read_organisation(folder, Complaints()).csv_encoding
    text = raw.decode(encoding)
    pieces = list(_pieces(text, delimiter_of(text, COLUMNS), edits))
    new = tuple(piece.strip("\r\n") for piece, is_new in pieces if is_new)
    return Rewritten("".join(piece for piece, _ in pieces).encode(encoding), new)


def _pieces(text: str, delimiter: str, edits: Sequence[Edit]) -> Iterator[tuple[str, bool]]:
    """Yield the file record by record, each with whether it is new."""
    header: list[str] = []
    for cells, lines in _records(text, delimiter):
        if not header:
            header = [name.strip().casefold() for name in cells] if any(cells) else []
            yield lines, False
            continue
        key = dict(zip(header, cells, strict=False)).get("rule", "").strip()
        own = [edit for edit in edits if edit.source == key]
        ending = lines[len(lines.rstrip("\r\n")) :]
        replaced = [edit for edit in own if not edit.added]
        yield (_row(cells, header, replaced[0], delimiter) + ending, True) if replaced else (lines, False)
        for edit in own:
            if edit.added:
                # The file's last line may have no ending.
                yield ("" if ending else "\n") + _row(cells, header, edit, delimiter) + ending, True


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each record and the lines it stands on."""
    lines = list(io.StringIO(text, newline=""))
    reader, start = csv.reader(lines, delimiter=delimiter, strict=True), 0
    for cells in reader:
        yield cells, "".join(lines[start : reader.line_num])
        start = reader.line_num


def _row(cells: Sequence[str], header: Sequence[str], edit: Edit, delimiter: str) -> str:
    changed = [edit.cells.get(name, cell) for name, cell in zip(header, cells, strict=False)]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="").writerow([*changed, *cells[len(header) :]])
    return written.getvalue()
