"""The part of SOQL the adapter speaks: one object, comparisons, IN, AND, OR, brackets, ORDER BY, LIMIT."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r"\s*('(?:\\.|[^'\\])*'|>=|<=|!=|=|>|<|\(|\)|,|[A-Za-z0-9_.:+\-]+)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")

Row = Mapping[str, Any]
Test = Callable[[Row], bool]


class Malformed(Exception):
    """The query cannot be read."""


@dataclass
class Query:
    columns: list[str]
    object: str
    test: Test
    order: list[tuple[str, bool]] = field(default_factory=list)
    limit: int | None = None
    mentioned: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if found is None:
                raise Malformed(f"unexpected token at {place}")
            self.tokens.append(found[1])
            place = found.end()
        self.at = 0
        self.mentioned: list[str] = []

    def peek(self) -> str:
        return self.tokens[self.at].upper() if self.at < len(self.tokens) else ""

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise Malformed("unexpected end of query")
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, word: str) -> None:
        if self.next().upper() != word:
            raise Malformed(f"expecting {word}")

    def query(self) -> Query:
        self.expect("SELECT")
        columns = [self.next()]
        while self.peek() == ",":
            self.next()
            columns.append(self.next())
        self.expect("FROM")
        name = self.next()
        test: Test = bool
        if self.peek() == "WHERE":
            self.next()
            test = self.either()
        order = []
        if self.peek() == "ORDER":
            self.next()
            self.expect("BY")
            order = self.ordering()
        limit = None
        if self.peek() == "LIMIT":
            self.next()
            limit = int(self.next())
        if self.at != len(self.tokens):
            raise Malformed(f"unexpected token: {self.tokens[self.at]}")
        return Query(columns, name, test, order, limit, self.mentioned)

    def ordering(self) -> list[tuple[str, bool]]:
        found = []
        while True:
            name = self.next()
            descending = self.peek() == "DESC"
            if self.peek() in ("ASC", "DESC"):
                self.next()
            found.append((name, descending))
            if self.peek() != ",":
                return found
            self.next()

    def either(self) -> Test:
        tests = [self.both()]
        while self.peek() == "OR":
            self.next()
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.peek() == "AND":
            self.next()
            tests.append(self.one())
        # SOQL takes AND and OR side by side in brackets only.
        return lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        if self.peek() == "(":
            self.next()
            test = self.either()
            self.expect(")")
            return test
        name = self.next()
        self.mentioned.append(name)
        operator = self.next().upper()
        if operator == "IN":
            values = self.values()
            return lambda row: _plain(row.get(name)) in values
        value = literal(self.next())
        return lambda row: compare(operator, _plain(row.get(name)), value)

    def values(self) -> list[Any]:
        self.expect("(")
        found = [literal(self.next())]
        while self.peek() == ",":
            self.next()
            found.append(literal(self.next()))
        self.expect(")")
        return found


def read(text: str) -> Query:
    return _Reader(text).query()


def literal(token: str) -> Any:
    if token.startswith("'"):
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), token[1:-1], flags=re.DOTALL).casefold()
    lower = token.lower()
    if lower in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[lower]
    if _TIME.match(token):
        return token.replace("+00:00", "Z").rstrip("Z").partition(".")[0]
    return float(token)


def compare(operator: str, left: Any, right: Any) -> bool:
    if operator == "=":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    if left is None or right is None:
        return False
    return bool({">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator])


def _plain(value: Any) -> Any:
    """Texts compare without case, times by the second, as in a database of Salesforce's."""
    if isinstance(value, str) and _TIME.match(value):
        return value.partition(".")[0].partition("+")[0]
    return value.casefold() if isinstance(value, str) else value


def sort(rows: Sequence[Row], order: Sequence[tuple[str, bool]]) -> list[Row]:
    found = list(rows)
    for name, descending in reversed(order):
        # Ids sort by their bytes, texts without case; None first.
        found.sort(key=lambda row: (row.get(name) is not None, str(row.get(name) or "")), reverse=descending)
    return found
