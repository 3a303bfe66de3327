"""What the CRMs tell us: keep the mirror, free capacity, and turn changes into canonical events."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from connector.adapters.base import Capability
from connector.errors import ConfigurationError, ConnectorError
from connector.flows import answers, followups, held, marks, told
from connector.flows.batches import work_off
from connector.flows.deliver import fingerprint
from connector.flows.staff import person_of
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, Value
from connector.model.delivery import Fate
from connector.services import Services
from connector.store import (
    Transaction,
    deliveries,
    erasure,
    events,
    leads,
    ledger,
    mirror,
    responses,
    suppression,
    sync,
)
from connector.store.deliveries import CRM_PREFIX, Finished, StoredDelivery
from connector.store.events import Event
from connector.store.leads import LeadRow
from connector.store.mirror import MirrorRow
from connector.store.suppression import Mark
from connector.store.sync import Bound

BATCH = 20
CLOSED_LEAD = frozenset(("closed", "converted"))
PAGES = 50


@dataclass(frozen=True, slots=True)
class News:
    """Events of one connection with what we know of their records; `changed` is still to be stored."""

    connection: str
    events: Sequence[CrmEvent]
    bound: dict[tuple[str, str], Bound]
    mirrored: dict[tuple[str, str], MirrorRow] = field(default_factory=dict)
    changed: dict[tuple[str, str], MirrorRow] = field(default_factory=dict)


def work(services: Services) -> int:
    """Work off stored webhook deliveries of the CRMs; return how many were taken up."""
    return work_off(services, "crm", BATCH, lambda tx, claimed: _work_batch(services, tx, claimed))


def poll(services: Services, connection: str) -> int:
    """Read a connection's change feed from where we left it; makes up for lost webhooks. Return events seen."""
    settings = services.current().settings
    try:
        adapter = services.adapter(settings, connection)
    except ConfigurationError:
        return 0
    if Capability.CHANGE_FEED not in adapter.capabilities:
        return 0
    seen = 0
    for _ in range(PAGES):
        with services.store.transaction() as tx:
            cursor = sync.cursor(tx, connection)
        changes, following = adapter.changes_since(cursor)
        with services.store.transaction() as tx:
            suppression.share(tx)
            apply(services, tx, connection, changes)
            sync.advance(tx, connection, following)
        seen += len(changes)
        if following == cursor or not changes:
            break
    return seen


def _work_batch(services: Services, tx: Transaction, claimed: list[StoredDelivery]) -> None:
    parsed = _known_only(services, tx, _parse_all(services, tx, claimed))
    by_connection: dict[str, list[CrmEvent]] = defaultdict(list)
    for connection, changes in parsed.values():
        by_connection[connection].extend(changes)
    news = _take_up(tx, by_connection)
    finished = []
    for delivery, (connection, changes) in parsed.items():
        applied = _apply_all(services, tx, news[connection], changes)
        finished.append(Finished(delivery, Fate.APPLIED, f"{applied} of {len(changes)} events were news"))
    deliveries.finish(tx, finished)


def _known_only(
    services: Services, tx: Transaction, parsed: dict[UUID, tuple[str, list[CrmEvent]]]
) -> dict[UUID, tuple[str, list[CrmEvent]]]:
    """Note whom deliveries speak of; leave out who was erased, with the bodies that speak of them."""
    noted = {
        (mark, delivery)
        for delivery, (connection, changes) in parsed.items()
        for mark in marks.hashed(services.vault, told.marks_of(connection, changes))
    }
    suppression.note(tx, [Mark(mark, delivery, 0, noted=True) for mark, delivery in noted])
    kept = {
        delivery: (connection, told.known(services, tx, connection, changes))
        for delivery, (connection, changes) in parsed.items()
    }
    touched = [delivery for delivery, (_, changes) in kept.items() if changes != parsed[delivery][1]]
    if touched:
        erasure.drop_bodies(tx, sorted(touched))
    return kept


