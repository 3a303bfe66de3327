"""When a pool without room may have some again."""

from datetime import datetime

from connector.model.routing import RuleSet
from connector.routing.book import Book
from connector.routing.eligible import REP, eligible, pool_of, stand_in


def next_chance(pool: str, rule_set: RuleSet, book: Book) -> datetime | None:
    """Return the first instant at which time alone may give a pool room, or where it overflows to; None: never.

    No lead waits for less than this: what it asks for besides can only come later.
    """
    found: list[str] = []
    seen: set[str] = set()
    key: str | None = pool
    while key is not None and key not in seen and (known := pool_of(key, rule_set)) is not None:
        seen.add(key)
        found += [passed.again for passed in eligible(known, rule_set, book)[1]]
        if key.startswith(REP):
            _, passed = stand_in(key.removeprefix(REP), rule_set, book)
            found += [passed.again] if passed else []
        key = known.overflow
    return min((datetime.fromisoformat(again) for again in found if again), default=None)
