"""What a draft has in common with the version that records were taken by."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from connector.model.routing import Pool, Rule, RuleSet


@dataclass(frozen=True, slots=True)
class Likeness:
    """In what decisions by a draft cannot differ from those by a version, while everybody stands the same.

    A decision is a pure function (promise P4): one that reads the same comes out the same.
    """

    #: The records say all of a lead that the draft asks for.
    says_all: bool
    #: The draft is the version itself.
    same: bool
    #: Steps, kinds of record, caps for all, the fallback owner and the longest wait are the same.
    frame: bool
    #: Rules that are the same and lead to the same pools, by key.
    rules: frozenset[str]
    #: People of whom both say the same.
    reps: frozenset[str]

    @classmethod
    def between(cls, version: RuleSet, draft: RuleSet) -> Self:
        """Compare a version with a draft."""
        known = {rule.key: (rule, tuple(_pools(rule, version))) for rule in version.rules}
        return cls(
            says_all=_domains(draft).items() <= _domains(version).items() and _custom(draft) <= _custom(version),
            same=version == draft,
            frame=_frame(version) == _frame(draft),
            rules=frozenset(
                rule.key for rule in draft.rules if known.get(rule.key) == (rule, tuple(_pools(rule, draft)))
            ),
            reps=frozenset(person for person, rep in version.reps.items() if draft.reps.get(person) == rep),
        )


def _frame(rule_set: RuleSet) -> tuple[object, ...]:
    return rule_set.steps, rule_set.matching, rule_set.caps, rule_set.fallback, rule_set.max_hold


def _pools(rule: Rule, rule_set: RuleSet) -> Iterator[Pool]:
    """Yield the pool a rule leads to, and where it overflows to."""
    seen: set[str] = set()
    pool = rule_set.pools.get(rule.pool or "")
    while pool is not None and pool.key not in seen:
        seen.add(pool.key)
        yield pool
        pool = rule_set.pools.get(pool.overflow or "")


def _domains(rule_set: RuleSet) -> dict[str, tuple[object, ...]]:
    tests = {rule.key: tuple(test for test in rule.conditions if test.field == "domain") for rule in rule_set.rules}
    return {key: found for key, found in tests.items() if found}


def _custom(rule_set: RuleSet) -> set[str]:
    fields = {test.field for rule in rule_set.rules for test in rule.conditions}
    return {name for name in fields if name.startswith("custom.")}
