"""How far the change feed is read, as one text that the caller keeps. Pure.

For each object: a watermark, the newest change that was told; `at`, where the present pass over the window stands;
and which changes near the watermark were told already, since each pass begins a little before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson

from connector.errors import UnexpectedAnswer

#: How late a change may show up in the search and still be seen.
OVERLAP = int(timedelta(minutes=2).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Track:
    """One object's part; times are milliseconds since 1970. `tie` is the last id told among changes of one instant."""

    mark: int = 0
    at: int | None = None
    tie: str = ""
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """Return from when on the next page is asked for."""
        return self.at if self.at is not None else max(self.mark - OVERLAP, 0)

    def told(self, changes: Mapping[str, int]) -> "Track":
        """Return the track after these changes, by id, were told."""
        mark = max([self.mark, *changes.values()])
        return replace(self, mark=mark, seen={**self.seen, **changes})

    def moved(self, at: int | None, tie: str = "") -> "Track":
        """Return the track at another place of its pass, None for its end, without what is too old to matter."""
        oldest = (self.mark if at is None else min(self.mark, at)) - OVERLAP
        return replace(self, at=at, tie=tie, seen={id_: ms for id_, ms in self.seen.items() if ms >= oldest})


@dataclass(frozen=True, slots=True)
class Cursor:
    """The whole feed's place: whose turn it is, and everybody's track. `users` holds what was told of owners."""

    turn: int = 0
    tracks: Mapping[str, Track] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    #: Where a look at archived records was interrupted: the object's place in the order, and the page.
    sweep: tuple[int, str] | None = None

    def track(self, name: str) -> Track:
        """Return an object's track."""
        return self.tracks.get(name, Track())

    def put(self, name: str, track: Track) -> "Cursor":
        """Return the cursor with another track."""
        return replace(self, tracks={**self.tracks, name: track})

    def text(self) -> str:
        """Return the cursor as text; equal cursors are equal texts."""
        tracks = {
            name: {"m": track.mark, "a": track.at, "t": track.tie, "s": dict(sorted(track.seen.items()))}
            for name, track in sorted(self.tracks.items())
            if track != Track()
        }
        whole = {"v": 1, "n": self.turn, "k": tracks, "u": dict(sorted(self.users.items())), "w": self.sweep}
        return orjson.dumps(whole).decode()


def read(text: str) -> Cursor:
    """Read a cursor's text; "" is the beginning.

    Raises:
        UnexpectedAnswer: it is none of ours.
    """
    if not text:
        return Cursor()
    try:
        whole = orjson.loads(text)
        sweep = whole["w"]
        return Cursor(
            int(whole["n"]),
            {name: _track(each) for name, each in whole["k"].items()},
            dict(whole["u"]),
            (int(sweep[0]), str(sweep[1])) if sweep else None,
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
        pass
    raise UnexpectedAnswer("the stored cursor of the change feed cannot be read: empty it to begin anew")


def _track(stored: Mapping[str, Any]) -> Track:
    at = stored["a"]
    return Track(int(stored["m"]), None if at is None else int(at), str(stored["t"]), dict(stored["s"]))
