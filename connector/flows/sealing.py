"""Seal decisions: what was decided up to now can no longer be changed unseen (promise P4)."""

import logging

from connector.routing.seal import GENESIS, seal_of
from connector.services import Services
from connector.store import Transaction, decisions, seals
from connector.store.seals import Seal

log = logging.getLogger(__name__)

#: Decisions under one seal; also what one unit of checking reads.
MOST = 5_000


def work(services: Services) -> None:
    """Seal all decisions that have none. Each seal also goes to the log, a copy out of the database's reach."""
    while True:
        with services.store.transaction() as tx:
            seals.lock(tx)
            sealed = _seal_next(tx)
        if sealed is None:
            return
        log.info("decisions sealed", extra={"first": sealed.first, "last": sealed.last, "seal": sealed.digest.hex()})
        if sealed.last - sealed.first + 1 < MOST:
            return


def _seal_next(tx: Transaction) -> Seal | None:
    before = seals.newest(tx)
    after = before.last if before else 0
    run = decisions.digests(tx, after, MOST)
    if not run:
        return None
    seal = Seal(after + 1, run[-1][0], seal_of(before.digest if before else GENESIS, [digest for _, digest in run]))
    seals.put(tx, seal)
    return seal
