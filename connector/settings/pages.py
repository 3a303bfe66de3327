"""YAML 1.2 files as plain data, with the line of every value.

Nothing is guessed: only true, false, whole numbers and null are more than text, so `0.10`, `17:00`, `no`
and a postal code keep every character.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from connector.settings.complaints import Complaints
from connector.settings.shapes import Path as ValuePath
from connector.settings.shapes import dotted

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_PLAIN = {"true": True, "false": False, "null": None, "~": None, "": None}
_TABS = ("a tab stands where YAML wants spaces", "tabs have no fixed width", "indent with spaces only")


@dataclass(frozen=True, slots=True)
class Page:
    """One YAML file. `lines` leads from the path of a value to its line."""

    file: str
    data: dict[str, Any]
    lines: Mapping[ValuePath, int]

    def line(self, path: ValuePath) -> int:
        """Return the line of a value, or of the nearest thing around it that is written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def keys(self, *path: str) -> frozenset[str]:
        """Return the keys of the table at a path, also of entries with mistakes."""
        found: Any = self.data
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return frozenset(found) if isinstance(found, dict) else frozenset()


def read_page(path: Path, file: str, complaints: Complaints) -> Page | None:
    """Read a YAML file whose top is a table; None, with a complaint, if that cannot be."""
    text = _text(path, file, complaints)
    if text is None:
        return None
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, RecursionError) as err:
        line, what, why, do = _syntax(err, text)
        complaints.add(file, line, what, why, do)
        return None
    if root is None or not isinstance(root, MappingNode):
        what = "the file is empty" if root is None else "the file does not start with keys"
        complaints.add(file, 1, what, "a table of keys is expected", "write 'key: value' lines")
        return None
    reading = _Reading(file, complaints)
    return Page(file, reading.value(root, ()), reading.lines)


def _text(path: Path, file: str, complaints: Complaints) -> str | None:
    try:
        raw = path.read_bytes()
    except OSError:
        complaints.add(
            file,
            1,
            "the file is missing or cannot be read",
            "the configuration is not complete without it",
            "add it; `hearback init DIR` writes a sample",
        )
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = raw.count(b"\n", 0, err.start) + 1
        complaints.add(file, line, "the file is not UTF-8", "YAML files are read as UTF-8 only", "save it as UTF-8")
        return None


def _syntax(err: Exception, text: str) -> tuple[int, str, str, str]:
    if isinstance(err, ReaderError):
        line = text.count("\n", 0, int(err.position)) + 1
        return line, "a control character stands here", "it cannot be seen and means nothing", "delete it"
    if not isinstance(err, MarkedYAMLError) or err.problem_mark is None:
        return 1, "the file cannot be read as YAML", "its structure is broken", "check brackets and indentation"
    line = err.problem_mark.line + 1
    if "\\t" in (err.problem or ""):
        return line, *_TABS
    advice = "check indentation, quotes and brackets up to this line, and quote values with ': ', '#', '{' or '@'"
    return line, f"the file cannot be read as YAML ({err.problem})", err.context or "its structure is broken", advice


class _Reading:
    """Turns nodes into plain data and remembers their lines."""

    def __init__(self, file: str, complaints: Complaints) -> None:
        self.lines: dict[ValuePath, int] = {}
        self._file = file
        self._complaints = complaints
        self._seen: set[int] = set()

    def value(self, node: Node, path: ValuePath) -> Any:
        # An alias is the node of its anchor, so the key's own line counts first.
        line = self.lines.setdefault(path, node.start_mark.line + 1)
        if not self._may_stand(node, path, line):
            return None
        if isinstance(node, MappingNode):
            return self._table(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        return _scalar(node) if isinstance(node, ScalarNode) else None

    def _may_stand(self, node: Node, path: ValuePath, line: int) -> bool:
        if id(node) in self._seen:
            what, why = f"{dotted(path)}: is an alias", "aliases are not read"
            self._complaints.add(self._file, line, what, why, "write the value out")
            return False
        self._seen.add(id(node))
        if not str(node.tag).startswith("tag:yaml.org,2002:"):
            what, why = f"{dotted(path)}: has the tag {node.tag}", "tags are not read"
            self._complaints.add(self._file, line, what, why, "remove the tag, or quote the value")
            return False
        return True

    def _table(self, node: MappingNode, path: ValuePath) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name, item in node.value:
            key = name.value if isinstance(name, ScalarNode) else ""
            line = name.start_mark.line + 1
            if not key:
                self._complaints.add(
                    self._file, line, "a key is not plain text", "keys are names", "write 'key: value'"
                )
            elif key in table:
                self._complain_twice((*path, key), line)
            else:
                self.lines[(*path, key)] = line
                table[key] = self.value(item, (*path, key))
        return table

    def _complain_twice(self, path: ValuePath, line: int) -> None:
        self._complaints.add(
            self._file,
            line,
            f"{dotted(path)}: stands twice, first on line {self.lines[path]}",
            "only one can count",
            "remove or rename one of the two",
        )


def _scalar(node: ScalarNode) -> Any:
    text = str(node.value)
    if node.style is not None:
        return text
    if text.lower() in _PLAIN and text in (text.lower(), text.capitalize(), text.upper()):
        return _PLAIN[text.lower()]
    return int(text) if _WHOLE.fullmatch(text) else text
