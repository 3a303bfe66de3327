"""One mailing, two ways to answer it: who used which, and how soon they were contacted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.journey.interval import Estimate, independent_difference
from connector.journey.shares import paired_difference, share
from connector.journey.survival import Wait, median

CARD, PAGE = "card", "page"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a mailing. `person` is whoever gave it, by any key that is the same for all their answers.

    `recipient`: whom the card was mailed to, None where nobody could tell. `contacted_at`: the first contact after
    the answer, None while there was none.
    """

    person: str
    recipient: str | None
    channel: str
    answered_at: datetime
    contacted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to answer. `answered` recipients of those mailed; `people` whose first answer came this way.

    `wait` is the median of the seconds from that answer to the first contact, None while fewer than half had one.
    """

    answered: int
    share: Estimate | None
    people: int
    contacted: int
    wait: Estimate | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Card against page; the differences are card less page, None where one side has no number yet.

    `unknown` answers name no recipient of this mailing: they count for the waits and not for the shares.
    """

    mailed: int
    answered: int
    unknown: int
    card: Channel
    page: Channel
    share_difference: Estimate | None
    wait_difference: Estimate | None


def compare(recipients: Iterable[str], answers: Sequence[Answer], now: datetime) -> Comparison:
    """Compare the two ways; whoever has not answered, or was not contacted, counts as such and is not left out."""
    mailed = set(recipients)
    ways = {way: {a.recipient for a in answers if a.channel == way and a.recipient in mailed} for way in (CARD, PAGE)}
    card, page = (_channel(way, len(ways[way]), len(mailed), _first(answers), now) for way in (CARD, PAGE))
    both, either = len(ways[CARD] & ways[PAGE]), len(ways[CARD] | ways[PAGE])
    only = Counter({way: len(ways[way]) - both for way in ways})
    return Comparison(
        mailed=len(mailed),
        answered=either,
        unknown=sum(answer.recipient not in mailed for answer in answers),
        card=card,
        page=page,
        share_difference=paired_difference(both, only[CARD], only[PAGE], len(mailed) - either),
        wait_difference=independent_difference(card.wait, page.wait) if card.wait and page.wait else None,
    )


def _first(answers: Iterable[Answer]) -> list[Answer]:
    """Return everybody's first answer: a second one starts no clock."""
    first: dict[str, Answer] = {}
    for answer in sorted(answers, key=lambda each: each.answered_at):
        first.setdefault(answer.person, answer)
    return list(first.values())


def _channel(way: str, answered: int, mailed: int, first: Iterable[Answer], now: datetime) -> Channel:
    waits = [_wait(answer, now) for answer in first if answer.channel == way]
    return Channel(
        answered=answered,
        share=share(answered, mailed),
        people=len(waits),
        contacted=sum(wait.over for wait in waits),
        wait=median(waits),
    )


def _wait(answer: Answer, now: datetime) -> Wait:
    until = answer.contacted_at or now
    return Wait(max(0.0, (until - answer.answered_at).total_seconds()), answer.contacted_at is not None)
