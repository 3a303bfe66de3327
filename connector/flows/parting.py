"""Of a delivery with several people, one of them erased, the others are not lost: they wait on as they waited.

That is for deliveries that became nobody's lead yet: set aside, waiting, sent through again, or rejected, which a
person may still replay. What became leads needs no body any more. Only where nobody can tell who is who (it cannot be
read) a delivery that speaks of the person goes whole.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.flows import forgotten, marks, read, remains
from connector.flows.read import Aside, Prepared, Unfetched, Withdrawn
from connector.model.delivery import Delivery
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, deliveries, suppression, tracing
from connector.store.deliveries import StoredDelivery
from connector.store.erasure import Found


def part(services: Services, tx: Transaction, found: Found) -> tuple[Found, int]:
    """Take the erased out of deliveries that others still wait in; return what goes besides, and how many were parted.

    Who is to go is known by then as suppressed; a second time finds nobody left to take out. What was found became
    leads meanwhile, perhaps, and is then judged by what it is now.
    """
    settings = services.active(tx).settings
    waiting = deliveries.lock_waiting(tx, sorted(found.deliveries))
    stay = {stored.id for stored in waiting if _parted(services, tx, settings, stored)}
    shared = tracing.of_others(tx, found.deliveries, found.leads)
    going = replace(found, deliveries=found.deliveries - stay, shared=(found.shared | shared) - stay)
    return going, len(stay)


def _parted(services: Services, tx: Transaction, settings: Settings, stored: StoredDelivery) -> bool:
    """Leave the others in a delivery; return False when it has to go whole."""
    try:
        outcome = read.read(services, settings, stored._replace(verified="released"))
        if isinstance(outcome, Aside):
            return False
        if isinstance(outcome, Unfetched):
            return _documents_parted(services, tx, settings, stored)
    except ConfigurationError:
        return False
    prepared = [each for each in outcome if isinstance(each, Prepared)]
    gone = forgotten.silenced(services, tx, prepared)
    if not gone:
        # Somebody else took the person out of it already.
        return read.open_delivery(services, stored).rest
    _keep_out(services, tx, [p for p in prepared if p.position in _positions(gone)])
    left = [p for p in prepared if p.position not in _positions(gone)]
    notices = _unheeded(services, tx, [each for each in outcome if isinstance(each, Withdrawn)])
    if left or notices:
        remains.reseal(services, tx, stored, left, notices)
    return bool(left or notices)


def _positions(places: set[tuple[UUID, int]]) -> set[int]:
    return {position for _, position in places}


def _keep_out(services: Services, tx: Transaction, gone: Sequence[Prepared]) -> None:
    """Suppress the submissions that go under their senders' own keys, so that none comes again."""
    parts = [part for p in gone for part in forgotten.submissions_of(p)]
    suppression.suppress_submissions(tx, marks.hashed(services.vault, parts))


def _unheeded(services: Services, tx: Transaction, notices: Sequence[Withdrawn]) -> list[str]:
    """Return the keys of the notices that nobody has read yet, as in a delivery set aside at the door."""
    parts = {notice.key: marks.of_submission(notice.delivery.source, notice.key) for notice in notices}
    heeded = suppression.entries(tx, marks.sought(services.vault, parts.values()))
    return [key for key, each in parts.items() if not any(mark in heeded for mark in services.vault.marks(*each))]


def _documents_parted(services: Services, tx: Transaction, settings: Settings, stored: StoredDelivery) -> bool:
    """Give up what was fetched of the erased, while others are still to be fetched; it is not asked for again."""
    delivery = read.open_delivery(services, stored)
    theirs = [name for name in delivery.fetched if _silenced_alone(services, tx, settings, stored, delivery, name)]
    if theirs:
        remains.put(services, tx, stored, replace(delivery, fetched={**delivery.fetched, **dict.fromkeys(theirs, "")}))
    return bool(theirs)


def _silenced_alone(
    services: Services, tx: Transaction, settings: Settings, stored: StoredDelivery, delivery: Delivery, name: str
) -> bool:
    alone = replace(delivery, fetched={name: delivery.fetched[name]})
    try:
        said = read.prepared_of(settings, stored, alone)
    except UnreadableDelivery:
        return False
    return bool(forgotten.silenced(services, tx, said, note=False))
