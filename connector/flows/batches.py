"""Work off stored deliveries many at a time, and one at a time where one of them is bad."""

import logging
from collections.abc import Callable
from uuid import UUID

import psycopg

from connector.errors import StoreUnavailable
from connector.services import Services
from connector.store import Transaction, deliveries
from connector.store.database import is_contention
from connector.store.deliveries import StoredDelivery

log = logging.getLogger(__name__)

#: A delivery that fails this often by itself is set aside for a person.
MAX_ATTEMPTS = 3

Work = Callable[[Transaction, list[StoredDelivery]], None]


def work_off(services: Services, kind: str, limit: int, work: Work) -> int:
    """Take up to `limit` deliveries of a kind through `work` in one transaction; return how many were taken up.

    A crash or an error rolls everything back, and the deliveries are free again. After an error each is
    tried alone, so that a bad one does not hold up the rest.

    Raises:
        StoreUnavailable: PostgreSQL is gone; the rows wait.
    """
    claimed: list[UUID] = []
    try:
        with services.store.transaction() as tx:
            taken = deliveries.claim(tx, kind, limit)
            claimed.extend(stored.id for stored in taken)
            if taken:
                work(tx, taken)
    except StoreUnavailable:
        raise
    except Exception as err:
        if not _contended(err):
            log.exception("batch failed, working one by one", extra={"deliveries": len(claimed)})
            _one_by_one(services, claimed, work)
    return len(claimed)


def _one_by_one(services: Services, claimed: list[UUID], work: Work) -> None:
    for delivery in claimed:
        try:
            with services.store.transaction() as tx:
                taken = deliveries.claim_one(tx, delivery)
                if taken:
                    work(tx, taken)
        except StoreUnavailable:
            raise
        except Exception as err:
            if not _contended(err):
                log.exception("delivery failed", extra={"delivery": str(delivery)})
                _count_failure(services, delivery, err)


def _count_failure(services: Services, delivery: UUID, err: Exception) -> None:
    reason = f"could not be worked ({type(err).__name__}); the log has the details"
    with services.store.transaction() as tx:
        deliveries.count_failure(tx, delivery, MAX_ATTEMPTS, reason)


def _contended(err: Exception) -> bool:
    return isinstance(err, psycopg.Error) and is_contention(err)
