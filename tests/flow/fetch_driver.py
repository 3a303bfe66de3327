"""A worker of its own that fetches one batch: python fetch_driver.py DATABASE_URL VENDOR_URL."""

import sys

from vendor_support import ENVIRON

from connector.flows import fetch
from connector.services import Services
from connector.store import Store
from connector.vault import Vault

if __name__ == "__main__":
    with Store(sys.argv[1]) as store:
        services = Services(store, Vault("x" * 40), environ=ENVIRON)
        services.origins = {"meta": sys.argv[2]}
        fetch.work(services)
