"""Who may take a lead, and what stands in the way of those who may not."""

from dataclasses import dataclass

from connector.model.lead import Facets
from connector.model.routing import Cap, Member, OffShift, Pool, Rep, Rule, RuleSet
from connector.routing.book import HERE, Book, Presence, Standing
from connector.routing.conditions import passes
from connector.routing.rings import UNUSED, instant


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody who was passed over, with a code and the fact behind it; `again` is when that ends, if it is known."""

    person: str
    code: str
    fact: str = ""
    again: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a lead asks of whoever takes it: skills, not to have had it before, room in the caps it counts to.

    `caps` None: rolling caps do not count, not even the person's own.
    """

    skills: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    caps: tuple[Cap, ...] | None = ()


NOTHING = Demand()


def demand_of(facets: Facets, rule: Rule | None, rule_set: RuleSet, excluded: tuple[str, ...]) -> Demand:
    """Return what a lead asks for under a rule."""
    caps = tuple(cap for cap in rule_set.caps if passes(cap.conditions, facets)) if rule_set.caps else ()
    skills = rule.skills if rule else ()
    return Demand(skills, excluded, caps) if skills or excluded or caps else NOTHING


def obstacle(
    person: str,
    rep: Rep | None,
    standing: Standing,
    demand: Demand = NOTHING,
    off_shift: OffShift = OffShift.IGNORE,
) -> Passed | None:
    """Return the first reason why this person cannot take the lead; None when nothing is in the way."""
    if rep is None:
        return Passed(person, "not_a_rep")
    if standing.paused or not rep.active or not rep.connections:
        return _out(rep)
    if standing.presence is not HERE and (found := _away(person, standing.presence, off_shift)):
        return found
    if demand is not NOTHING and (found := _unfit(rep, demand)):
        return found
    if rep.max_open is not None and standing.open_leads >= rep.max_open:
        return Passed(person, "cap_open", f"{standing.open_leads}/{rep.max_open}")
    return _over_rate(rep, standing, demand) if rep.caps or demand.caps else None


def _out(rep: Rep) -> Passed:
    if not rep.active:
        return Passed(rep.person, "inactive")
    if not rep.connections:
        return Passed(rep.person, "crm_unlinked")
    return Passed(rep.person, "paused", "overdue follow-up")


def _away(person: str, presence: Presence, off_shift: OffShift) -> Passed | None:
    if presence.leave_until:
        return Passed(person, "on_leave", presence.leave_until, presence.leave_until)
    if presence.opens and off_shift is not OffShift.IGNORE:
        return Passed(person, "off_shift", presence.opens, presence.opens)
    return None


def _unfit(rep: Rep, demand: Demand) -> Passed | None:
    if lacking := [skill for skill in demand.skills if skill not in rep.skills]:
        return Passed(rep.person, "skill", ", ".join(lacking))
    return Passed(rep.person, "excluded_prior_owner") if rep.person in demand.excluded else None


def _over_rate(rep: Rep, standing: Standing, demand: Demand) -> Passed | None:
    if demand.caps is None:
        return None
    for cap in (*rep.caps, *demand.caps):
        window = standing.windows.get(cap.key, UNUSED)
        if window.used >= cap.limit:
            frees = instant(window.frees) if window.frees else ""
            return Passed(rep.person, f"cap_window:{cap.key}", f"{window.used}/{cap.limit}", frees)
    return None


def eligible(
    pool: Pool, rule_set: RuleSet, book: Book, demand: Demand = NOTHING
) -> tuple[list[Member], list[Passed], bool]:
    """Return the members of a pool who may take a lead, the others with their reasons, and whether it opens later.

    Where a pool gives leads to whoever begins next and nobody is at work, those who begin first may take it.
    """
    reps, off_shift = rule_set.reps, pool.off_shift
    passed = {
        person: found
        for person, standing in book.standings(pool.people).items()
        if (found := obstacle(person, reps.get(person), standing, demand, off_shift)) is not None
    }
    able = [member for member in pool.members if member.person not in passed] if passed else list(pool.members)
    if able or pool.off_shift is not OffShift.NEXT_OPEN:
        return able, list(passed.values()), False
    opens = {
        person: found.fact
        for person, found in passed.items()
        if found.code == "off_shift" and _of(person, rule_set, book, demand, OffShift.IGNORE) is None
    }
    next_on = [m for m in pool.members if opens and opens.get(m.person) == min(opens.values())]
    rest = [found for found in passed.values() if found.person not in {m.person for m in next_on}]
    return next_on, rest, bool(next_on)


def pool_has_room(pool: str, rule_set: RuleSet, book: Book) -> bool:
    """Tell whether somebody in the pool, or where it overflows to, could take an ordinary lead now."""
    seen: set[str] = set()
    key: str | None = pool
    while key is not None and key not in seen:
        seen.add(key)
        known = pool_of(key, rule_set)
        if known is None:
            return False
        if eligible(known, rule_set, book)[0]:
            return True
        if key.startswith(REP) and _has_stand_in(key.removeprefix(REP), rule_set, book):
            return True
        key = known.overflow
    return False


def _has_stand_in(person: str, rule_set: RuleSet, book: Book) -> bool:
    delegate, found = stand_in(person, rule_set, book)
    return delegate is not None and found is None


#: A rule that names a rep leads to a pool of one.
REP = "rep:"


def pool_of(key: str, rule_set: RuleSet) -> Pool | None:
    """Return a pool by its key, also that of a rule which names a rep."""
    if key.startswith(REP):
        return Pool(key=key, members=(Member(key.removeprefix(REP), 1),))
    return rule_set.pools.get(key)


def stand_in(person: str, rule_set: RuleSet, book: Book, demand: Demand = NOTHING) -> tuple[str | None, Passed | None]:
    """Return who stands in for somebody on leave, and what is in their way."""
    presence = book.standing(person).presence
    if not presence.leave_until or not presence.delegate:
        return None, None
    return presence.delegate, _of(presence.delegate, rule_set, book, demand, OffShift.IGNORE)


def _of(person: str, rule_set: RuleSet, book: Book, demand: Demand, off_shift: OffShift) -> Passed | None:
    return obstacle(person, rule_set.reps.get(person), book.standing(person), demand, off_shift)
