"""What differs between two versions of the rules, thing by thing."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.model.routing import Cap, Pool, Rep, Rule, RuleSet


class About(StrEnum):
    """What a change concerns."""

    RULE = "rule"
    POOL = "pool"
    REP = "rep"
    SETTING = "setting"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was; None: it is, or was, not there.

    Without `field` all of `key` came or went. A field is a column of territories.csv, `member PERSON` with the weight,
    `cap KEY`, another attribute of the model, or `after`: the rule it stands behind, "" for the first one.
    """

    about: About
    key: str
    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes, who gets leads now and did not, and who did and gets none any more."""

    changes: tuple[Change, ...]
    joined: tuple[str, ...]
    left: tuple[str, ...]


#: What is written about a thing, by field; what is not written is left out.
Cells = dict[str, object]


def difference(old: RuleSet, new: RuleSet) -> Difference:
    """Compare two versions; the same ones have no changes."""
    changes = (
        *_things(About.RULE, _rules(old), _rules(new)),
        *_moved([rule.key for rule in old.rules], [rule.key for rule in new.rules]),
        *_things(About.POOL, _pools(old), _pools(new)),
        *_things(About.REP, _reps(old), _reps(new)),
        *_cells(About.SETTING, "", _settings(old), _settings(new)),
    )
    before, after = takers(old), takers(new)
    return Difference(changes, tuple(sorted(after - before)), tuple(sorted(before - after)))


def takers(rule_set: RuleSet) -> frozenset[str]:
    """Return who may get a lead by some rule, or as the fallback owner."""
    reached: set[str] = set()
    for rule in rule_set.rules:
        pool = rule_set.pools.get(rule.pool or "")
        while pool is not None and pool.key not in reached:
            reached.add(pool.key)
            pool = rule_set.pools.get(pool.overflow or "")
    found = {member.person for key in reached for member in rule_set.pools[key].members}
    found |= {rule.rep for rule in rule_set.rules if rule.rep} | {rule_set.fallback}
    able = {rep.person for rep in rule_set.reps.values() if rep.active and rep.connections}
    return frozenset(found & able)


def _things(about: About, old: Mapping[str, Cells], new: Mapping[str, Cells]) -> Iterator[Change]:
    for key in (key for key in old if key not in new):
        yield Change(about, key, "", old[key], None)
    for key, cells in new.items():
        if key not in old:
            yield Change(about, key, "", None, cells)
        elif cells != old[key]:
            yield from _cells(about, key, old[key], cells)


def _cells(about: About, key: str, old: Cells, new: Cells) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield Change(about, key, name, old.get(name), new.get(name))


def _moved(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """Return the fewest rules that, put elsewhere, turn one order into the other."""
    known = set(new)
    places = {key: place for place, key in enumerate(key for key in old if key in known)}
    common = [key for key in new if key in places]
    stayed = _longest_rising([places[key] for key in common])
    before = {key: behind for behind, key in zip(["", *places], places, strict=False)}
    for place, key in enumerate(common):
        if places[key] not in stayed:
            yield Change(About.RULE, key, "after", before[key], common[place - 1] if place else "")


def _longest_rising(numbers: Sequence[int]) -> frozenset[int]:
    """Return a longest rising subsequence of different numbers (Fredman, Discrete Math. 11, 1975)."""
    ends: list[int] = []
    behind: dict[int, int | None] = {}
    for number in numbers:
        length = bisect_left(ends, number)
        behind[number] = ends[length - 1] if length else None
        ends[length : length + 1] = [number]
    found, number_or_none = set(), ends[-1] if ends else None
    while number_or_none is not None:
        found.add(number_or_none)
        number_or_none = behind[number_or_none]
    return frozenset(found)


def _rules(rule_set: RuleSet) -> dict[str, Cells]:
    return {rule.key: _rule(rule) for rule in rule_set.rules}


def _rule(rule: Rule) -> Cells:
    tests = {test.field: test for test in rule.conditions}
    days = {"valid_from": rule.valid_from, "valid_to": rule.valid_to}
    target = {"skills": rule.skills, "connection": rule.connection, "pool": rule.pool, "rep": rule.rep}
    return _written(order=rule.order, parent=rule.parent, **tests, **days, **target)


def _pools(rule_set: RuleSet) -> dict[str, Cells]:
    return {key: _pool(pool) for key, pool in rule_set.pools.items()}


def _pool(pool: Pool) -> Cells:
    members = {f"member {member.person}": member.weight for member in pool.members}
    return _written(**members, overflow=pool.overflow, off_shift=str(pool.off_shift), absence=str(pool.absence))


def _reps(rule_set: RuleSet) -> dict[str, Cells]:
    return {key: _rep(rep) for key, rep in rule_set.reps.items()}


def _rep(rep: Rep) -> Cells:
    about = {"active": rep.active, "max_open": rep.max_open, "connections": rep.connections, "skills": rep.skills}
    return _written(**about, **_caps(rep.caps))


def _settings(rule_set: RuleSet) -> Cells:
    return _written(
        matching=rule_set.matching,
        steps=tuple(map(str, rule_set.steps)),
        max_hold=rule_set.max_hold,
        fallback=rule_set.fallback,
        **_caps(rule_set.caps),
    )


def _caps(caps: Sequence[Cap]) -> Cells:
    return {f"cap {cap.key}": cap for cap in caps}


def _written(**cells: object) -> Cells:
    return {name: value for name, value in cells.items() if value not in (None, "", ())}
