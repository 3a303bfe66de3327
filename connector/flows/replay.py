"""What a draft would have decided: read what is stored, touch nothing."""

import gc
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from connector.flows import verify
from connector.model.routing import RuleSet
from connector.model.ruleset_document import from_document
from connector.routing import replay
from connector.routing.compiled import CompiledRules
from connector.routing.likeness import Likeness
from connector.routing.replay import Entry, Learned
from connector.routing.rings import caps_of
from connector.store import Store, Transaction, configuration, decisions, leads, ledger

#: Decisions read at once.
RUN = 2_000
#: Up to so many decisions are also taken again as they were; more is the work of `hearback verify`.
CHECKED = 20_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """The outcome. `problems` are decisions that are not as they were written; None: they were not taken again."""

    since: datetime
    report: replay.Report
    problems: tuple[verify.Problem, ...] | None


def what_if(
    url: str,
    draft: RuleSet,
    window: timedelta,
    *,
    kept: int | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Replayed:
    """Decide the leads of a window anew with a draft; `kept` and the rest as in `routing.replay` and `verify`."""
    with Store(url, size=1) as store:
        with store.transaction() as tx:
            since, last = tx.now() - window, ledger.decisions(tx)
            first = decisions.first_since(tx, since, last)
        problems = verify.again(url, first, last, processes=processes) if last - first < CHECKED else None
        made = _Reader(store, draft, first, last).replay(since, kept, progress)
    return Replayed(since, made.report(), problems)


@contextmanager
def _without_garbage() -> Iterator[None]:
    """Leave out the search for cycles, of which records have none: it takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Reader:
    """Reads a run of records for a draft, and of the leads what the records do not say."""

    def __init__(self, store: Store, draft: RuleSet, first: int, last: int) -> None:
        self._store = store
        self._draft = draft
        self._first, self._last = first, last
        self._likeness: dict[str, Likeness] = {}

    def replay(self, since: datetime, kept: int | None, progress: Callable[[int, int], None]) -> replay.Replay:
        rules, standings = CompiledRules(self._draft), replay.beginnings(self._first_shown())
        made = replay.Replay(rules, standings, self._taken(since), kept=kept)
        done, total = 0, self._last - self._first + 1
        with _without_garbage():
            for run in self._runs():
                for entry in self._entries(run):
                    made.take(entry)
                done += len(run)
                progress(done, total)
        return made

    def _first_shown(self) -> list[Mapping[str, Any]]:
        """Read the records that first show people."""
        found = next(self._runs(), [])
        missing = replay.sharers(self._draft).difference(*(written["book"] for written in found))
        with self._store.transaction() as tx:
            later = [decisions.first_showing(tx, person, self._first, self._last) for person in sorted(missing)]
        return [*found, *sorted(map(orjson.loads, filter(None, later)), key=lambda written: int(written["seq"]))]

    def _taken(self, since: datetime) -> Mapping[str, list[tuple[int, tuple[str, ...]]]]:
        """Read what people with rolling caps had been given when the window began."""
        people = {person: caps_of(self._draft, person) for person in self._draft.reps}
        longest = {p: max(round(cap.span.total_seconds()) for cap in caps) for p, caps in people.items() if caps}
        with self._store.transaction() as tx:
            return ledger.taken_before(tx, longest, since)

    def _runs(self) -> Iterator[list[Mapping[str, Any]]]:
        for first in range(self._first, self._last + 1, RUN):
            with self._store.transaction() as tx:
                records = decisions.records(tx, first, min(first + RUN - 1, self._last))
            yield [orjson.loads(record) for record in records]

    def _entries(self, run: list[Mapping[str, Any]]) -> Iterator[Entry]:
        with self._store.transaction() as tx:
            asked = [UUID(each["case"]["lead"]) for each in run if not self._like(tx, each["rule_set"]).says_all]
            known = leads.companies(tx, asked) if asked else {}
        for written in run:
            likeness = self._likeness[written["rule_set"]]
            if likeness.says_all:
                yield Entry(written, likeness)
                continue
            found = known.get(UUID(written["case"]["lead"]))
            yield Entry(written, likeness, Learned(*found) if found else None, gone=found is None)

    def _like(self, tx: Transaction, digest: str) -> Likeness:
        if digest not in self._likeness:
            version = from_document(json.loads(configuration.rule_set_document(tx, digest)))
            self._likeness[digest] = Likeness.between(version, self._draft)
        return self._likeness[digest]
