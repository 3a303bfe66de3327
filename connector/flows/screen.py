"""Who must look first? The cheap layers were looked at while reading; here come those that ask the database."""

import hmac
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from connector.flows.read import Aside, Prepared, source_of, worst
from connector.model.signals import Signal
from connector.screening.score import Verdict, judge
from connector.services import Services
from connector.settings.values import Settings
from connector.sources.captcha import Outcome
from connector.sources.registry import source_for
from connector.store import Transaction, captcha, deliveries, screening
from connector.store.screening import Scored

#: So many posts with one e-mail address at once, and so many an hour for ever (requirement I25).
BURST, PER_HOUR = 6, 3.0
#: What the key of hashed addresses is derived for.
ADDRESS_KEY = "e-mail address"

Judged = list[tuple[list[Prepared], Verdict]]

_SIGNAL_OF: Mapping[str, Signal] = {
    Outcome.FAILED: Signal.CAPTCHA_FAILED,
    Outcome.SPENT: Signal.CAPTCHA_SPENT,
    Outcome.ELSEWHERE: Signal.CAPTCHA_ELSEWHERE,
    Outcome.DOUBTFUL: Signal.CAPTCHA_DOUBTFUL,
}
# Nothing of this speaks against the visitor, and a token lives for minutes: a person must decide (I27).
_OBSTACLE_OF: Mapping[str, str] = {
    Outcome.UNSURE: "the captcha's verification broke off or came late, its token counts only once: look, then replay",
    Outcome.OUTAGE: "the captcha's provider did not answer: look, then replay",
    Outcome.MISCONFIGURED: "our captcha secret or site key is missing or refused: correct it, look, then replay",
}


def screen(
    services: Services, tx: Transaction, settings: Settings, read: Iterable[list[Prepared]]
) -> tuple[list[list[Prepared]], Mapping[UUID, Scored]]:
    """Set suspects aside, let captchas be verified first; return the deliveries that go on and their scores.

    Each delivery of `read` is judged as a whole. What a person released passes.
    """
    looked_at = list(read)
    outcomes = captcha.outcomes(tx, [prepared[0].delivery.id for prepared in looked_at if _token(prepared)])
    waiting, judged = [], []
    for prepared in looked_at:
        verdict = _judged(prepared, outcomes)
        unverified = _token(prepared) and prepared[0].delivery.id not in outcomes
        if unverified and not verdict.quarantined:
            waiting.append(prepared[0].delivery.id)
        else:
            judged.append((prepared, verdict))
    captcha.put(tx, waiting)
    if waiting:
        tx.after_commit(lambda: services.wake("captcha"))
    final = _count_addresses(services, tx, settings, judged)
    _set_aside(tx, [(prepared, verdict) for prepared, verdict in final if verdict.quarantined])
    going_on = [(prepared, verdict) for prepared, verdict in final if not verdict.quarantined]
    return [prepared for prepared, _ in going_on], {each.id: each for each in _scored(going_on)}


def set_aside(tx: Transaction, aside: Aside) -> None:
    """Quarantine a delivery nobody could read or answer, with what else speaks against it."""
    deliveries.quarantine(tx, aside.delivery.id, aside.reason)
    if aside.verdict:
        screening.score(tx, _scored([(aside.prepared, aside.verdict)]))


def _token(prepared: Sequence[Prepared]) -> str:
    return next((p.captcha for p in prepared if p.captcha), "")


def _judged(prepared: Sequence[Prepared], outcomes: Mapping[UUID, str]) -> Verdict:
    outcome = outcomes.get(prepared[0].delivery.id, "")
    told = [_SIGNAL_OF[outcome]] if outcome in _SIGNAL_OF else []
    obstacles = [_OBSTACLE_OF[outcome]] if outcome in _OBSTACLE_OF else []
    return judge([*worst(prepared), *told], obstacles)


def _count_addresses(services: Services, tx: Transaction, settings: Settings, judged: Judged) -> Judged:
    """Judge anew where an e-mail address was sent too often. What is set aside anyway does not count."""
    key = services.vault.keys(ADDRESS_KEY)[0].encode()
    sent = [() if verdict.quarantined else _addresses(settings, prepared, key) for prepared, verdict in judged]
    too_many = screening.take(tx, Counter(name for names in sent for name in names), burst=BURST, per_hour=PER_HOUR)
    # The first ones had room: the last ones are too many.
    for at in reversed(range(len(judged))):
        over = [name for name in sent[at] if too_many.get(name)]
        for name in over:
            too_many[name] -= 1
        if over:
            prepared, verdict = judged[at]
            judged[at] = prepared, judge([*verdict.signals, Signal.SAME_ADDRESS])
    return judged


def _addresses(settings: Settings, prepared: Sequence[Prepared], key: bytes) -> tuple[bytes, ...]:
    """Return the addresses of a post from a page, as hashes that only we can make."""
    stored = prepared[0].delivery
    source = source_of(settings, stored.source)
    if source is None or not source_for(source.kind).from_pages or stored.verified == "released":
        return ()
    emails = dict.fromkeys(p.lead.email for p in prepared if p.lead.email)
    return tuple(hmac.digest(key, email.encode(), "sha256") for email in emails)


def _set_aside(tx: Transaction, suspects: Judged) -> None:
    for prepared, verdict in suspects:
        deliveries.quarantine(tx, prepared[0].delivery.id, verdict.reason)
    screening.score(tx, _scored(suspects))


def _scored(judged: Iterable[tuple[Sequence[Prepared], Verdict]]) -> list[Scored]:
    return [
        Scored(prepared[0].delivery.id, verdict.score, verdict.signals)
        for prepared, verdict in judged
        if verdict.signals
    ]
