"""Whom the news of a CRM speaks of; news of who was erased is not taken in.

A record that was erased stays out whatever its CRM says of it. Of a record found later by e-mail or number, what
happened up to the erasure stays out. Deals and calls of an erased person come in without their texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from connector.errors import ConfigurationError, ConnectorError, UnreadableDelivery
from connector.flows import marks, read
from connector.flows.marks import Parts
from connector.model.crm import CrmEvent, ObjectType
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, deliveries, erasure, suppression
from connector.store.deliveries import CRM_PREFIX, StoredDelivery
from connector.store.erasure import TEXTS
from connector.store.suppression import Mark


def is_news(stored: StoredDelivery) -> bool:
    """Tell whether a delivery came from a CRM."""
    return stored.source.startswith(CRM_PREFIX)


def events_of(services: Services, settings: Settings, stored: StoredDelivery) -> list[CrmEvent]:
    """Read a CRM's delivery again.

    Raises:
        ConnectorError, ConfigurationError: it cannot be read, or its connection is not configured any more.
    """
    adapter = services.adapter(settings, stored.source.removeprefix(CRM_PREFIX))
    return adapter.parse_webhook(read.open_delivery(services, stored))


def known_only(
    services: Services, tx: Transaction, parsed: dict[UUID, tuple[str, list[CrmEvent]]]
) -> dict[UUID, tuple[str, list[CrmEvent]]]:
    """Note whom deliveries speak of; leave out who was erased, with the bodies that speak of them."""
    noted = {
        (mark, delivery)
        for delivery, (connection, changes) in parsed.items()
        for mark in marks.hashed(services.vault, marks_of(connection, changes))
    }
    suppression.note(tx, [Mark(mark, delivery, 0, noted=True) for mark, delivery in noted])
    kept = {
        delivery: (connection, known(services, tx, connection, changes))
        for delivery, (connection, changes) in parsed.items()
    }
    touched = [delivery for delivery, (_, changes) in kept.items() if changes != parsed[delivery][1]]
    if touched:
        erasure.drop_bodies(tx, sorted(touched))
    return kept


def parse_all(
    services: Services, tx: Transaction, claimed: Sequence[StoredDelivery]
) -> dict[UUID, tuple[str, list[CrmEvent]]]:
    """Return connection and events of each delivery; what cannot be read is set aside for a person."""
    parsed = {}
    settings = services.active(tx).settings
    for stored in claimed:
        connection = stored.source.removeprefix(CRM_PREFIX)
        if connection not in settings.connections:
            deliveries.quarantine(tx, stored.id, f"connection {connection!r} is not configured any more")
            continue
        try:
            parsed[stored.id] = connection, events_of(services, settings, stored)
        except (ConnectorError, ConfigurationError, UnreadableDelivery) as err:
            deliveries.quarantine(tx, stored.id, f"unreadable: {err}")
    return parsed


def marks_of(connection: str, events: Iterable[CrmEvent]) -> list[Parts]:
    """Return the marks of the records and people that events speak of."""
    return [mark for event in events for mark in (*_own(connection, event), *_person(event))]


def known(services: Services, tx: Transaction, connection: str, events: Sequence[CrmEvent]) -> list[CrmEvent]:
    """Return the events that may be taken in, without the texts of what links to somebody erased."""
    asked = [
        mark for event in events for mark in (*_own(connection, event), *_person(event), *_links(connection, event))
    ]
    erased = suppression.entries(tx, marks.sought(services.vault, asked))
    if not erased:
        return list(events)

    def at(parts: Parts) -> datetime | None:
        return max((erased[mark] for mark in services.vault.marks(*parts) if mark in erased), default=None)

    kept = []
    for event in events:
        before = max(filter(None, map(at, _person(event))), default=None)
        if not any(map(at, _own(connection, event))) and (before is None or before < event.occurred_at):
            kept.append(_bare(event) if any(map(at, _links(connection, event))) else event)
    return kept


def _own(connection: str, event: CrmEvent) -> list[Parts]:
    """Return the marks of an event's record, and of the one it was merged into."""
    refs = {event.ref, event.record.ref} if event.record else {event.ref}
    return [marks.of_record(connection, str(ref.object_type), ref.id) for ref in refs]


def _person(event: CrmEvent) -> list[Parts]:
    if event.record is None or event.ref.object_type not in (ObjectType.LEAD, ObjectType.CONTACT):
        return []
    said = {name: str(event.record.fields.get(name) or "") for name in ("email", "phone", "last_name")}
    return marks.of_person(said["email"].casefold(), said["phone"], said["last_name"])


def _links(connection: str, event: CrmEvent) -> list[Parts]:
    fields = event.record.fields if event.record else {}
    return [marks.of_record(connection, name, str(fields[name])) for name in ("contact", "lead") if fields.get(name)]


def _bare(event: CrmEvent) -> CrmEvent:
    assert event.record is not None
    fields = {name: value for name, value in event.record.fields.items() if name not in TEXTS}
    return replace(event, record=replace(event.record, fields=fields))
