"""Random rules and leads out of a few values each, so that they meet often."""

import random
from datetime import date, timedelta

from routing_cases import a_rule, a_test

from connector.model.lead import Facets
from connector.model.routing import Condition, Rule, Term

TODAY = date(2026, 6, 9)

VALUES = {
    "country": ("DE", "PL", "GB", "de"),
    "product": ("cordless", "Cordless saw", "storage", "straße"),
    "language": ("de", "pl"),
    "custom.dealer": ("yes", "no"),
    "employees": ("0", "5", "6", "500"),
    "postal": ("01001", "1001", "20095", "20096", "21149", "SW1A1AA"),
}
DOMAINS = ("acme.example", "acme-west.example", "budomax.example")


class Fuzz:
    """One seeded stream of rules and leads."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def rules(self, most: int = 12) -> list[Rule]:
        return [self._rule(number) for number in range(self._random.randint(1, most))]

    def _rule(self, number: int) -> Rule:
        names = self._random.choices([*VALUES, "domain"], k=self._random.randint(0, 4))
        tests = [self._condition(name) for name in names]
        return a_rule(f"r{number}", *tests, valid_from=self._day(), valid_to=self._day())

    def _condition(self, name: str) -> Condition:
        if name == "domain":
            return a_test("domain", *self._random.choice([DOMAINS[:1], DOMAINS[1:], ("acme*",), ("!acme.example",)]))
        include, exclude = ([self._term(name) for _ in range(self._random.choice([0, 1, 1, 2]))] for _ in range(2))
        if self._random.random() < 0.6:
            exclude = []
        return Condition(name, tuple(include), tuple(exclude), missing=self._random.random() < 0.2)

    def _term(self, name: str) -> Term:
        value, other = self._random.choices(VALUES[name], k=2)
        shape = self._random.choice(["plain", "plain", "range", "prefix"])
        if shape == "range":
            return Term(*sorted((value, other), key=lambda text: (int(text) if text.isdecimal() else 0, text)))
        return Term(value[:2], prefix=True) if shape == "prefix" and name != "employees" else Term(value)

    def _day(self) -> date | None:
        return self._random.choice([None, None, TODAY + timedelta(days=self._random.randint(-2, 2))])

    def lead(self, rules: int = 12) -> Facets:
        pick = self._random.choice
        return Facets(
            country=pick(("", *VALUES["country"], "AT")),
            postal_code=pick(("", *VALUES["postal"], "99999", "x")),
            product=pick(("", *VALUES["product"], "STRASSE", "other")),
            language=pick(("", "de", "PL")),
            employees=pick((None, 0, 4, 5, 500, 501)),
            custom=pick(({}, {"dealer": "YES"}, {"dealer": "no", "other": "x"})),
            domain_rules=tuple(f"r{n}" for n in range(rules) if self._random.random() < 0.3),
        )
