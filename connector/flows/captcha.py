"""Verify captchas: lease, ask outside of any transaction, settle (requirement I27).

Nothing is lost when the process dies in between: the lease runs out and the next attempt asks again. A provider with
idempotency keys then gives the same answer. Any other says that the token was used, and so it was, perhaps by us:
such a delivery is set aside for a person, never refused.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_address

from connector.adapters import captcha as wire
from connector.adapters.captcha import Expected
from connector.errors import ConfigurationError, UnreadableDelivery
from connector.flows.read import open_delivery, parse, reading, source_of
from connector.flows.signals import captcha_token
from connector.model.delivery import Delivery
from connector.services import Services
from connector.settings.values import Captcha, Settings, Source
from connector.sources.base import submissions_in
from connector.sources.captcha import PROVIDERS, Outcome, Provider, Question
from connector.store import captcha
from connector.store.captcha import Claimed

log = logging.getLogger(__name__)

#: So many are asked about at the same time, well within one lease.
BATCH = 8
#: Waits after an outage; a token lives for two to five minutes, so there are few.
WAITS = (timedelta(seconds=2), timedelta(seconds=10))
#: A token lived at least two minutes when it came; if we ask so late, it may have died waiting for us.
LATE = timedelta(minutes=1)

Ask = Callable[[Provider, str, Question, Expected], Outcome]


def work(services: Services, ask: Ask = wire.verify) -> int:
    """Verify captchas that are due; return how many were taken up (0: nothing is due)."""
    settings = services.current().settings
    with services.store.transaction() as tx:
        claimed = captcha.claim(tx, BATCH)
    if not claimed:
        return 0
    with ThreadPoolExecutor(len(claimed)) as pool:
        for each, outcome in zip(
            claimed, pool.map(lambda one: _asked(services, settings, one, ask), claimed), strict=True
        ):
            _settle(services, each, outcome)
    return len(claimed)


def _settle(services: Services, claimed: Claimed, outcome: Outcome) -> None:
    again = outcome is Outcome.OUTAGE and claimed.attempt <= len(WAITS)
    with services.store.transaction() as tx:
        if again:
            captcha.postpone(tx, claimed, WAITS[claimed.attempt - 1])
        elif captcha.settle(tx, claimed, outcome):
            tx.after_commit(lambda: services.wake("intake"))
    if outcome in (Outcome.OUTAGE, Outcome.MISCONFIGURED):
        log.warning("captcha not verified", extra={"delivery": str(claimed.delivery.id), "outcome": outcome})


def _asked(services: Services, settings: Settings, claimed: Claimed, ask: Ask) -> Outcome:
    """Ask; one that breaks the program waits for a person and does not hold up the others."""
    try:
        return _ask(services, settings, claimed, ask)
    except Exception:
        log.exception("captcha could not be asked about", extra={"delivery": str(claimed.delivery.id)})
        return Outcome.UNSURE


def _ask(services: Services, settings: Settings, claimed: Claimed, ask: Ask) -> Outcome:
    source = source_of(settings, claimed.delivery.source)
    if source is None or source.captcha is None:
        # Taken out of the configuration meanwhile: nobody wants to know any more.
        return Outcome.PASSED
    try:
        delivery = open_delivery(services, claimed.delivery)
        question = _question(settings, source, source.captcha, delivery)
        secret = services.secret(source.captcha.secret)
    except UnreadableDelivery:
        # Reading it says what is wrong with it.
        return Outcome.PASSED
    except ConfigurationError as err:
        log.error("captcha cannot be verified", extra={"reason": str(err)})
        return Outcome.MISCONFIGURED
    provider = PROVIDERS[source.captcha.provider]
    expected = Expected(source.captcha.hosts or source.return_hosts, source.captcha.action)
    outcome = ask(provider, secret, question, expected)
    ours = claimed.age > LATE or (claimed.attempt > 1 and not provider.repeatable)
    return Outcome.UNSURE if outcome is Outcome.SPENT and ours else outcome


def _question(settings: Settings, source: Source, configured: Captcha, delivery: Delivery) -> Question:
    submissions = submissions_in(parse(source, delivery, reading(settings, source, delivery)))
    token = next(filter(None, (captcha_token(source, submission) for submission in submissions)), "")
    return Question(delivery.id, token, public_address(delivery.remote_ip), configured.site_key)


def public_address(address: str | None) -> str | None:
    """Return an address a provider could know; a private one is a proxy's or a test's."""
    try:
        return address if address and ip_address(address).is_global else None
    except ValueError:
        return None
