"""Signals -> a score with its reasons, and whether a person must look first. The only place with weights."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from connector.model.signals import Signal

#: From so many points on a submission is set aside.
LIMIT = 100


@dataclass(frozen=True, slots=True)
class Weight:
    """What a signal adds, and how an operator reads it."""

    points: int
    words: str


# What a browser without JavaScript and with all its privacy shows (no token, no captcha, no origin) stays below
# the limit together with everything an address may say: nobody is set aside for what they use (I25, I26).
WEIGHTS: Mapping[Signal, Weight] = {
    Signal.HONEYPOT: Weight(100, "the hidden field that people cannot see was filled in"),
    Signal.TOO_FAST: Weight(100, "the form was sent within 3 seconds of being shown"),
    Signal.STALE: Weight(40, "the form was sent more than 12 hours after it was shown"),
    Signal.TOKEN_MISSING: Weight(20, "the page's form token is missing: no JavaScript, or posted without the page"),
    Signal.TOKEN_FORGED: Weight(60, "the form token is not ours, or another form's"),
    Signal.ORIGIN_UNTOLD: Weight(10, "the browser does not say which page the form is on"),
    Signal.ORIGIN_FOREIGN: Weight(60, "the form is on a site that is not among the source's return_hosts"),
    Signal.CAPTCHA_MISSING: Weight(25, "the captcha was not solved: no JavaScript, or posted without the page"),
    Signal.CAPTCHA_DOUBTFUL: Weight(60, "the captcha's provider takes the sender for a program rather than a person"),
    Signal.CAPTCHA_SPENT: Weight(100, "the captcha's token was used before, or is too old"),
    Signal.CAPTCHA_ELSEWHERE: Weight(100, "the captcha was solved on another site or for another action"),
    Signal.CAPTCHA_FAILED: Weight(100, "the captcha's provider refuses the token"),
    Signal.SAME_ADDRESS: Weight(100, "the same e-mail address was sent very often within the last hours"),
    Signal.LINK: Weight(15, "a link in the message"),
    Signal.LINKS: Weight(55, "several links in the message"),
    Signal.LINK_IN_NAME: Weight(60, "a link where a name belongs"),
    Signal.MARKUP: Weight(40, "HTML or forum code in the message"),
    Signal.REPEATED_TEXT: Weight(40, "the same text again and again"),
    Signal.DISPOSABLE_MAIL: Weight(25, "an e-mail address that lives for minutes"),
    Signal.FREE_MAIL: Weight(5, "an e-mail address anybody can have"),
    Signal.ROLE_ADDRESS: Weight(5, "an e-mail address of an office, not of a person"),
    Signal.UNLIKE_NAME: Weight(5, "an e-mail address that has nothing of the name"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What speaks against a submission. `reason` is for an operator, heaviest first, "" when there is nothing.

    `obstacles` in it are what has to be settled by a person whatever the score.
    """

    score: int
    signals: tuple[Signal, ...]
    quarantined: bool
    reason: str


def judge(signals: Collection[Signal], obstacles: Iterable[str] = ()) -> Verdict:
    """Add up signals, each once; more of them never lower the score."""
    score, ordered, said = _weighed(frozenset(signals))
    settled = [*dict.fromkeys(obstacles), *said]
    quarantined = score >= LIMIT or len(settled) > len(said)
    return Verdict(score, ordered, quarantined, "; ".join(settled))


@lru_cache(maxsize=1024)
def _weighed(signals: frozenset[Signal]) -> tuple[int, tuple[Signal, ...], tuple[str, ...]]:
    """Return the score, the signals heaviest first, and what to tell an operator: few sets come again and again."""
    ordered = sorted(signals, key=_heaviest_first)
    score = sum(WEIGHTS[signal].points for signal in ordered)
    named = ", ".join(f"{WEIGHTS[signal].words} ({WEIGHTS[signal].points})" for signal in ordered)
    return score, tuple(ordered), (f"score {score}, set aside from {LIMIT}: {named}",) if ordered else ()


def _heaviest_first(signal: Signal) -> tuple[int, str]:
    return -WEIGHTS[signal].points, signal
