"""A worker process of the load test: `hearback worker` whose CRM is a loopback server of the test.

The configuration names Salesforce by its real kind of address, so its adapter is told here where to send instead. With
`shortened` waits the times that only bridge an outage are cut, each alike: a lease outlives a call, a look waits for
the search index.
"""

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connector import services
from connector.adapters.base import Adapter
from connector.adapters.hubspot.adapter import HubSpotAdapter
from connector.adapters.salesforce.adapter import SalesforceAdapter
from connector.adapters.salesforce.tokens import Grant
from connector.cli import working
from connector.flows import deliver, rest, sync
from connector.flows.retry import RetryPolicy
from connector.store import commands

LEASE, LAST_CALL = timedelta(seconds=10), timedelta(seconds=4)
SEARCH_LAG = 2.0
DOWN = timedelta(seconds=1)


def send_to(loopback: str) -> None:
    """Have Salesforce's adapter send to a server of this machine."""

    def build(_name: str, *, key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> Adapter:
        grant = Grant("client_credentials", options["client_id"], secret=secrets["client_secret"])
        return SalesforceAdapter(key, origin=options["base_url"], grant=grant, options=options, loopback=loopback)

    services.adapter_for = build


def shorten_waits() -> None:
    commands.LEASE = LEASE
    deliver.LAST_CALL = LAST_CALL
    HubSpotAdapter.search_lag = SEARCH_LAG
    deliver.POLICY = rest.POLICY = RetryPolicy(down=DOWN)


def never_look() -> None:
    """Be the product without look-before-resend, and without the feed, which may tell first what was written."""
    deliver._looked_up = lambda *_: {}  # type: ignore[assignment]
    sync.poll = lambda *_: 0


def main(order: Mapping[str, Any]) -> None:
    """Work until told to stop."""
    if order["loopback"]:
        send_to(order["loopback"])
    if order["shortened"]:
        shorten_waits()
    if order["mutant"]:
        never_look()
    working.worker.main([], standalone_mode=False)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
