"""The rules of each country as areas over the values a lead there can have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from connector.model.lead import Facets
from connector.model.postal import DIGITS
from connector.model.routing import Rule
from connector.routing.axis import ranks
from connector.routing.domains import DomainRules
from connector.routing.extent import IN_FORCE, Accepted, accepted, common, tests_of
from connector.routing.leftover import Area, Lead, highest, leftover
from connector.routing.lines import Line
from connector.routing.runs import shared
from connector.routing.worlds import world_of

#: So often the search for a lead looks at a few rules before it looks at all.
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Witness:
    """A lead that shows a finding to be true, on a day. Its domain is made up, like all of it."""

    facets: Facets
    domain: str
    day: date


class Land:
    """One country, or several with the same rules and the same kind of postal code. Rules are bits by their rank."""

    def __init__(self, country: str, rules: int, lines: Sequence[Line], named: DomainRules) -> None:
        self.country = country
        self.lines = lines
        self._named = named
        for line in lines:
            rules &= ~line.never
        #: The rules that accept some lead here.
        self.rules = rules
        #: Those that together take what all of them do, as far as is known.
        self.telling = rules

    def area(self, rank: int) -> Area:
        """Return the leads a rule accepts."""
        return tuple(line.runs(rank) for line in self.lines)

    def meeting(self, rank: int, among: int) -> int:
        """Return the rules out of some before this one that accept some lead it does."""
        found = among & ((1 << rank) - 1)
        for line in self.lines:
            runs = line.runs(rank)
            if found and runs != line.everything:
                found &= line.meeting(runs)
        return found

    def covering(self, rank: int) -> int:
        """Return the rules before this one that accept every lead it does."""
        found = self.rules & ((1 << rank) - 1)
        for line in self.lines:
            runs = line.runs(rank)
            if found:
                found &= line.always if runs == line.everything else line.containing(runs)
        return found

    def untaken(self, rank: int, among: int, *, budget: int) -> Lead | None:
        """Return a lead that this rule accepts and none of some others; None if they take them all.

        Of many rules few matter mostly: those that take the leads the earlier ones leave.

        Raises:
            OverBudgetError: the area had to be split more often than the budget allows.
        """
        area, few = self.area(rank), 0
        lead: Lead | None = highest(area)
        for _ in range(_ROUNDS):
            takers = self.taking(lead, among) if lead else 0
            if not takers:
                return lead
            few |= takers
            lead = leftover(area, map(self.area, ranks(few)), budget=budget)
        return leftover(area, map(self.area, ranks(among)), budget=budget)

    def taking(self, lead: Lead, among: int) -> int:
        """Return the rules out of some that take a lead."""
        for line, cell in zip(self.lines, lead, strict=True):
            if among:
                among &= line.at(cell)
        return among

    def example(self, area: Area) -> Witness:
        """Return a lead out of an area, with as little known as may be."""
        return self.witness(highest(area))

    def overlap(self, one: int, other: int) -> Area:
        """Return the leads both rules accept."""
        return tuple(shared(mine, theirs) for mine, theirs in zip(self.area(one), self.area(other), strict=True))

    def witness(self, lead: Lead) -> Witness:
        """Return a lead out of its cells."""
        values = {line.field: line.value(cell) for line, cell in zip(self.lines, lead, strict=True)}
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
    lines, named = _Lines(rules, today), DomainRules(rules)
    seen: set[tuple[int, int | None]] = set()
    countries = lines.of("country", "")
    for cell in range(countries.cells):
        country, bits = countries.value(cell) or "", countries.at(cell)
        kind = bits, DIGITS.get(country.upper())
        # Findings on uncovered codes name the country, so those with codes of fixed width stand alone.
        if kind not in seen or kind[1]:
            seen.add(kind)
            yield Land(country, bits, lines.of_country(country), named)


class _Lines:
    """The fields of a rule set. What a postal code is depends on the country."""

    def __init__(self, rules: Sequence[Rule], today: date) -> None:
        self._size, self._today = len(rules), today
        self._tests: dict[str, dict[int, Accepted]] = {"country": {}, "postal": {}, IN_FORCE: {}}
        for rank, rule in enumerate(rules):
            for field, test in tests_with_domain(rule).items():
                self._tests.setdefault(field, {})[rank] = test
        others = (self.of(field, "") for field in self._tests.keys() - {"country", "postal"})
        # What is told apart by few values is told soonest.
        self._others = sorted(others, key=lambda line: (line.cells, line.field))
        self._postal: dict[int | None, Line] = {}

    def of(self, field: str, country: str) -> Line:
        """Return one field."""
        return Line(field, world_of(field, country, self._today), self._tests[field], self._size)

    def of_country(self, country: str) -> tuple[Line, ...]:
        """Return the fields of a country's leads, its postal code last."""
        kind = DIGITS.get(country.upper())
        if kind not in self._postal:
            self._postal[kind] = self.of("postal", country)
        return (*self._others, self._postal[kind])


def tests_with_domain(rule: Rule) -> dict[str, Accepted]:
    """Return what a rule accepts, its domain tests included."""
    tests = tests_of(rule)
    domains = [accepted(condition) for condition in rule.conditions if condition.field == "domain"]
    if domains:
        extent = common([each.extent for each in domains])
        tests["domain"] = Accepted(extent, all(each.missing for each in domains))
    return tests
