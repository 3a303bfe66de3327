"""What is wrong with a configuration, collected so that an admin sees all of it at once."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

#: How many valid values a complaint lists before it points to the documentation instead.
LISTED = 12


class Severity(StrEnum):
    """An error stops the configuration from being used, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One mistake: where it stands, what is wrong, why that matters, and what to do now."""

    file: str
    line: int
    what: str
    why: str
    do: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}, {self.why}, {self.do}"


class Complaints:
    """The complaints of one reading of a folder."""

    def __init__(self) -> None:
        self._found: list[Complaint] = []

    def add(
        self,
        file: str,
        line: int,
        what: str,
        why: str,
        do: str,
        *,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a mistake."""
        self._found.append(Complaint(file, line, what, why, do, severity))

    def unknown(self, file: str, line: int, kind: str, name: str, names: Collection[str] | None, *, home: str) -> None:
        """Complain if `name` is not among the names `home` defines.

        `names` is None when `home` itself could not be read: then nothing is known to be missing.
        """
        if names is None or name in names:
            return
        self.add(
            file,
            line,
            f"{kind} '{name}' is unknown",
            f"{home} does not define it",
            suggestion(name, names, otherwise=f"correct it or add it to {home}"),
        )

    def sorted(self) -> tuple[Complaint, ...]:
        """Return every complaint once, by file and line."""
        return tuple(sorted(dict.fromkeys(self._found), key=lambda found: (found.file, found.line)))

    @property
    def fatal(self) -> bool:
        """Tell whether anything found forbids using the configuration."""
        return any(found.severity is Severity.ERROR for found in self._found)


def suggestion(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return what to write instead: the closest known word, else `otherwise`, else the choices."""
    choices = sorted(known)
    near = get_close_matches(word, choices, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    if otherwise or not choices or len(choices) > LISTED:
        return otherwise or "see README.md in the sample configuration"
    return f"use one of: {', '.join(choices)}"
