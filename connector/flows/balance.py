"""A fairer cut of a country's postal areas: count the leads, propose."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from connector.errors import HearbackError
from connector.model.postal import DIGITS, postal_key
from connector.routing.areas import AREA_DIGITS, Cut, cut_of
from connector.routing.balancing import Proposal, capacities, propose
from connector.routing.extent import Extent
from connector.settings.values import Settings
from connector.store import Store, decisions


def balance(store: Store, settings: Settings, country: str, *, since: timedelta, digits: int | None) -> Proposal:
    """Propose a fairer cut of a country by the leads since so long ago; nothing is changed.

    `country` is an ISO code in capitals; `digits` is how many leading digits make an area, None for the country's
    usual number. Leads count that were decided by a rule of this cut, or by one that is no more.

    Raises:
        HearbackError: there is nothing to balance, and why.
        ConfigurationError: the extra `balance` is not installed.
    """
    cut = _cut(settings, country, digits)
    weights = {key: person.weight for key, person in settings.people.items() if person.active}
    carried = capacities(settings.rule_set, cut, weights)
    idle = [each.name for each, capacity in carried.items() if not capacity]
    if idle:
        raise HearbackError(f"nobody active stands behind {', '.join(idle)}: run `hearback rules check`")
    leads = _leads(store, settings, cut, since)
    if not leads:
        raise HearbackError(
            f"no lead of that time was given by a postal rule of {country}: "
            "give a longer time with --since, like --since 365d"
        )
    return propose(cut, carried, leads, digits=digits or AREA_DIGITS[country])


def _cut(settings: Settings, country: str, digits: int | None) -> Cut:
    if country not in DIGITS:
        raise HearbackError(
            f"areas of {country} cannot be told: only countries with postal codes of a fixed number of digits "
            f"can be balanced, which are {', '.join(sorted(DIGITS))}"
        )
    if digits is not None and digits >= DIGITS[country]:
        raise HearbackError(f"a postal code of {country} has {DIGITS[country]} digits: give fewer with --digits")
    cut = cut_of(settings.rule_set, country)
    if len({(rule.pool, rule.rep, rule.connection) for rule in cut.rules}) < 2:  # noqa: PLR2004 (one has no neighbour)
        raise HearbackError(
            f"fewer than two reps or pools divide {country}: territories.csv needs rules that test nothing but "
            "country and postal"
        )
    for rule in cut.rules:
        if cut.codes[rule.key] == Extent(False) and not any(test.missing for test in rule.conditions):
            raise HearbackError(f"rule '{rule.key}' is never reached: run `hearback rules check` and correct it first")
    return cut


def _leads(store: Store, settings: Settings, cut: Cut, since: timedelta) -> Mapping[int, int]:
    """Return how many leads came from each code."""
    others = {rule.key for rule in settings.rule_set.rules} - {rule.key for rule in cut.rules}
    with store.transaction() as tx:
        found = decisions.leads_by_code(tx, cut.country, tx.now() - since)
    counted: Counter[int] = Counter()
    for postal, rule, number in found:
        key = postal_key(cut.country, postal)
        if key is not None and rule not in others:
            counted[int(key)] += number
    return counted
