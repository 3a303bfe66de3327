"""Recipient lists of a mailing: CSV as spreadsheets write it, read row by row."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from connector.errors import UnreadableDelivery
from connector.model.lead import FIELDS
from connector.model.text import clean, fold
from connector.sources.aliases import target_of
from connector.sources.records import checked_encoding, lines_of, separated

REFERENCE = "reference"
_ENGLISH = ("reference", "ref", "ownreference", "customernumber", "customerno", "customerid", "id")
_REFERENCES = frozenset((*_ENGLISH, "kundennummer", "kundennr", "kundenid", "numerklienta", "nrklienta"))
#: What a list may say of a recipient: who they are and how to reach them, not what they want.
_KEPT = frozenset(FIELDS) - {"message", "product", "campaign"}
_DELIMITERS = (";", ",", "\t", "|")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a list. `fault`: why it cannot be read; then there is nothing else."""

    line: int
    reference: str
    fields: dict[str, str]
    fault: str = ""


def read_recipients(stream: BinaryIO, encoding: str) -> Iterator[Entry]:
    """Yield the rows of a list; delimiter and byte order mark are detected, columns known by their usual names.

    Raises:
        ConfigurationError: the encoding is unknown.
        UnreadableDelivery: the header; the message names every column that is wrong.
    """
    lines = lines_of(stream, checked_encoding(encoding))
    first = next(lines, None)
    if first is None or not first.readable:
        raise UnreadableDelivery(f"line 1 is not {encoding}: save the file as CSV UTF-8, or name its --encoding")
    delimiter = max(_DELIMITERS, key=first.text.count)
    targets = _targets([clean(cell).strip() for cell in next(csv.reader([first.text], delimiter=delimiter), [])])
    for record in separated(lines, delimiter, len(targets)):
        if record.fault or any(cell.strip() for cell in record.cells):
            yield _entry(record.line, record.fault, record.cells, targets)


def _targets(header: Sequence[str]) -> list[str]:
    targets = [_target(name) for name in header]
    faults = [f"column '{name}' is not known" for name, target in zip(header, targets, strict=True) if not target]
    faults += [f"several columns hold {name}" for name in sorted(set(targets)) if name and targets.count(name) > 1]
    if REFERENCE not in targets:
        faults.append("no column holds your own reference")
    if faults:
        known = ", ".join([REFERENCE, *(name for name in FIELDS if name in _KEPT)])
        raise UnreadableDelivery(f"{'; '.join(faults)}: use the columns {known}")
    return targets


def _target(name: str) -> str:
    if fold(name) in _REFERENCES:
        return REFERENCE
    target = target_of(name) or ""
    return target if target in _KEPT else ""


def _entry(line: int, fault: str, cells: Sequence[str], targets: Sequence[str]) -> Entry:
    if not fault and len(cells) != len(targets):
        fault = f"{len(cells)} columns where the header has {len(targets)}"
    if fault:
        return Entry(line, "", {}, fault)
    values = {target: text for target, cell in zip(targets, cells, strict=True) if (text := clean(cell).strip())}
    return Entry(line, values.pop(REFERENCE, ""), values)
