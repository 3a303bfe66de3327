"""Records of a file of any size with constant memory: separated by a character, or of fixed width."""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import BinaryIO

from connector.errors import ConfigurationError

# A quote left open would swallow the rest of the file: no keyed record spans more lines than this.
_MOST_LINES = 20
_MOST_BYTES = 64 * 1024
_OPEN = "a quotation mark is not closed"
_UNREADABLE = "the line is not in the profile's encoding, or longer than 64 KB"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file; its text as far as it decodes."""

    number: int
    text: str
    readable: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of a record, or the fault why it has none. `line` is where it starts."""

    line: int
    text: str
    cells: list[str]
    fault: str


def checked_encoding(encoding: str) -> str:
    """Return an encoding that can be read line by line.

    Raises:
        ConfigurationError: it is unknown, or of another kind.
    """
    try:
        plain = "a;\n".encode(encoding) == b"a;\n" or codecs.lookup(encoding).name == "utf-8-sig"
    except LookupError as err:
        raise ConfigurationError(f"encoding {encoding!r} is unknown: use utf-8 or windows-1252") from err
    if not plain:
        raise ConfigurationError(f"encoding {encoding!r} cannot be read line by line: use utf-8")
    return encoding


def lines_of(stream: BinaryIO, encoding: str) -> Iterator[Line]:
    """Yield the lines of a file; one that is endless is cut and marked as unreadable."""
    number = 0
    while raw := stream.readline(_MOST_BYTES):
        number += 1
        whole = raw.endswith(b"\n") or len(raw) < _MOST_BYTES
        text, readable = _decoded(raw, encoding)
        while not whole and (rest := stream.readline(_MOST_BYTES)):
            readable, whole = False, rest.endswith(b"\n")
        yield Line(number, text.removeprefix("\ufeff") if number == 1 else text, readable)


def separated(lines: Iterator[Line], delimiter: str, width: int) -> Iterator[Record]:
    """Join the lines of quoted line breaks; lines that make no record together are read one by one."""
    waiting: deque[Line] = deque()
    while line := _next(waiting, lines):
        taken = [line]
        cells, fault = _cells(taken, delimiter)
        while fault == _OPEN and len(taken) < _MOST_LINES and (more := _next(waiting, lines)):
            taken.append(more)
            cells, fault = _cells(taken, delimiter)
        if len(taken) > 1 and (fault or len(cells) != width):
            waiting.extendleft(reversed(taken[1:]))
            taken, fault = [line], _OPEN
        yield Record(line.number, "".join(part.text for part in taken), cells, fault)


def fixed(lines: Iterator[Line], widths: Sequence[int]) -> Iterator[Record]:
    """Cut each line into columns of so many characters; blanks a house leaves out at the end are nothing."""
    cuts = list(pairwise(accumulate(widths, initial=0)))
    for line in lines:
        text = line.text.rstrip("\r\n")
        fault = "" if line.readable else _UNREADABLE
        if not fault and len(text.rstrip()) > cuts[-1][1]:
            fault = f"{len(text.rstrip())} characters where the profile's widths make {cuts[-1][1]}"
        cells = [] if fault else [text[start:end] for start, end in cuts]
        yield Record(line.number, line.text, cells, fault)


def _decoded(raw: bytes, encoding: str) -> tuple[str, bool]:
    try:
        return raw.decode(encoding), True
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), False


def _next(waiting: deque[Line], lines: Iterator[Line]) -> Line | None:
    return waiting.popleft() if waiting else next(lines, None)


def _cells(lines: Sequence[Line], delimiter: str) -> tuple[list[str], str]:
    if not all(line.readable for line in lines):
        return [], _UNREADABLE
    try:
        return next(csv.reader((line.text for line in lines), delimiter=delimiter, strict=True), []), ""
    except csv.Error as err:
        at_end = "unexpected end of data" in str(err)
        return [], _OPEN if at_end else "text follows a closing quotation mark"
