"""The postal codes of a country for which some lead of today passes no rule."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice, pairwise
from operator import and_

from connector.model.postal import DIGITS
from connector.routing.axis import ranks
from connector.routing.boxes import OverBudgetError
from connector.routing.extent import IN_FORCE
from connector.routing.lands import Land, Witness
from connector.routing.leftover import Area, Lead, highest, leftover, merged
from connector.routing.lines import Line
from connector.routing.runs import Run, cells


@dataclass(frozen=True, slots=True)
class Gap:
    """Codes from the lowest to the highest, and a lead no rule takes; None: nobody can tell."""

    low: str
    high: str
    witness: Witness | None


def gaps(land: Land, budget: int) -> Iterator[Gap]:
    """Return the ranges of codes not covered, in order, for a country whose codes have a fixed width."""
    search = _Search(land, budget)
    found: list[tuple[Run, Lead]] = []
    for run in _stretches(land):
        try:
            lead = search.uncovered(run[0])
        except OverBudgetError:
            yield _gap(land, run, None)
        else:
            if lead:
                found.append((run, (*lead, run[0])))
    for run, lead in _joined(found):
        yield _gap(land, run, land.witness(lead))


class _Search:
    """Whether the rules at one code cover all that else may be. The fields here are those before the postal code."""

    def __init__(self, land: Land, budget: int) -> None:
        *fields, self._postal = land.lines
        self._land, self._budget = land, budget
        self._any = tuple(((0, 1),) if line.field == IN_FORCE else line.everything for line in fields)
        self._telling = land.telling
        for line in fields:
            if line.field == IN_FORCE:
                self._telling &= line.at(0)
        self._always = self._telling
        for line in fields:
            if line.field != IN_FORCE:
                self._always &= line.always
        self._tried = [(lead, self._taking(fields, lead)) for lead in _probes(self._any)]
        everywhere = self._postal.containing(self._postal.known()) & self._telling
        self._local = self._telling & ~everywhere
        self._everywhere = merged(self._areas(everywhere))
        self._known: dict[frozenset[Area], Lead | None] = {}

    def uncovered(self, cell: int) -> Lead | None:
        """Return a lead with a code of this cell that no rule takes, without that code."""
        here = self._postal.at(cell)
        if here & self._always:
            return None
        for lead, taking in self._tried:
            if not here & taking:
                return lead
        others = frozenset(self._areas(here & self._local))
        if others not in self._known:
            self._known[others] = leftover(self._any, self._everywhere | others, budget=self._budget)
        return self._known[others]

    def _taking(self, fields: Sequence[Line], lead: Lead) -> int:
        return reduce(and_, (line.at(cell) for line, cell in zip(fields, lead, strict=True)), self._telling)

    def _areas(self, rules: int) -> Iterable[Area]:
        return (self._land.area(rank)[:-1] for rank in ranks(rules))


def _probes(area: Area) -> Iterator[Lead]:
    """Return single leads of an area: with as little known as it allows, and some others."""
    last = highest(area)
    yield last
    yield tuple(runs[0][0] for runs in area)
    for field, runs in enumerate(area):
        for cell in islice(cells(runs), 1, 5):
            yield (*last[:field], cell, *last[field + 1 :])


def _stretches(land: Land) -> Iterator[Run]:
    """Cut the codes where a rule begins or ceases to accept."""
    postal = land.lines[-1]
    ((_, end),) = postal.known()
    cuts = {cell for rank in ranks(land.rules) for run in postal.runs(rank) for cell in run if cell < end}
    yield from pairwise(sorted(cuts | {0, end}))


def _joined(found: Sequence[tuple[Run, Lead]]) -> Iterator[tuple[Run, Lead]]:
    """Join neighbours, with the lead of the first."""
    start = 0
    for number, ((_, end), _) in enumerate(found, 1):
        if number == len(found) or found[number][0][0] != end:
            yield (found[start][0][0], end), found[start][1]
            start = number


def _gap(land: Land, run: Run, witness: Witness | None) -> Gap:
    width, postal = DIGITS[land.country.upper()], land.lines[-1]
    low, high = postal.bounds(run[0])[0], postal.bounds(run[1] - 1)[1] - 1
    return Gap(f"{low:0{width}}", f"{high:0{width}}", witness)
