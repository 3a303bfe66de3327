"""Store before answering (promise P1): the only thing the HTTP edge does with a delivery."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import psycopg

from connector.errors import StoreUnavailable
from connector.flows.read import head_of
from connector.model.delivery import Delivery
from connector.services import Services
from connector.store import deliveries
from connector.store.database import is_contention
from connector.store.deliveries import NewDelivery


class Acceptance(StrEnum):
    """What became of a keyed post at the door."""

    NEW = "new"
    REPEAT = "repeat"
    IN_FLIGHT = "in_flight"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receipt to hand out. For MISMATCH and IN_FLIGHT nothing was stored."""

    receipt: UUID | None
    acceptance: Acceptance


def accept(services: Services, delivery: Delivery, *, verified: str = "none", suspect: str = "") -> UUID:
    """Commit a delivery and return its receipt.

    `verified` says how authenticity was checked ("yes", "none", "no:<step>"); a `suspect` reason sets
    the delivery aside for a person instead of working it.

    Raises:
        StoreUnavailable: nothing may be acknowledged.
    """
    new = sealed(services, delivery, verified, suspect)
    with services.store.statement() as tx:
        deliveries.put(tx, new)
    if not suspect:
        services.wake("sync" if delivery.source.startswith(deliveries.CRM_PREFIX) else "intake")
    return delivery.id


def accept_once(services: Services, delivery: Delivery, *, client: str, key: str, verified: str = "yes") -> Accepted:
    """Commit a delivery unless `client` posted under this Idempotency-Key before.

    A repeat with the same body gets the first receipt; another body under the same key is a mismatch.

    Raises:
        StoreUnavailable: nothing may be acknowledged.
    """
    new = sealed(services, delivery, verified, "")
    fingerprint = hashlib.sha256(delivery.content_type.encode() + b"\n" + delivery.body).digest()
    try:
        with services.store.transaction() as tx:
            if deliveries.put_once(tx, new, client=client, key=key, fingerprint=fingerprint):
                tx.after_commit(lambda: services.wake("intake"))
                return Accepted(delivery.id, Acceptance.NEW)
            known = deliveries.by_idempotency_key(tx, client, key)
    except psycopg.Error as err:
        if is_contention(err):
            return Accepted(None, Acceptance.IN_FLIGHT)
        raise StoreUnavailable("the database refused the delivery") from err
    if known is None:
        return Accepted(None, Acceptance.IN_FLIGHT)
    receipt, first = known
    if first != fingerprint:
        return Accepted(None, Acceptance.MISMATCH)
    services.wake("intake")
    return Accepted(receipt, Acceptance.REPEAT)


def accept_many(services: Services, batch: Sequence[Delivery]) -> set[UUID]:
    """Commit deliveries with ids of their own making, each id once; return those that were not there before.

    Raises:
        StoreUnavailable: none of them is stored; the same batch may be given again.
    """
    new = [sealed(services, delivery, "none", "") for delivery in batch]
    with services.store.transaction() as tx:
        stored = deliveries.put_many(tx, new)
    services.wake("intake")
    return stored


def sealed(services: Services, delivery: Delivery, verified: str = "none", suspect: str = "") -> NewDelivery:
    """Return a delivery as it is stored: nobody reads its body without the key."""
    return NewDelivery(
        id=delivery.id,
        source=delivery.source,
        content_type=delivery.content_type[:200],
        size=len(delivery.body),
        sha256=hashlib.sha256(delivery.body).digest(),
        verified=verified,
        state="quarantined" if suspect else "stored",
        reason=suspect,
        sealed=services.vault.seal(delivery.id, head_of(delivery), delivery.body),
    )
