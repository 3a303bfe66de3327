"""Check stored decisions: same bytes when taken again, same digests, unbroken seals (promise P4)."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Any

import orjson

from connector.model.canonical import digest as hex_digest
from connector.model.ruleset_document import from_document
from connector.routing.compiled import CompiledRules
from connector.routing.record import recompute_by
from connector.routing.seal import GENESIS, seal_of
from connector.store import Store, Transaction, configuration, decisions, ledger, seals
from connector.store.decisions import DecisionRow
from connector.store.seals import Seal

#: Decisions after the last seal are checked in runs of this many.
RUN = 5_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. `seq` is a decision's number, or a seal's last one."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Part:
    """A run of decisions to check; with the seal over it and the one before, unless it is not sealed yet."""

    first: int
    last: int
    before: bytes = GENESIS
    seal: bytes | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome for one part. `erased` decisions are about people who were erased since."""

    decisions: int
    problems: tuple[Problem, ...]
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome as a whole. `newest` is the last seal in hex, to compare with a copy kept elsewhere.

    Of the `erased` decisions the leads are gone, and with their salts what ties a record to what they said; the
    records hold no personal data and are taken again like all others.
    """

    decisions: int
    seals: int
    newest: str
    problems: tuple[Problem, ...]
    erased: int = 0


def verify(
    url: str,
    *,
    processes: int = 1,
    kept: str = "",
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Check every decision and every seal in the database at `url`; `progress` hears (checked, all).

    Who may change every table may also seal anew. A seal `kept` elsewhere, in hex, shows it: it must be in the chain.
    """
    with Store(url, size=1) as store, store.transaction() as tx:
        chain = seals.every(tx)
        total = ledger.decisions(tx)
    parts = list(_parts(chain, total))
    done = erased = 0
    problems = list(_gaps(chain, total))
    if kept and kept not in {seal.digest.hex() for seal in chain}:
        problems.append(Problem(0, "the seal kept elsewhere is not in the chain: decisions were sealed anew"))
    for checked in _each(url, parts, processes):
        done += checked.decisions
        erased += checked.erased
        problems += checked.problems
        progress(done, total)
    newest = chain[-1].digest.hex() if chain else ""
    return Report(done, len(chain), newest, tuple(sorted(problems, key=lambda problem: problem.seq)), erased)


def again(url: str, first: int, last: int, *, processes: int = 1) -> tuple[Problem, ...]:
    """Take a run of decisions again, without a look at seals; return those that are not as they were written."""
    parts = list(_runs(first, last))
    return tuple(problem for checked in _each(url, parts, processes) for problem in checked.problems)


def _parts(chain: Sequence[Seal], total: int) -> Iterator[Part]:
    before = GENESIS
    for seal in chain:
        yield Part(seal.first, seal.last, before, seal.digest)
        before = seal.digest
    start = chain[-1].last + 1 if chain else 1
    yield from _runs(start, total)


def _runs(start: int, end: int) -> Iterator[Part]:
    for first in range(start, end + 1, RUN):
        yield Part(first, min(first + RUN - 1, end))


def _gaps(chain: Sequence[Seal], total: int) -> Iterator[Problem]:
    """Say where seals do not follow one another, or outrun the ledger."""
    expected = 1
    for seal in chain:
        if seal.first != expected:
            yield Problem(seal.last, f"the seal begins at {seal.first}, not at {expected}: a seal is missing")
        expected = seal.last + 1
    if expected > total + 1:
        yield Problem(expected - 1, f"the last seal covers more than the {total} decisions the ledger counts")


def _each(url: str, parts: Sequence[Part], processes: int) -> Iterator[Checked]:
    if processes <= 1 or len(parts) <= 1:
        with Store(url, size=1) as store:
            yield from map(Checker(store).check, parts)
        return
    # A spawned process shares no connection with this one.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_check_there, [url] * len(parts), parts)


def _check_there(url: str, part: Part) -> Checked:
    return _checker(url).check(part)


@cache
def _checker(url: str) -> "Checker":
    return Checker(Store(url, size=1).open())


class Checker:
    """Checks runs of decisions; each rule set is made ready once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules: dict[str, CompiledRules] = {}

    def check(self, part: Part) -> Checked:
        """Check one run of decisions and the seal over it."""
        with self._store.transaction() as tx:
            rows = decisions.between(tx, part.first, part.last)
            problems = [Problem(row.seq, what) for row in rows if (what := self._fault(tx, row))]
            erased = decisions.erased(tx, part.first, part.last)
        missing = sorted(set(range(part.first, part.last + 1)) - {row.seq for row in rows})
        problems += [Problem(seq, "the decision is missing") for seq in missing]
        if part.seal is not None and seal_of(part.before, [row.digest for row in rows]) != part.seal:
            problems.append(Problem(part.last, f"the seal over {part.first} to {part.last} is broken"))
        return Checked(len(rows), tuple(problems), erased)

    def _fault(self, tx: Transaction, row: DecisionRow) -> str:
        """Return what is wrong with a decision, "" when nothing is."""
        if hashlib.sha256(row.record).digest() != row.digest:
            return "the record does not have its digest"
        try:
            written = orjson.loads(row.record)
            if _columns(written) != _stored(row):
                return "the columns do not say what the record says"
            again = recompute_by(written, self._rules_of(tx, row.rule_set))
        except (ValueError, KeyError, TypeError) as err:
            return f"the decision cannot be taken again: {type(err).__name__}: {err}"
        return "" if again == row.record else "taken again, the decision is another"

    def _rules_of(self, tx: Transaction, digest: str) -> CompiledRules:
        if digest not in self._rules:
            document = configuration.rule_set_document(tx, digest)
            if hex_digest(document) != digest:
                raise ValueError("its rule set is not what was published")
            self._rules[digest] = CompiledRules(from_document(json.loads(document)))
        return self._rules[digest]


def _columns(written: Mapping[str, Any]) -> tuple[object, ...]:
    case = written["case"]
    facts = (written["seq"], case["lead"], case["assign_seq"], case["at"])
    return (*facts, written["rule_set"], written["result"], written["owner"])


def _stored(row: DecisionRow) -> tuple[object, ...]:
    facts = (row.seq, str(row.lead_id), row.assign_seq, row.decided_at.isoformat())
    return (*facts, row.rule_set, row.outcome, row.owner)
