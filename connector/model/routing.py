"""Territories, rules and pools: one immutable, hashed version of who gets what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum


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


#: Lengths of the rolling caps people may have.
SPANS: Mapping[str, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `limit` assignments to one person in any stretch of time as long as `span`.

    With conditions only leads that pass them all count, and only they are refused.
    """

    key: str
    limit: int
    span: timedelta
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of territories.csv. Exactly one of `pool` and `rep` is set; `skills` are what the owner must have."""

    key: str
    order: int
    conditions: tuple[Condition, ...]
    pool: str | None = None
    rep: str | None = None
    parent: str = ""
    connection: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    skills: tuple[str, ...] = ()

    @property
    def names_accounts(self) -> bool:
        """Tell a rule for named companies from a territory."""
        return any(condition.field == "domain" for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a pool with an integer weight of at least 1."""

    person: str
    weight: int


class OffShift(StrEnum):
    """What a pool does with members outside their working hours."""

    #: They take leads at any hour.
    IGNORE = "ignore"
    #: They take none; if nobody is at work the lead waits.
    HOLD = "hold"
    #: They take none while a colleague is at work; if nobody is, it goes to whoever begins next.
    NEXT_OPEN = "next_open"


class Absence(StrEnum):
    """What a pool does about the leads somebody on leave misses."""

    NONE = "none"
    #: After their return they get half as many again until they have caught up.
    PACED = "paced"


@dataclass(frozen=True, slots=True)
class Pool:
    """People who share leads. `overflow` is tried when nobody here is eligible."""

    key: str
    members: tuple[Member, ...]
    overflow: str | None = None
    off_shift: OffShift = OffShift.IGNORE
    absence: Absence = Absence.NONE

    @property
    def people(self) -> list[str]:
        """Return the keys of the members."""
        return [member.person for member in self.members]


@dataclass(frozen=True, slots=True)
class Rep:
    """What routing needs to know of a person; `connections` in order of preference."""

    person: str
    active: bool
    max_open: int | None
    connections: tuple[str, ...]
    caps: tuple[Cap, ...] = ()
    skills: tuple[str, ...] = ()


class Step(StrEnum):
    """One way to find an owner. The fallback owner, who is always last, is none of them."""

    EXISTING_OWNER = "existing_owner"
    NAMED_ACCOUNTS = "named_accounts"
    TERRITORIES = "territories"
    OVERFLOW = "overflow"
    HOLDING = "holding"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules, pools and caps as one immutable version; `hash` is SHA-256 of its canonical JSON.

    `rules` are in order of evaluation, first match wins. `matching` lists the record kinds whose
    owner keeps a known person, in order (`lead`, `contact`, `account`). `caps` hold for every person.
    """

    reps: Mapping[str, Rep]
    pools: Mapping[str, Pool]
    rules: tuple[Rule, ...]
    fallback: str
    max_hold: timedelta
    matching: tuple[str, ...] = ("lead", "contact", "account")
    steps: tuple[Step, ...] = tuple(Step)
    caps: tuple[Cap, ...] = ()
    hash: str = field(default="", compare=False)
