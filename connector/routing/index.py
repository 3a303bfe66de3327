"""First match among the rules of one country: a bitmap per field, and the lowest bit they have in common."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from connector.model.lead import Facets
from connector.routing.axis import Axis
from connector.routing.conditions import reader
from connector.routing.extent import IN_FORCE, Accepted

#: What one rule accepts, by field.
Tests = Mapping[str, Accepted]


class Index:
    """Some rules of a set by rank, ready for lookups."""

    __slots__ = ("_all", "_axes", "_in_force", "_ranks")

    def __init__(self, rules: Mapping[int, Tests], settled: str = "") -> None:
        """Index rules by rank, in order; that their test of the `settled` field is passed is known."""
        by_field: dict[str, dict[int, Accepted]] = defaultdict(dict)
        for place, tests in enumerate(rules.values()):
            for field, test in tests.items():
                by_field[field][place] = test
        by_field.pop(settled, None)
        in_force = by_field.pop(IN_FORCE, None)
        self._ranks = tuple(rules)
        self._all = (1 << len(rules)) - 1
        self._in_force = Axis(len(rules), in_force) if in_force else None
        self._axes = tuple((reader(field), Axis(len(rules), found).accepting) for field, found in by_field.items())

    def first(self, facets: Facets, today: date) -> int | None:
        """Return the rank of the first rule the lead passes."""
        found = self._all if self._in_force is None else self._in_force.accepting(today.toordinal())
        for read, accepting in self._axes:
            found &= accepting(read(facets))
        return self._ranks[(found & -found).bit_length() - 1] if found else None
