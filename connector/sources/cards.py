"""Response cards keyed by a mail house: one row of its batch file is one delivery (requirement C17)."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO, ClassVar

import orjson

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.model.text import clean
from connector.model.token import BadToken, read_token
from connector.sources.base import Reading, Source
from connector.sources.bodies import json_document
from connector.sources.placing import Placed, place
from connector.sources.records import Line, Record, checked_encoding, fixed, lines_of, separated

#: Targets a profile's `columns` may name besides those of `Reading.mapping`.
KEY_CODE, TOKEN, RECORD, ANSWERED_ON, KEYED_ON = "key_code", "token", "record", "answered_on", "keyed_on"
_OWN = frozenset((KEY_CODE, TOKEN, RECORD, ANSWERED_ON, KEYED_ON))
#: What stands in a mail house's place when a card was keyed in the console, and for a value nobody can read.
KEYED_HERE, ILLEGIBLE = "keyed", "?"
#: What a third person decided, among a keyed card's documents.
SETTLED = "settled"
# Keyed by hand, a value stands under its target.
_NAMED = ("consent.", "custom.")
_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Row:
    """A readable record: `values` by the file's own column names, `line` where it starts.

    `token` is what was scanned or typed. The dates are ISO 8601, empty when not known.
    """

    record: str
    line: int
    key_code: str
    answered_on: str
    values: Mapping[str, str]
    token: str = ""
    keyed_on: str = ""


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
            "token": row.token,
            "answered_on": row.answered_on,
            "keyed_on": row.keyed_on,
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
        """Read one card. An unknown key code or a mistyped token waits for a person, it is never guessed."""
        card = json_document(delivery.body)
        house, batch, record = (_text(card, name) for name in ("house", "batch", "record"))
        values = _values(card, delivery, keyed_here=house == KEYED_HERE)
        dates = {name: _instant(card, name) for name in (ANSWERED_ON, KEYED_ON)}
        # A date nobody could read stays with the card as it was keyed.
        unread = {name for name, read in dates.items() if read is None}
        own = {name for name, target in reading.mapping.items() if target in _OWN - unread}
        placed = _placed([pair for pair in values.items() if pair[0] not in own], card, reading)
        placed.attribution |= {"batch": batch, "house": house}
        placed.lead_key = ":".join(_escape(part) for part in (house, batch, record))
        placed.keyed_at = dates[KEYED_ON]
        return [placed.submission(reading, occurred_at=dates[ANSWERED_ON])]


def _values(card: Mapping[str, Any], delivery: Delivery, *, keyed_here: bool) -> dict[str, str]:
    """Return what is on the card, as those who keyed it twice agreed."""
    values = card.get("values")
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise UnreadableDelivery("the card has no values by column name")
    if not keyed_here:
        return values
    settled = orjson.loads(delivery.fetched.get(SETTLED, "{}"))
    return {name: value for name, value in {**values, **settled}.items() if value != ILLEGIBLE}


def _placed(values: list[tuple[str, str]], card: Any, reading: Reading) -> Placed:
    """Place what was keyed; a card that nobody wrote on says by its token alone who answered (C10)."""
    token, key_code = _optional(card, TOKEN), _optional(card, KEY_CODE)
    if not token and not key_code:
        raise UnreadableDelivery("the card has neither key_code nor token")
    named = {name: name for name, _ in values if name.startswith(_NAMED)}
    reading = replace(reading, mapping=named | dict(reading.mapping))
    placed = place(values, reading) if not token or any(value.strip() for _, value in values) else Placed()
    if key_code:
        placed.attribution[KEY_CODE] = key_code
    if key_code in reading.campaigns:
        placed.fields["campaign"] = key_code
    elif key_code:
        placed.suspicions.append("the key code belongs to no campaign: add it to the configuration")
    if token:
        _take_token(placed, token)
    return placed


def _take_token(placed: Placed, token: str) -> None:
    try:
        placed.token = read_token(token)
    except BadToken as err:
        placed.suspicions.append(f"the card's code cannot be right: {err}; replayed, the card counts without it")


def _text(card: Any, name: str) -> str:
    value = _optional(card, name)
    if not value:
        raise UnreadableDelivery(f"the card has no {name}")
    return value


def _optional(card: Any, name: str) -> str:
    value = card.get(name) if isinstance(card, dict) else None
    return clean(value) if isinstance(value, str) else ""


def _instant(card: Mapping[str, Any], name: str) -> datetime | None:
    try:
        read = datetime.fromisoformat(card.get(name, ""))
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace(":", "%3A")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a mail house writes its files.

    `columns` sends each column to a target; without one for `record` a record's number is the number of its line.
    With `widths`, the characters of each column in order, there is no header and no delimiter. The last record
    begins with `trailer`, if that is set, and tells how many came before it.
    """

    columns: Mapping[str, str]
    encoding: str = "utf-8"
    delimiter: str = ","
    date_format: str = "%Y-%m-%d"
    widths: Mapping[str, int] = field(default_factory=dict)
    trailer: str = ""


