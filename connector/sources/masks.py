"""What values look like without saying them: letters as `a`, digits as `9`."""

from collections import Counter
from collections.abc import Sequence

from connector.model.text import one_line

#: A run of letters or digits is not shown longer than this, nor a whole shape than that.
_RUN, _WHOLE = 4, 24
_KEPT = frozenset(" .,-/()+:;")


def mask(values: Sequence[str]) -> str:
    """Return the most common shape of values: `Aaaa Aaaa`, `a@a.aa`, `+99 99 9999`."""
    if not values:
        return ""
    return Counter(shape(value) for value in values).most_common(1)[0][0]


def shape(value: str) -> str:
    """Return the shape of a value: no letter, digit or sign of its own survives but those that part words."""
    line = one_line(value)
    if line.count("@") == 1 and " " not in line:
        return "a@a.aa"
    shown, run = "", 0
    for letter in line:
        mark = _mark(letter)
        run = run + 1 if shown.endswith(mark) or (mark == "a" and shown.endswith("A")) else 1
        if run <= _RUN:
            shown += mark
        if len(shown) >= _WHOLE:
            return shown + "..."
    return shown


def _mark(letter: str) -> str:
    if letter.isdigit():
        return "9"
    if letter.isalpha():
        return "A" if letter.isupper() else "a"
    return letter if letter in _KEPT else "?"
