"""A delivery goes on without somebody who was erased: what it says of the others is sealed anew under its receipt.

Its state, reason and proof stay as they are, so whoever was to look at it still does; the places of the others stay
too, so that what was noted about them still fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connector.flows import read
from connector.flows.read import Prepared
from connector.model.delivery import Delivery
from connector.services import Services
from connector.sources import rest
from connector.sources.rest import Part, Rest
from connector.store import Transaction, deliveries, erasure
from connector.store.deliveries import StoredDelivery

#: What of a request's head is still needed: for the evidence of a consent, and to tell where a form stands.
_PAGES, _BROWSER = ("origin", "referer"), "user-agent"


def reseal(
    services: Services, tx: Transaction, stored: StoredDelivery, left: Sequence[Prepared], notices: Sequence[str] = ()
) -> None:
    """Put these leads, and notices by their keys, in the place of all that a locked delivery said."""
    parts = tuple(Part(p.position, p.key, p.submission) for p in left)
    before = read.open_delivery(services, stored)
    after = replace(
        before,
        body=rest.write(Rest(parts, tuple(notices))),
        rest=True,
        headers=_bare(before.headers),
        query={},
        url="",
        fetched={},
    )
    put(services, tx, stored, after)
    erasure.forget_others(tx, stored.id, [p.position for p in left])


def put(services: Services, tx: Transaction, stored: StoredDelivery, delivery: Delivery) -> None:
    """Seal a delivery in the place of what a locked one said."""
    deliveries.reseal(tx, stored, services.vault.seal(stored.id, read.head_of(delivery), delivery.body))


def _bare(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are needed; a page's address without what a person may have filled into it."""
    pages = {name: headers[name].partition("#")[0].partition("?")[0] for name in _PAGES if name in headers}
    return pages | ({_BROWSER: headers[_BROWSER]} if _BROWSER in headers else {})
