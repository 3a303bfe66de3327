"""Territories, rules and pools: one immutable, hashed version of who gets what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Term:
    """One alternative of a condition: `low` alone is equality, with `high` an inclusive range.

    A prefix `10*` is a term with `prefix=True`. Values are case-folded, postal codes normalised.
    """

    low: str
    high: str | None = None
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A test on one facet. `missing` lets an absent value pass; NOT never matches an absent value."""

    field: str
    include: tuple[Term, ...] = ()
    exclude: tuple[Term, ...] = ()
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of territories.csv. Exactly one of `pool` and `rep` is set."""

    key: str
    order: int
    conditions: tuple[Condition, ...]
    pool: str | None = None
    rep: str | None = None
    parent: str = ""
    connection: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a pool with an integer weight of at least 1."""

    person: str
    weight: int


@dataclass(frozen=True, slots=True)
class Pool:
    """People who share leads. `overflow` is tried when nobody here is eligible."""

    key: str
    members: tuple[Member, ...]
    overflow: str | None = None


@dataclass(frozen=True, slots=True)
class Rep:
    """What routing needs to know of a person; `connections` in order of preference."""

    person: str
    active: bool
    max_open: int | None
    connections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules, pools and caps as one immutable version; `hash` is SHA-256 of its canonical JSON.

    `rules` are in order of evaluation, first match wins. `matching` lists the record kinds whose
    owner keeps a known person, in order (`lead`, `contact`, `account`).
    """

    reps: Mapping[str, Rep]
    pools: Mapping[str, Pool]
    rules: tuple[Rule, ...]
    fallback: str
    max_hold: timedelta
    matching: tuple[str, ...] = ("lead", "contact", "account")
    hash: str = field(default="", compare=False)
