"""The rows of territories.csv that a new cut needs: as few of them change as can be, and no code gets lost."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from connector.model.routing import RuleSet
from connector.routing.areas import (
    Cut,
    Destination,
    cell,
    codes_in,
    codes_of,
    destination,
    may_take,
    runs_of,
)
from connector.routing.balancing import Proposal
from connector.routing.extent import Extent, common, union

NOTHING = Extent(False)


@dataclass(frozen=True, slots=True)
class Row:
    """A row to write: in the place of rule `source` if it has its key, else a new one right below it."""

    source: str
    key: str
    destination: Destination
    cell: str


def rows(rule_set: RuleSet, proposal: Proposal) -> list[Row]:
    """Return the rows a proposal changes or adds, in order of the rules.

    A moved area joins a rule of its new destination where no other rule of the country lies between, so that it is
    still asked after the same rules; else it becomes a rule of its own where it was.
    """
    return _Recut(rule_set, proposal).rows()


class _Recut:
    """What every rule takes after the moves."""

    def __init__(self, rule_set: RuleSet, proposal: Proposal) -> None:
        self._cut = proposal.cut
        self._keys = {rule.key for rule in rule_set.rules}
        self._places = _places(rule_set, proposal.cut)
        self._parts = _parts(proposal)
        self._destinations = {rule.key: self._kept(rule.key) for rule in proposal.cut.rules}
        self._codes: dict[str, Extent] = {}
        self._added: dict[str, list[Row]] = defaultdict(list)
        self._moved = union([NOTHING, *(codes_in(area.runs, self._cut.width) for area, _ in proposal.moves)])

    def rows(self) -> list[Row]:
        for rule in self._cut.rules:
            self._codes[rule.key] = self._parts[rule.key].get(self._destinations[rule.key], NOTHING)
        for rule in self._cut.rules:
            for each, codes in sorted(self._parts[rule.key].items()):
                if each != self._destinations[rule.key]:
                    self._move(rule.key, each, codes)
        found: list[Row] = []
        for rule in self._cut.rules:
            if self._changed(rule.key):
                found.append(self._row(rule.key, rule.key, self._destinations[rule.key], self._codes[rule.key]))
            found += self._added[rule.key]
        return found

    def _kept(self, rule: str) -> Destination:
        """Return where a rule leads from now on: where it did if anything is left of it, else where most of it goes."""
        now = next(destination(each) for each in self._cut.rules if each.key == rule)
        parts = self._parts[rule]
        if now in parts or not parts or self._takes_unknown(rule):
            return now
        return min(parts, key=lambda each: (-self._size(parts[each]), each))

    def _takes_unknown(self, rule: str) -> bool:
        tests = next(each.conditions for each in self._cut.rules if each.key == rule)
        return any(test.missing for test in tests if test.field == "postal")

    def _size(self, codes: Extent) -> int:
        return sum(last - first + 1 for first, last in runs_of(codes, self._cut.width))

    def _move(self, source: str, to: Destination, codes: Extent) -> None:
        place = self._places[source]
        hosts = [
            rule.key
            for rule in self._cut.rules
            if self._destinations[rule.key] == to == destination(rule) and self._places[rule.key] == place
        ]
        if hosts:
            host = min(hosts, key=lambda key: (self._distance(key, codes), key))
            self._codes[host] = union([self._codes[host], codes])
        else:
            self._added[source].append(self._row(source, self._name(source), to, codes))

    def _distance(self, rule: str, codes: Extent) -> int:
        """Return how far a rule's nearest code is from these."""
        near = runs_of(self._cut.codes[rule], self._cut.width)
        ours = runs_of(codes, self._cut.width)
        gaps = [max(a - d, c - b) for a, b in near for c, d in ours]
        return min(gaps, default=10**self._cut.width)

    def _name(self, source: str) -> str:
        number = 2
        while f"{source}-{number}" in self._keys:
            number += 1
        self._keys.add(f"{source}-{number}")
        return f"{source}-{number}"

    def _changed(self, key: str) -> bool:
        """Tell whether a row must be written anew; one that wanted codes of others may want what they gave away."""
        rule = next(each for each in self._cut.rules if each.key == key)
        codes = self._codes[key]
        if self._destinations[key] != destination(rule) or codes != self._cut.codes[key]:
            return True
        return common([codes_of(rule, self._cut.country), self._moved, ~codes]) != NOTHING

    def _row(self, source: str, key: str, to: Destination, codes: Extent) -> Row:
        unknown = key == source and self._takes_unknown(source)
        runs = cell(runs_of(codes, self._cut.width), self._cut.width)
        return Row(source, key, to, ";".join(["(none)"] * unknown + [runs] * bool(runs)))


def _parts(proposal: Proposal) -> dict[str, dict[Destination, Extent]]:
    """Return what each destination gets of each rule's codes."""
    found: dict[str, dict[Destination, Extent]] = {rule.key: {} for rule in proposal.cut.rules}
    for area, owner in zip(proposal.areas, proposal.owners, strict=True):
        parts = found[area.rule]
        parts[owner] = union([parts.get(owner, NOTHING), codes_in(area.runs, proposal.cut.width)])
    return found


def _places(rule_set: RuleSet, cut: Cut) -> Mapping[str, int]:
    """Return how many other rules of the country stand before each rule of the cut."""
    own, before, places = {rule.key for rule in cut.rules}, 0, {}
    for rule in rule_set.rules:
        if rule.key in own:
            places[rule.key] = before
        else:
            before += may_take(rule, cut.country)
    return places
