"""What has to be tidied now and then: partitions ahead of time, finished bookkeeping."""

from contextlib import suppress

from psycopg.errors import LockNotAvailable

from connector.flows import sealing
from connector.services import Services
from connector.store import upkeep


def work(services: Services) -> None:
    """Make room for next month's bodies, drop what nobody needs any more, seal decisions; safe to repeat."""
    with suppress(LockNotAvailable), services.store.transaction() as tx:
        upkeep.make_partitions(tx)
    with services.store.transaction() as tx:
        upkeep.drop_stale_jobs(tx)
        upkeep.drop_old_assignments(tx)
    while _drop_old_keys(services):
        pass
    sealing.work(services)


def _drop_old_keys(services: Services) -> int:
    with services.store.transaction() as tx:
        return upkeep.drop_old_keys(tx)
