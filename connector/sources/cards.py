"""Response cards keyed by a mail house: one row of its batch file is one delivery (requirement C17)."""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, ClassVar

import orjson

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.model.text import clean
from connector.sources.base import Reading, Source
from connector.sources.bodies import json_document
from connector.sources.placing import place

#: Targets a profile's `columns` may name besides those of `Reading.mapping`.
KEY_CODE, RECORD, ANSWERED_ON = "key_code", "record", "answered_on"
_OWN = frozenset((KEY_CODE, RECORD, ANSWERED_ON))
# A quote left open would swallow the rest of the file: no keyed record spans more lines than this.
_MOST_LINES = 20
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """A readable record: `values` by the file's own column names, `line` where it starts."""

    record: str
    line: int
    key_code: str
    answered_on: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be read, with the reason for the mail house and its text as far as it decodes."""

    line: int
    reason: str
    text: str


def card_body(house: str, batch: str, row: Row) -> bytes:
    """Write a row as the body of its delivery (`application/json`)."""
    return orjson.dumps(
        {
            "house": house,
            "batch": batch,
            "record": row.record,
            "line": row.line,
            "key_code": row.key_code,
            "answered_on": row.answered_on,
            "values": row.values,
        }
    )


class CardSource(Source):
    """Reads the deliveries `card_body` writes."""

    kind: ClassVar[str] = "cards"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: an operator imported the file."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one card. An unknown key code waits for a person, it is never guessed."""
        card = json_document(delivery.body)
        house, batch, record = (_text(card, name) for name in ("house", "batch", "record"))
        values = card.get("values")
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise UnreadableDelivery("the card has no values by column name")
        occurred = _instant(card)
        # A date nobody could read stays with the card as it was keyed.
        read = _OWN if occurred else _OWN - {ANSWERED_ON}
        own = {name for name, target in reading.mapping.items() if target in read}
        placed = place([pair for pair in values.items() if pair[0] not in own], reading)
        key_code = _text(card, KEY_CODE)
        placed.attribution |= {KEY_CODE: key_code, "batch": batch, "house": house}
        if key_code in reading.campaigns:
            placed.fields["campaign"] = key_code
        else:
            placed.suspicions.append("the key code belongs to no campaign: add it to the configuration")
        placed.lead_key = ":".join(_escape(part) for part in (house, batch, record))
        return [placed.submission(reading, occurred_at=occurred)]


def _text(card: Any, name: str) -> str:
    value = card.get(name) if isinstance(card, dict) else None
    if not isinstance(value, str) or not value:
        raise UnreadableDelivery(f"the card has no {name}")
    return clean(value)


def _instant(card: Mapping[str, Any]) -> datetime | None:
    try:
        read = datetime.fromisoformat(card.get(ANSWERED_ON, ""))
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace(":", "%3A")


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    readable: bool


def read_batch(
    stream: BinaryIO,
    *,
    columns: Mapping[str, str],
    encoding: str,
    delimiter: str,
    date_format: str,
) -> Iterator[Row | Reject]:
    """Yield the records of a batch file in order, with constant memory.

    `columns` sends each column of the file to a target. Without a column for `record` a record's number is
    the number of its line. Raises `ConfigurationError` for a profile nobody could read a file with and
    `UnreadableDelivery` when the header is not the profile's.
    """
    lines = _lines(stream, _checked(encoding, delimiter))
    header = _header(lines, columns, delimiter)
    places = {target: header.index(name) for name, target in columns.items() if target in _OWN}
    for record in _records(lines, delimiter, len(header)):
        if record.fault:
            yield Reject(record.line, record.fault, record.text)
        elif any(cell.strip() for cell in record.cells):
            yield _row(record, header, places, date_format)


def _checked(encoding: str, delimiter: str) -> str:
    try:
        plain = "a;\n".encode(encoding) == b"a;\n" or codecs.lookup(encoding).name == "utf-8-sig"
    except LookupError as err:
        raise ConfigurationError(f"encoding {encoding!r} is unknown: use utf-8 or windows-1252") from err
    if not plain:
        raise ConfigurationError(f"encoding {encoding!r} cannot be read line by line: use utf-8")
    if len(delimiter) != 1:
        raise ConfigurationError(f"delimiter {delimiter!r} must be one character")
    return encoding


