"""Rolling caps: how many leads somebody was given in any hour, day, week or month. Exact, in whole microseconds.

Allowed at `t` if fewer than `limit` assignments lie in (t - span, t]; the oldest of them makes room at its time
plus the span.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connector.model.routing import Cap, RuleSet

#: When somebody was given a lead, in microseconds since 1970 UTC, and the caps with conditions it counts to.
Taken = tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a rolling cap is used, and when there will be room, in microseconds since 1970 UTC (0: now)."""

    used: int
    frees: int = 0


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNUSED = Window(0)


class Rings:
    """What everybody was given lately, as of one instant.

    `taken` holds, by person, assignments in order of time, at least as far back as the person's longest cap.
    """

    def __init__(self, rule_set: RuleSet | None, taken: Mapping[str, Sequence[Taken]], at: int) -> None:
        self._rule_set = rule_set
        self._taken = {person: list(times) for person, times in taken.items()}
        self._at = at

    def windows(self, person: str) -> dict[str, Window]:
        """Return how much of each of a person's caps is used, by the cap's key; unused ones are left out."""
        taken = self._taken.get(person)
        if not taken:
            return {}
        found = {cap.key: self._window(cap, taken) for cap in caps_of(self._rule_set, person)}
        return {key: window for key, window in found.items() if window.used}

    def added(self, person: str, tags: tuple[str, ...]) -> dict[str, Window]:
        """Count one more assignment now, and return the windows after it."""
        if not caps_of(self._rule_set, person):
            return {}
        self._taken.setdefault(person, []).append((self._at, tags))
        return self.windows(person)

    def _window(self, cap: Cap, taken: Sequence[Taken]) -> Window:
        span = round(cap.span.total_seconds()) * 1_000_000
        times = [at for at, tags in taken if at > self._at - span and (not cap.conditions or cap.key in tags)]
        full = len(times) >= cap.limit > 0
        return Window(len(times), times[len(times) - cap.limit] + span if full else 0)


def caps_of(rule_set: RuleSet | None, person: str) -> tuple[Cap, ...]:
    """Return all rolling caps that hold for a person: their own, and those for everybody."""
    if rule_set is None:
        return ()
    rep = rule_set.reps.get(person)
    return (*(rep.caps if rep else ()), *rule_set.caps)


def microseconds(at: datetime) -> int:
    """Return an aware instant in whole microseconds since 1970 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def instant(microseconds: int) -> str:
    """Return an instant in microseconds since 1970 as ISO 8601 in UTC, rounded up to the second."""
    return (_EPOCH + timedelta(seconds=-(-microseconds // 1_000_000))).isoformat()


NO_RINGS = Rings(None, {}, 0)