def _parse_all(
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
            parsed[stored.id] = connection, told.events_of(services, settings, stored)
        except (ConnectorError, ConfigurationError) as err:
            deliveries.quarantine(tx, stored.id, f"unreadable: {err}")
    return parsed


def apply(services: Services, tx: Transaction, connection: str, changes: Sequence[CrmEvent]) -> int:
    """Take in events of one connection in order; return how many were news to us.

    Applying an event twice, or after a later one, changes nothing.
    """
    known = told.known(services, tx, connection, changes)
    news = _take_up(tx, {connection: known})[connection]
    return _apply_all(services, tx, news, known)


def _apply_all(services: Services, tx: Transaction, news: News, changes: Sequence[CrmEvent]) -> int:
    applied = sum(_apply_one(services, tx, news, event) for event in changes)
    _store_changed(tx, news)
    return applied


def _store_changed(tx: Transaction, news: News) -> None:
    mirror.put(tx, list(news.changed.values()))
    news.changed.clear()


def _take_up(tx: Transaction, told: Mapping[str, Sequence[CrmEvent]]) -> dict[str, News]:
    """Return what is known of everything a transaction will apply, the ledger locked if that needs it.

    The lock order wants the ledger before any lead, and two batches must not wait for it with records locked.
    """
    news = {
        connection: News(connection, changes, _bindings(tx, connection, changes))
        for connection, changes in told.items()
    }
    if any(_changes_capacity(each, event) for each in news.values() for event in each.events):
        ledger.lock(tx)
    for each in news.values():
        each.mirrored.update(mirror.known(tx, each.connection, sorted({_name(event) for event in each.events})))
    return news


def _bindings(tx: Transaction, connection: str, changes: Sequence[CrmEvent]) -> dict[tuple[str, str], Bound]:
    """Return which of the records are ours.

    A record may be heard of before the answer to the command that made it is recorded: its key tells.
    """
    names = sorted({_name(event) for event in changes})
    found = sync.bound(tx, connection, names)
    told = [
        (event.record.key, *_name(event))
        for event in changes
        if event.record and event.record.key and _name(event) not in found
    ]
    if not told:
        return found
    sync.hear(tx, connection, told)
    return sync.bound(tx, connection, names)


def _name(event: CrmEvent) -> tuple[str, str]:
    return str(event.ref.object_type), event.ref.id


def _changes_capacity(news: News, event: CrmEvent) -> bool:
    binding = _binding(news, event)
    return event.ref.object_type is ObjectType.LEAD and binding is not None and not _is_lead_echo(event, binding)


def _binding(news: News, event: CrmEvent) -> Bound | None:
    return news.bound.get(_name(event))


def _apply_one(services: Services, tx: Transaction, news: News, event: CrmEvent) -> bool:
    if event.type is EventType.UNKNOWN:
        return False
    binding = _binding(news, event)
    if event.ref.object_type is ObjectType.LEAD and binding is not None:
        return not _is_lead_echo(event, binding) and _lead_changed(services, tx, news.connection, event, binding)
    return _mirrored(services, tx, news, event, binding)


def _is_lead_echo(event: CrmEvent, binding: Bound) -> bool:
    """Tell our own write of a lead coming back: what we act upon still has the value we wrote (P9)."""
    if event.record is None:
        return False
    fields = event.record.fields
    return _are_ours({name: fields.get(name) for name in ("status", "owner", "response")}, binding)


def _is_echo(record: Record | None, before: MirrorRow | None, binding: Bound | None) -> bool:
    """Tell our own write coming back: every field that changed has the value we wrote last (P9)."""
    if record is None or binding is None:
        return False
    new, old = record.fields, before.fields if before else {}
    changed = {name: new.get(name) for name in new.keys() | old.keys() if new.get(name) != old.get(name)}
    return _are_ours(changed, binding)


def _are_ours(values: Mapping[str, Value], binding: Bound) -> bool:
    """Tell whether each of these values is the one we wrote last, or one that is being written."""
    said = fingerprint(values)
    return all(
        binding.written.get(name, said[name] if value is None else "") == said[name]
        or any(name in sent and sent[name] == value for sent in binding.sending)
        for name, value in values.items()
    )


def _lead_changed(services: Services, tx: Transaction, connection: str, event: CrmEvent, binding: Bound) -> bool:
    row = _living(tx, UUID(binding.key.removeprefix("lead:")), connection)
    if row is None:
        return False
    if event.type is EventType.RECORD_DELETED or _status(event.record) in CLOSED_LEAD:
        owner = leads.close(tx, row.id, tx.now())
        if owner is None:
            return False
        responses.close(tx, row.id)
        ledger.shift_open(tx, owner, -1)
        held.announce(services, tx)
        return True
    moved = _owner_changed(services, tx, event, binding, row)
    if moved or event.record is None:
        return moved
    return answers.on_lead(services, tx, connection, row.id, event.record, event.occurred_at)


def _living(tx: Transaction, lead: UUID, connection: str) -> LeadRow | None:
    """Return a lead, None if this CRM does not hold it any more: it went to an owner in another one."""
    row = leads.by_ids(tx, [lead]).get(lead)
    return row if row is not None and row.connection in (None, connection) else None


def _owner_changed(services: Services, tx: Transaction, event: CrmEvent, binding: Bound, row: LeadRow) -> bool:
    """Follow a person who moved the lead in the CRM: their choice stands."""
    user = str(event.record.fields.get("owner") or "") if event.record else ""
    if not user or _are_ours({"owner": user}, binding):
        return False
    person = person_of(services.active(tx).settings, row.connection or "", user)
    if person is None or answers.is_overtaken(tx, row.id, person, event.occurred_at):
        return False
    before = leads.change_owner(tx, row.id, person, event.occurred_at)
    if before is None:
        return False
    agreed = fingerprint({"owner": user})
    binding.written.update(agreed)
    sync.agree(tx, str(row.connection), binding.key, agreed)
    answers.on_move(services, tx, row, person)
    ledger.shift_open(tx, before, -1)
    ledger.shift_open(tx, person, 1)
    held.announce(services, tx)
    return True


def _mirrored(services: Services, tx: Transaction, news: News, event: CrmEvent, binding: Bound | None) -> bool:
    before = news.mirrored.get(_name(event))
    if before is not None and before.changed_at >= event.occurred_at:
        return False
    row = _mirror_row(news.connection, event, before)
    news.mirrored[_name(event)] = news.changed[_name(event)] = row
    if _is_echo(event.record, before, binding) and not _ticked_since(row.fields, binding):
        return False
    facts = _facts(news.connection, event, before, row, binding)
    if facts:
        # What follows from a fact reads the mirror.
        _store_changed(tx, news)
    for fact in facts:
        if events.put(tx, fact):
            followups.on_event(services, tx, fact)
            answers.on_event(services, tx, fact)
    return True


def _mirror_row(connection: str, event: CrmEvent, before: MirrorRow | None) -> MirrorRow:
    fields = dict(event.record.fields) if event.record else dict(before.fields if before else {})
    return MirrorRow(
        connection=connection,
        object_type=str(event.ref.object_type),
        record_id=event.ref.id,
        email=str(fields.get("email") or "").casefold(),
        phone=str(fields.get("phone") or ""),
        domain=str(fields.get("domain") or "").casefold(),
        owner=str(fields.get("owner") or ""),
        open=str(fields.get("status") or fields.get("stage") or "open") not in (*CLOSED_LEAD, "won", "lost", "done"),
        fields=fields,
        changed_at=event.occurred_at,
        deleted=event.type is EventType.RECORD_DELETED,
    )


def _facts(
    connection: str, event: CrmEvent, before: MirrorRow | None, after: MirrorRow, binding: Bound | None
) -> list[Event]:
    """Name what happened in canonical events, from the difference between two states of a record."""
    old = before.fields if before else {}
    new = after.fields
    found: list[str] = []
    match event.ref.object_type:
        case ObjectType.DEAL:
            stage = new.get("stage")
            if stage != old.get("stage") and stage in ("won", "lost"):
                found.append(f"opportunity.{stage}")
            if new.get("delivered_at") and not old.get("delivered_at"):
                found.append("order.delivered")
        case ObjectType.CALL if before is None:
            found.append("call.logged")
        case ObjectType.TASK:
            if new.get("status") != old.get("status", "open") or _ticked_since(new, binding):
                found.append("task.completed" if new.get("status") == "done" else "task.reopened")
        case _:
            pass
    attributes = dict(new) | ({"key": binding.key} if binding else {})
    return [_event(connection, name, event, attributes, event.occurred_at) for name in found]


def _ticked_since(fields: Mapping[str, object], binding: Bound | None) -> bool:
    """Tell a task that is done although we wrote last that it is not.

    Events that overtake each other, and a change feed that shows the newest state alone, hide our own
    reopening between two ticks.
    """
    done = fingerprint({"status": "done"})["status"]
    return fields.get("status") == "done" and binding is not None and binding.written.get("status", done) != done


def _event(connection: str, name: str, event: CrmEvent, attributes: dict[str, object], at: datetime) -> Event:
    return Event(
        type=name,
        source=connection,
        source_id=f"{event.ref.object_type}:{event.ref.id}@{at.isoformat()}",
        object_type=str(event.ref.object_type),
        record_id=event.ref.id,
        occurred_at=at,
        attributes=attributes,
    )


def _status(record: Record | None) -> str:
    return str(record.fields.get("status") or "") if record else ""