def _lines(stream: BinaryIO, encoding: str) -> Iterator[_Line]:
    number = 0
    while raw := stream.readline(_MOST_BYTES):
        number += 1
        whole = raw.endswith(b"\n") or len(raw) < _MOST_BYTES
        text, readable = _decoded(raw, encoding)
        while not whole and (rest := stream.readline(_MOST_BYTES)):
            readable, whole = False, rest.endswith(b"\n")
        yield _Line(number, text.removeprefix("\ufeff") if number == 1 else text, readable)


def _decoded(raw: bytes, encoding: str) -> tuple[str, bool]:
    try:
        return raw.decode(encoding), True
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), False


def _header(lines: Iterator[_Line], columns: Mapping[str, str], delimiter: str) -> list[str]:
    first = next(lines, None)
    if first is None or not first.readable:
        raise UnreadableDelivery("the file is empty or its first line is not in the profile's encoding")
    cells = next(csv.reader([first.text], delimiter=delimiter), [])
    header = [clean(cell).strip() for cell in cells]
    missing = [name for name in columns if name not in header]
    if missing:
        raise UnreadableDelivery(f"the header lacks {', '.join(missing)}: it has {', '.join(header)}")
    if len(set(header)) != len(header):
        raise UnreadableDelivery("the header names a column twice")
    if KEY_CODE not in columns.values():
        raise ConfigurationError("the card profile names no column for key_code")
    return header


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    text: str
    cells: list[str]
    fault: str


def _records(lines: Iterator[_Line], delimiter: str, width: int) -> Iterator[_Record]:
    """Join the lines of quoted line breaks; lines that make no record together are read one by one."""
    waiting: deque[_Line] = deque()
    while line := _next(waiting, lines):
        taken = [line]
        cells, fault = _cells(taken, delimiter)
        while fault == _OPEN and len(taken) < _MOST_LINES and (more := _next(waiting, lines)):
            taken.append(more)
            cells, fault = _cells(taken, delimiter)
        if len(taken) > 1 and (fault or len(cells) != width):
            waiting.extendleft(reversed(taken[1:]))
            taken, fault = [line], _OPEN
        yield _Record(line.number, "".join(part.text for part in taken), cells, fault)


def _next(waiting: deque[_Line], lines: Iterator[_Line]) -> _Line | None:
    return waiting.popleft() if waiting else next(lines, None)


_OPEN = "a quotation mark is not closed"


def _cells(lines: Sequence[_Line], delimiter: str) -> tuple[list[str], str]:
    if not all(line.readable for line in lines):
        return [], "the line is not in the profile's encoding, or longer than 64 KB"
    try:
        return next(csv.reader((line.text for line in lines), delimiter=delimiter, strict=True), []), ""
    except csv.Error as err:
        at_end = "unexpected end of data" in str(err)
        return [], _OPEN if at_end else "text follows a closing quotation mark"


def _row(read: _Record, header: list[str], places: Mapping[str, int], date_format: str) -> Row | Reject:
    if len(read.cells) != len(header):
        return Reject(read.line, f"{len(read.cells)} columns where the header has {len(header)}", read.text)
    values = {name: clean(cell).strip() for name, cell in zip(header, read.cells, strict=True)}
    key_code = _own_cell(KEY_CODE, read.cells, places)
    record = _own_cell(RECORD, read.cells, places) if RECORD in places else str(read.line)
    if not key_code or not record:
        return Reject(read.line, f"no {'record number' if key_code else 'key code'}", read.text)
    answered = _date(_own_cell(ANSWERED_ON, read.cells, places), date_format)
    return Row(record, read.line, key_code, answered, values)


def _own_cell(name: str, cells: list[str], places: Mapping[str, int]) -> str:
    return clean(cells[places[name]]).strip() if name in places else ""


def _date(text: str, date_format: str) -> str:
    """Return the ISO form; empty when there is no date or it is written otherwise."""
    try:
        return datetime.strptime(text, date_format).replace(tzinfo=UTC).isoformat() if text else ""
    except ValueError:
        return ""
