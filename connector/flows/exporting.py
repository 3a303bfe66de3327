"""Everything we hold of a person, for the person (a copy of their data, on paper or screen)."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.flows import read
from connector.flows.mailing import fields_of
from connector.flows.searching import Person, find, scan
from connector.services import Services
from connector.store import Transaction, consents, deliveries, erasure, recipients


def export(
    services: Services, person: Person, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> dict[str, list[Any]]:
    """Return what is held of a person by place, what they sent as it came in; ids and instants as they are stored."""
    extra = scan(services, person, progress)
    with services.store.transaction() as tx:
        _, found = find(services, tx, person, extra)
        held = erasure.show(tx, found)
        sent = deliveries.by_ids(tx, sorted(found.deliveries))
        mailed = recipients.by_ids(tx, found.recipients)
    held["bodies"] = [_opened(services, stored) for stored in sent if stored.sealed is not None]
    mailed_to = {str(row.id): _mailed(services, row) for row in mailed}
    held["recipients"] = [about | mailed_to[about["id"]] for about in held["recipients"]]
    return {place: rows for place, rows in held.items() if rows}


def consents_of(services: Services, person: Person) -> list[dict[str, object]]:
    """Return what a person said to each purpose, first to last: who, when, how, told what, withdrawn since (I31)."""
    with services.store.transaction() as tx:
        return consents.of_leads(tx, _leads(services, tx, person))


def _leads(services: Services, tx: Transaction, person: Person) -> list[UUID]:
    _, found = find(services, tx, person, ())
    return sorted(found.leads)


def _mailed(services: Services, row: recipients.Recipient) -> dict[str, Any]:
    try:
        return {"mailed": fields_of(services.vault, row)}
    except ConfigurationError as err:
        return {"unreadable": str(err)}


def _opened(services: Services, stored: deliveries.StoredDelivery) -> dict[str, Any]:
    about = {"delivery": str(stored.id), "content_type": stored.content_type}
    try:
        opened = read.open_delivery(services, stored)
    except (ConfigurationError, UnreadableDelivery) as err:
        return about | {"unreadable": str(err)}
    return about | {
        "ip": opened.remote_ip or "",
        "headers": dict(opened.headers),
        "query": dict(opened.query),
        "body": opened.body.decode("utf-8", "backslashreplace"),
    }
