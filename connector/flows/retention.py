"""What people sent does not stay for ever: bodies go after the days set for their kind of source (requirement I32)."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from psycopg.errors import LockNotAvailable

from connector.errors import ConfigurationError
from connector.services import Services
from connector.settings.values import ALL_KINDS, CRM_NEWS, KEPT_DAYS, Settings
from connector.store import upkeep
from connector.store.deliveries import CRM_PREFIX
from connector.store.upkeep import Kept


def work(services: Services) -> None:
    """Drop bodies past their time, a day's worth in each transaction, and the partitions they leave empty."""
    try:
        settings = services.current().settings
    except ConfigurationError:
        return
    kinds = kept(settings)
    for each in kinds:
        more = True
        while more:
            with services.store.transaction() as tx:
                more = upkeep.drop_bodies(tx, each)
    with suppress(LockNotAvailable), services.store.transaction() as tx:
        upkeep.drop_partitions(tx, max(each.days for each in kinds))


def kept(settings: Settings) -> Sequence[Kept]:
    """Return how long the bodies of each kind of source are kept; sources that are gone count as `default`."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for source in settings.sources.values():
        by_kind[source.kind].append(source.key)
    by_kind[CRM_NEWS] = [f"{CRM_PREFIX}{connection}" for connection in settings.connections]
    named = [
        Kept(kind, settings.retention[kind], tuple(sources))
        for kind, sources in sorted(by_kind.items())
        if kind in settings.retention
    ]
    others = tuple(source for each in named for source in each.named or ())
    return [*named, Kept(ALL_KINDS, settings.retention.get(ALL_KINDS, KEPT_DAYS), None, others)]
