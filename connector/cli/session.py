"""What most commands need: services on the configured database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from connector import wakes
from connector.services import Services, open_services
from connector.store import embedded


@contextmanager
def services_of() -> Iterator[Services]:
    """Open the services for one command; wake-ups go to whatever workers run."""
    # A database that is down is told once, by the command itself.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # Whoever leaves an embedded server last stops it: a command must not leave one behind.
    services = open_services(embedded.database_url(owner=True), size=2)
    wanted: set[str] = set()
    services.wake = wanted.add
    try:
        yield services
    finally:
        wakes.wake_now(services, wanted)
        services.store.close()
