"""Fetch what a vendor's hook only named, so that the delivery can be read from what is stored (I9, I16).

The row is the truth: a waiting delivery is leased, its documents are fetched outside of any transaction and kept
sealed in its body, and it goes back to the ordinary intake. Whoever dies on the way leaves a lease that runs out;
a read that is done twice changes nothing.
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    PermissionDenied,
    RateLimited,
    RecordNotFound,
    TransientError,
    UnreadableDelivery,
)
from connector.flows import read
from connector.model.delivery import Delivery
from connector.services import Services
from connector.settings.values import Settings, Source
from connector.sources.registry import source_for
from connector.store import Transaction, fetches
from connector.store.fetches import Leased

log = logging.getLogger(__name__)

BATCH = 10
LEASE = timedelta(minutes=5)
#: No call begins later than this in a turn, so that the last one ends within the lease.
TURN = timedelta(minutes=2)
#: With the waits below these last about a day.
ATTEMPTS = 36
_FIRST, _CEILING = timedelta(seconds=10), timedelta(hours=1)
#: A vendor may ask for patience, not for ever.
_LONGEST = timedelta(hours=24)


@dataclass(slots=True)
class Fetched:
    """What one turn brought: documents, names of those the vendor does not have, and what ended the turn early."""

    documents: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    error: ConnectorError | ConfigurationError | UnreadableDelivery | None = None
    #: The turn ended before everything was asked for.
    more: bool = False


def work(services: Services) -> int:
    """Fetch for one batch of waiting deliveries; return how many were taken up."""
    since = time.monotonic()
    with services.store.transaction() as tx:
        settings = services.active(tx).settings
        leased = fetches.lease(tx, BATCH, LEASE)
    resting: set[str] = set()
    for each in leased:
        source = each.delivery.source
        if source in resting or time.monotonic() - since > TURN.total_seconds():
            _record(services, settings, each, None, Fetched(more=True))
        elif not _take(services, settings, each, since):
            resting.add(source)
    return len(leased)


def seconds_to_next(services: Services) -> float | None:
    """Return in how many seconds there is something to fetch, None when nothing waits."""
    with services.store.transaction() as tx:
        return fetches.seconds_to_next(tx)


def _take(services: Services, settings: Settings, leased: Leased, since: float) -> bool:
    """Fetch for one delivery; return False when its vendor should be left alone for now."""
    delivery, fetched = None, Fetched()
    try:
        delivery = read.open_delivery(services, leased.delivery)
        source = read.source_of(settings, delivery.source)
        # A source that is gone is the intake's to report.
        if source is not None:
            _fetch(services, settings, source, delivery, fetched, since)
    except (ConfigurationError, ConnectorError, UnreadableDelivery) as err:
        fetched.error = err
    except Exception as err:
        # A fault of ours with one delivery must not keep the others of its batch from their turn.
        log.exception("second fetch broke", extra={"delivery": str(leased.delivery.id)})
        fetched.error = UnreadableDelivery(f"could not be fetched ({type(err).__name__}); the log has the details")
    return _record(services, settings, leased, delivery, fetched)


def _fetch(
    services: Services, settings: Settings, source: Source, delivery: Delivery, fetched: Fetched, since: float
) -> None:
    """Ask for every missing document in turn; what came before a failure is kept."""
    fetcher = services.fetcher(settings, source.key)
    reader = source_for(source.kind)
    for document in reader.missing(delivery, read.reading(settings, source, delivery)):
        if time.monotonic() - since > TURN.total_seconds():
            fetched.more = True
            return
        try:
            fetched.documents[document.name] = fetcher.fetch(document)
        except RecordNotFound:
            fetched.gone.append(document.name)


def _record(
    services: Services, settings: Settings, leased: Leased, delivery: Delivery | None, fetched: Fetched
) -> bool:
    """Write down what a turn brought, in one transaction; return False when the vendor should be left alone."""
    known = {**(delivery.fetched if delivery else {}), **fetched.documents}
    if leased.delivery.verified == "released" and any(known.values()) and not (fetched.error or fetched.more):
        # A person has judged what is gone; the others need not wait for it.
        known |= dict.fromkeys(fetched.gone, "")
    with services.store.transaction() as tx:
        if delivery is not None and known != delivery.fetched:
            sealed = services.vault.seal(delivery.id, read.head_of(replace(delivery, fetched=known)), delivery.body)
            if not fetches.keep(tx, leased, sealed):
                # Somebody changed the body meanwhile: the lease runs out, and the turn is taken again.
                return True
        if fetched.documents:
            fetches.wake(tx, leased.delivery.source)
        return _settle(services, tx, settings, leased, fetched, known)


def _settle(
    services: Services,
    tx: Transaction,
    settings: Settings,
    leased: Leased,
    fetched: Fetched,
    known: Mapping[str, str],
) -> bool:
    error, lacking = fetched.error, [name for name in fetched.gone if name not in known]
    if isinstance(error, TransientError | AuthenticationError | ConfigurationError):
        return _postpone(tx, settings, leased, error)
    if error is not None:
        fetches.settle(tx, leased, "quarantined", _plain(error, settings, leased.delivery.source))
    elif fetched.more:
        fetches.release(tx, leased)
    elif lacking:
        fetches.settle(tx, leased, "quarantined", _gone(lacking, len(known)))
    else:
        fetches.settle(tx, leased, "stored", "")
        tx.after_commit(lambda: services.wake("intake"))
        _tell(leased, fetched)
    return True


def _tell(leased: Leased, fetched: Fetched) -> None:
    named = {"delivery": str(leased.delivery.id), "source": leased.delivery.source}
    log.info("second fetch done", extra={**named, "documents": len(fetched.documents), "gone": fetched.gone})


def _postpone(
    tx: Transaction,
    settings: Settings,
    leased: Leased,
    error: TransientError | AuthenticationError | ConfigurationError,
) -> bool:
    """Let the source rest, and this delivery wait a little longer, so that others get their turn first."""
    source, attempts = leased.delivery.source, leased.delivery.attempts
    # A rate limit is no delivery's fault.
    attempts += not isinstance(error, RateLimited)
    reason = _plain(error, settings, source)
    asked = error.retry_after if isinstance(error, TransientError) else None
    if attempts >= ATTEMPTS:
        fetches.settle(tx, leased, "quarantined", f"{reason}; given up after {attempts} attempts")
    else:
        fetches.postpone(tx, leased, _spread(backoff(attempts, asked)), attempts, reason)
    fetches.rest(tx, source, _spread(backoff(fetches.failures(tx, source) + 1, asked)), reason)
    log.warning(
        "second fetch failed",
        extra={"delivery": str(leased.delivery.id), "source": source, "why": type(error).__name__, "attempt": attempts},
    )
    return False


def backoff(failures: int, asked: timedelta | None) -> timedelta:
    """Return how long to wait after so many failures in a row; what the vendor asks for wins, up to a day."""
    if asked is not None:
        return min(asked, _LONGEST)
    doublings = max(0, min(failures, 20) - 1)
    return min(_FIRST * (1 << doublings), _CEILING)


def _spread(wait: timedelta) -> timedelta:
    # Not for secrecy: what failed together should not come back together.
    return wait * random.uniform(1.0, 1.2)  # noqa: S311


def _gone(names: Sequence[str], others: int) -> str:
    reason = f"the vendor has nothing under {', '.join(names)}: deleted there, or the access token may not read it"
    if others:
        return f"{reason}; replay to try again, and to go on with the other {others} if it stays so"
    return f"{reason}; correct the token and replay"


def _plain(error: Exception, settings: Settings, source: str) -> str:
    """Say what went wrong and what to do, without a word of the vendor's answer."""
    if isinstance(error, ConfigurationError | UnreadableDelivery):
        return str(error)
    configured = settings.sources.get(source)
    token = configured.access_token if configured else None
    status = getattr(error, "status", None)
    code = getattr(error, "code", None)
    told = ", ".join(f"{name} {value}" for name, value in (("status", status), ("code", code)) if value)
    return f"{_what(error)} ({told})".replace(" ()", "").replace("$TOKEN", token or "the token")


def _what(error: Exception) -> str:
    match error:
        case AuthenticationError():
            return "the vendor refuses the access token: put a valid one into $TOKEN"
        case RateLimited():
            return "the vendor asks for fewer requests"
        case TransientError():
            return "the vendor does not answer"
        case PermissionDenied():
            return "the access token in $TOKEN may not read this lead: give it the right to, then replay"
        case _:
            return "the vendor's answer cannot be read: see whether its interface has changed, then replay"
