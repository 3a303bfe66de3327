"""What has to be tidied now and then: partitions ahead of time, finished bookkeeping."""

from contextlib import suppress
from datetime import timedelta

from psycopg.errors import LockNotAvailable

from connector.flows import born, erasing, retention, sealing
from connector.screening.score import LIMIT
from connector.services import Services
from connector.store import calls, captcha, connections, screening, suppression, upkeep

#: How long suspects wait for somebody to release them (requirements I26, I32).
SUSPECTS_KEPT = timedelta(days=14)
_AT_ONCE = 1_000


def work(services: Services) -> None:
    """Make room for next month's bodies, drop what nobody needs any more, seal decisions; safe to repeat."""
    with suppress(LockNotAvailable), services.store.transaction() as tx:
        upkeep.make_partitions(tx)
    with services.store.transaction() as tx:
        upkeep.drop_stale_jobs(tx)
        upkeep.drop_old_assignments(tx)
        suppression.drop_past(tx)
        calls.forget(tx)
        connections.forget(tx)
    born.work(services)
    while _drop_old_keys(services):
        pass
    drop_suspects(services)
    retention.work(services)
    erasing.work(services)
    sealing.work(services)


def _drop_old_keys(services: Services) -> int:
    with services.store.transaction() as tx:
        return upkeep.drop_old_keys(tx)


def drop_suspects(services: Services) -> None:
    """Reject suspects nobody released, removing their bodies; their reasons, scores and keys stay."""
    dropped = _AT_ONCE
    while dropped == _AT_ONCE:
        with services.store.transaction() as tx:
            dropped = screening.drop_suspects(tx, LIMIT, SUSPECTS_KEPT, _AT_ONCE)
    with services.store.transaction() as tx:
        screening.forget_addresses(tx, timedelta(days=1))
        captcha.forget(tx, SUSPECTS_KEPT)
