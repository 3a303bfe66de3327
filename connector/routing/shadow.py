"""The book as it would be under a draft: what the draft decided, and all that happened besides as it was recorded."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connector.model.routing import Cap, RuleSet
from connector.routing.book import HERE, Book, Grant, Presence, Standing
from connector.routing.ledger import Turn
from connector.routing.record import standing_of
from connector.routing.rings import Taken, Window, caps_of, microseconds

#: Standings as a record's book has them.
Rows = Mapping[str, list[Any]]


class _Row:
    """What changes of somebody's standing from one decision to the next."""

    __slots__ = ("balance", "grant", "last_seq", "open_leads")

    def __init__(self, standing: Standing) -> None:
        self.balance = standing.balance
        self.last_seq = standing.last_seq
        self.open_leads = standing.open_leads
        self.grant = standing.grant

    def equals(self, other: "_Row") -> bool:
        return (
            self.balance == other.balance
            and self.last_seq == other.last_seq
            and self.open_leads == other.open_leads
            and self.grant == other.grant
        )


class _Account(dict[str, _Row]):
    """Rows by person; somebody never seen stands at zero."""

    def __missing__(self, person: str) -> _Row:
        row = self[person] = _Row(Standing())
        return row

    def post(self, turn: Turn, owner: str | None, seq: int, grants: Mapping[str, Grant]) -> None:
        for person, balance in zip(turn.people, turn.after, strict=True):
            self[person].balance = balance
        for person, grant in grants.items():
            self[person].grant = grant
        if owner is not None:
            row = self[owner]
            row.open_leads += 1
            if owner in turn.people:
                row.last_seq = seq


class Shadow(Book):
    """A book that follows records.

    Two accounts run side by side: what the records' own decisions explain, and what the draft's do. What a record
    shows beyond the first (a lead was closed, a turn given back) happened under the draft too, to the same person.
    Whether somebody is there is known of the people a record shows; the others are taken to be (`assumed`).
    """

    def __init__(
        self, rule_set: RuleSet, beginnings: Mapping[str, Standing], taken: Mapping[str, Sequence[Taken]]
    ) -> None:
        super().__init__({}, 0)
        self._then = _Account({person: _Row(standing) for person, standing in beginnings.items()})
        self._now = _Account({person: _Row(standing) for person, standing in beginnings.items()})
        self._times = _Times(rule_set, taken)
        self._shown: Rows = {}
        self._asked: dict[str, Standing] = {}
        self._at = 0
        self._parted: set[str] = set()
        #: Somebody was looked at whom the record does not show.
        self.assumed = False

    def stand_before(self, seq: int, at: datetime, shown: Rows) -> None:
        """Take up what a record shows of the moment before its decision."""
        for person, row in shown.items():
            self._follow(person, row)
        self._shown, self._at, self._asked = shown, microseconds(at), {}
        self.decisions, self.assumed = seq - 1, False

    def agrees(self) -> bool:
        """Tell whether everybody the record shows stands as it shows them under the draft too."""
        return not any(
            person in self._parted or not self._now[person].equals(self._then[person]) for person in self._shown
        )

    def part(self, *people: str | None) -> None:
        """Note that people were given other leads than recorded, for their rolling caps."""
        self._parted.update(person for person in people if person is not None and self._times.matter(person))

    def standing(self, person: str) -> Standing:
        """Return a person's standing under the draft, with what the record says of their being there."""
        known = self._asked.get(person)
        if known is None:
            known = self._asked[person] = self._standing(person)
        return known

    def standings(self, people: Iterable[str]) -> dict[str, Standing]:
        """Return the standings of some people under the draft, in their order."""
        asked = self._asked
        return {person: asked.get(person) or self.standing(person) for person in people}

    def release(self, then: str | None, now: str | None) -> None:
        """Take a lead from its owner as it was recorded, and from its owner under the draft."""
        if then is not None:
            self._then[then].open_leads -= 1
        if now is not None:
            self._now[now].open_leads -= 1

    def post(
        self,
        turn: Turn,
        owner: str | None,
        seq: int,
        *,
        lead: str = "",  # noqa: ARG002 (the signature of a Book; a shadow writes no rows)
        grants: Mapping[str, Grant] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Enter a decision of the draft."""
        self._now.post(turn, owner, seq, grants or {})
        if owner is not None:
            self._times.add(owner, self._at, tags)

    def post_then(self, turn: Turn, owner: str | None, seq: int, grants: Mapping[str, Grant]) -> None:
        """Enter a decision as it was recorded."""
        self._then.post(turn, owner, seq, grants)

    def _standing(self, person: str) -> Standing:
        row, shown = self._now[person], self._shown.get(person)
        if shown is None:
            self.assumed = True
        paused, presence = _there(shown) if shown else (False, HERE)
        windows = self._times.windows(person, self._at)
        # Whose leads others have under the draft may see more of them closed than they own.
        return Standing(row.balance, row.last_seq, max(0, row.open_leads), paused, row.grant, presence, windows)

    def _follow(self, person: str, row: list[Any]) -> None:
        then = self._then[person]
        if then.open_leads == row[2] and then.balance == row[0]:
            return
        (balance, _, open_leads, *_), now = row, self._now[person]
        now.open_leads += open_leads - then.open_leads
        now.balance += balance - then.balance
        then.open_leads, then.balance = open_leads, balance


def _there(row: list[Any]) -> tuple[bool, Presence]:
    """Tell whether somebody is paused, and there; most rows end before they say more."""
    _, _, _, paused, *more = row
    return bool(paused), standing_of(row).presence if more else HERE


class _Times:
    """When people were given leads, for each of their rolling caps: `rings` over a long time."""

    def __init__(self, rule_set: RuleSet, taken: Mapping[str, Sequence[Taken]]) -> None:
        self._caps = {person: caps for person in rule_set.reps if (caps := caps_of(rule_set, person))}
        self._times: dict[tuple[str, str], list[int]] = {}
        for person, given in taken.items():
            for at, tags in given:
                self.add(person, at, tags)

    def matter(self, person: str) -> bool:
        """Tell whether somebody has rolling caps."""
        return person in self._caps

    def add(self, person: str, at: int, tags: tuple[str, ...]) -> None:
        """Count an assignment; they come in order of time."""
        for cap in self._caps.get(person, ()):
            if not cap.conditions or cap.key in tags:
                self._times.setdefault((person, cap.key), []).append(at)

    def windows(self, person: str, at: int) -> dict[str, Window]:
        """Return how much of each of a person's caps is used at an instant; unused ones are left out."""
        caps = self._caps.get(person)
        if caps is None:
            return {}
        found = {cap.key: self._window(cap, self._times.get((person, cap.key), []), at) for cap in caps}
        return {key: window for key, window in found.items() if window.used}

    def _window(self, cap: Cap, times: Sequence[int], at: int) -> Window:
        span = round(cap.span.total_seconds()) * 1_000_000
        used = len(times) - bisect_right(times, at - span)
        full = used >= cap.limit > 0
        return Window(used, times[len(times) - cap.limit] + span if full else 0)