def read_batch(stream: BinaryIO, layout: Layout) -> Iterator[Row | Reject]:
    """Yield the records of a batch file in order, with constant memory; the trailer is none of them.

    Raises:
        ConfigurationError: nobody could read a file with this layout.
        UnreadableDelivery: the header is not the layout's, or the trailer is missing or counts otherwise. What was
            yielded until then must not be kept.
    """
    header, records = _opened(stream, layout)
    places = {target: header.index(name) for name, target in layout.columns.items() if target in _OWN}
    count, told = 0, None
    for record in records:
        if told is not None:
            raise UnreadableDelivery(f"line {record.line} follows the trailer: ask the mail house for the whole file")
        if layout.trailer and record.text.startswith(layout.trailer):
            told = _told(record, layout.trailer)
        elif record.fault or any(cell.strip() for cell in record.cells):
            count += 1
            yield _row(record, header, places, layout.date_format)
    _check_count(layout, count, told)


def _told(record: Record, trailer: str) -> int:
    """Return the first number behind the trailer's mark; -1 when there is none."""
    found = _NUMBER.search(record.text.removeprefix(trailer))
    return int(found.group()) if found else -1


def _check_count(layout: Layout, count: int, told: int | None) -> None:
    if layout.trailer and told != count:
        said = f"no record begins with {layout.trailer!r}" if told is None else f"the trailer says {max(told, 0)}"
        raise UnreadableDelivery(f"{said}, the file has {count} records: ask the mail house for the whole file")


def _opened(stream: BinaryIO, layout: Layout) -> tuple[list[str], Iterator[Record]]:
    lines = lines_of(stream, checked_encoding(layout.encoding))
    if KEY_CODE not in layout.columns.values():
        raise ConfigurationError("the card profile names no column for key_code")
    if layout.widths:
        lacking = [name for name in layout.columns if name not in layout.widths]
        if lacking:
            raise ConfigurationError(f"the card profile's widths lack {', '.join(lacking)}")
        return list(layout.widths), fixed(lines, list(layout.widths.values()))
    if len(layout.delimiter) != 1:
        raise ConfigurationError(f"delimiter {layout.delimiter!r} must be one character")
    header = _header(lines, layout.columns, layout.delimiter)
    return header, separated(lines, layout.delimiter, len(header))


def _header(lines: Iterator[Line], columns: Mapping[str, str], delimiter: str) -> list[str]:
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
    return header


def _row(read: Record, header: list[str], places: Mapping[str, int], date_format: str) -> Row | Reject:
    if read.fault:
        return Reject(read.line, read.fault, read.text)
    if len(read.cells) != len(header):
        return Reject(read.line, f"{len(read.cells)} columns where the header has {len(header)}", read.text)
    values = {name: clean(cell).strip() for name, cell in zip(header, read.cells, strict=True)}
    own = {name: clean(read.cells[place]).strip() for name, place in places.items()}
    record = own.get(RECORD, str(read.line))
    if not record or not (own.get(KEY_CODE) or own.get(TOKEN)):
        return Reject(read.line, "no key code" if record else "no record number", read.text)
    return Row(
        record,
        read.line,
        own.get(KEY_CODE, ""),
        _date(own.get(ANSWERED_ON, ""), date_format),
        values,
        token=own.get(TOKEN, ""),
        keyed_on=_date(own.get(KEYED_ON, ""), date_format),
    )


def _date(text: str, date_format: str) -> str:
    """Return the ISO form; empty when there is no date or it is written otherwise."""
    try:
        return datetime.strptime(text, date_format).replace(tzinfo=UTC).isoformat() if text else ""
    except ValueError:
        return ""
