"""The rules of each country as boxes over the values a lead there can have."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import Any

from connector.model.lead import Facets
from connector.model.postal import DIGITS
from connector.model.routing import Rule
from connector.routing.axis import Axis, bitmap, ranks
from connector.routing.boxes import Box, meet, within
from connector.routing.domains import DomainRules
from connector.routing.extent import IN_FORCE, Accepted, accepted, common, tests_of
from connector.routing.worlds import World, sample, world_of

#: A field with more accepted cells than this says too little to look for neighbours by.
_TELLING = 64


@dataclass(frozen=True, slots=True)
class Witness:
    """A lead that shows a finding to be true, on a day. Its domain is made up, like all of it."""

    facets: Facets
    domain: str
    day: date


class Line:
    """One field: its cells from the lowest value to the highest, then the one of an absent value."""

    def __init__(self, field: str, world: World, size: int, tests: Mapping[int, Accepted]) -> None:
        self.field = field
        self.world = world
        self._tests = {place: world.project(test) for place, test in tests.items()}
        self.axis = Axis(size, self._tests)
        self._cells = len(self.axis.bounds) + 1
        self.full = (1 << self._cells + world.absent) - 1

    def mask(self, place: int) -> int:
        """Return the cells the rule at this place accepts."""
        test = self._tests.get(place)
        if test is None:
            return self.full
        known = (1 << self._cells) - 1
        mask = known if test.extent.begins else 0
        for turn in test.extent.turns:
            mask ^= known >> (cell := bisect_left(self.axis.bounds, turn) + 1) << cell
        return mask | test.missing << self._cells

    def value(self, mask: int) -> Any:
        """Return a value out of the highest of some cells; None for an absent one."""
        cell = mask.bit_length() - 1
        low, end = self.bounds(cell) if cell < self._cells else (None, None)
        return None if low is None else sample(self.field, low, end)

    def bounds(self, cell: int) -> tuple[Any, Any]:
        """Return where a cell begins and ends."""
        edges = (self.world.first, *self.axis.bounds[max(cell - 1, 0) : cell + 1], self.world.end)
        return (edges[0], edges[1]) if cell == 0 else (edges[1], edges[2])


class Land:
    """One country, or several with the same rules and the same kind of postal code."""

    def __init__(self, country: str, rules: Mapping[int, Rule], named: DomainRules, today: date) -> None:
        self.country = country
        self.ranks = tuple(rules)
        self.rules = tuple(rules.values())
        self._named = named
        tests = [tests_with_domain(rule) for rule in self.rules]
        fields = {field for each in tests for field in each} - {"country"} | {"postal", IN_FORCE}
        self.lines = tuple(
            Line(
                field,
                world_of(field, country, today),
                len(tests),
                {place: each[field] for place, each in enumerate(tests) if field in each},
            )
            for field in sorted(fields)
        )
        self.boxes: tuple[Box, ...] = tuple(tuple(line.mask(n) for line in self.lines) for n in range(len(tests)))
        self._always = tuple(
            bitmap((n for n, box in enumerate(self.boxes) if box[field] == line.full), len(tests))
            for field, line in enumerate(self.lines)
        )

    def earlier(self, place: int, *, since: int = 0) -> list[int]:
        """Return the places before this one, from `since` on, whose boxes meet its box."""
        found, box = (1 << place) - (1 << since), self.boxes[place]
        for line, mask in zip(self.lines, box, strict=True):
            if mask != line.full and mask.bit_count() <= _TELLING:
                found &= reduce(or_, map(line.axis.at, ranks(mask)))
        return [n for n in ranks(found) if meet(self.boxes[n], box)]

    def covering(self, place: int) -> list[int]:
        """Return the places before this one whose boxes contain its box."""
        found, box = (1 << place) - 1, self.boxes[place]
        for line, mask, always in zip(self.lines, box, self._always, strict=True):
            if mask == line.full:
                found &= always
            elif mask.bit_count() <= _TELLING:
                found &= reduce(and_, map(line.axis.at, ranks(mask)))
        return [n for n in ranks(found) if within(box, self.boxes[n])]

    def probe(self, box: Box, place: int | None) -> Box | None:
        """Try a few leads of a box; return one that the rule at this place takes, or with None no rule at all."""
        taker = 0 if place is None else 1 << place
        for lead in _probes(box):
            found = -1
            for line, mask in zip(self.lines, lead, strict=True):
                found &= line.axis.at(mask.bit_length() - 1)
            if found & -found == taker:
                return lead
        return None

    def witness(self, box: Box) -> Witness:
        """Return a lead out of a box."""
        values = {line.field: line.value(mask) for line, mask in zip(self.lines, box, strict=True)}
        day = date.fromordinal(values.pop(IN_FORCE))
        domain = values.pop("domain", None) or ""
        custom = {name.removeprefix("custom."): v for name, v in values.items() if "." in name and v is not None}
        plain = {name: v for name, v in values.items() if "." not in name and v is not None}
        postal = self._code(plain.pop("postal", ""))
        keys = self._named.passed(domain)
        facets = Facets(country=self.country.upper(), postal_code=postal, custom=custom, domain_rules=keys, **plain)
        return Witness(facets, domain, day)

    def _code(self, key: str | int) -> str:
        return f"{key:0{DIGITS[self.country.upper()]}}" if isinstance(key, int) else key.upper()


def lands(rules: Sequence[Rule], today: date) -> Iterator[Land]:
    """Return every country rules tell apart, one that none names and the unknown one among them."""
    world = world_of("country", "", today)
    tests = {place: tests_with_domain(rule) for place, rule in enumerate(rules)}
    line = Line("country", world, len(rules), {n: each["country"] for n, each in tests.items() if "country" in each})
    named = DomainRules(rules)
    seen: set[tuple[int, int | None]] = set()
    for cell, bits in enumerate(line.axis.bitmaps):
        country = line.value(1 << cell) or ""
        kind = bits, DIGITS.get(country.upper())
        # Findings on uncovered codes name the country, so those with codes of fixed width stand alone.
        if kind not in seen or kind[1]:
            seen.add(kind)
            yield Land(country, {n: rules[n] for n in ranks(bits)}, named, today)


def tests_with_domain(rule: Rule) -> dict[str, Accepted]:
    """Return what a rule accepts, its domain tests included."""
    tests = tests_of(rule)
    domains = [accepted(condition) for condition in rule.conditions if condition.field == "domain"]
    if domains:
        extent = common([each.extent for each in domains])
        tests["domain"] = Accepted(extent, all(each.missing for each in domains))
    return tests


def _probes(box: Box) -> Iterator[Box]:
    """Return single leads of a box: with as little known as it allows, and some others."""
    highest = tuple(1 << mask.bit_length() >> 1 for mask in box)
    yield highest
    yield tuple(mask & -mask for mask in box)
    for field, mask in enumerate(box):
        rest = mask
        for _ in range(4):
            rest &= rest - 1
            yield (*highest[:field], rest & -rest or highest[field], *highest[field + 1 :])
