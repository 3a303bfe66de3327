"""One of many workers of the stress test: works intake and the holding queue off until it is told that all is in."""

from multiprocessing.synchronize import Event

from crash_driver import ENVIRON, SECRET_KEY

from connector.flows import held, intake
from connector.services import Services
from connector.store import Store
from connector.vault import Vault

#: Small batches, so that sixteen meet often.
BATCH = 40


def work(database: str, all_in: Event) -> None:
    """Work until everything is in and nothing waits to be read."""
    intake.BATCH = BATCH
    with Store(database, size=1) as store:
        services = Services(store, Vault(SECRET_KEY), environ=ENVIRON)
        while True:
            last = all_in.is_set()
            worked = intake.work(services)
            held.work(services)
            if last and not worked:
                return
