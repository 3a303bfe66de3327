"""Put down how many calls this process made, and what the CRMs say of their own limits."""

from collections.abc import Mapping

from connector.adapters import metering
from connector.adapters.base import Adapter
from connector.errors import ConfigurationError, StoreUnavailable
from connector.services import Services
from connector.store import calls, connections


def flush(services: Services, adapters: Mapping[str, Adapter] | None = None) -> None:
    """Add the calls counted since the last time to today's; a process that dies loses those of its last moments.

    `adapters` by connection where they are not those of the services.

    Raises:
        StoreUnavailable: PostgreSQL is gone; the calls stay counted here.
    """
    counted = metering.take()
    if not counted:
        return
    names = sorted({connection for connection, _ in counted})
    try:
        known = _adapters(services, names) if adapters is None else adapters
        with services.store.transaction() as tx:
            calls.add(tx, counted)
            for name in names:
                budget = known[name].budget() if name in known else None
                if budget is not None:
                    connections.note_budget(tx, name, budget)
    except StoreUnavailable:
        metering.put_back(counted)
        raise


def _adapters(services: Services, names: list[str]) -> dict[str, Adapter]:
    settings, found = services.current().settings, {}
    for name in names:
        try:
            found[name] = services.adapter(settings, name)
        except (ConfigurationError, KeyError):
            # It is not configured any more, or lacks a secret by now.
            continue
    return found
