"""What happened in a CRM, in canonical events, from the difference between two states of a record. Pure."""

from collections.abc import Mapping
from datetime import datetime

from connector.flows.deliver import fingerprint
from connector.model.crm import CrmEvent, ObjectType
from connector.store.events import Event
from connector.store.mirror import MirrorRow
from connector.store.sync import Bound

CLOSED_LEAD = frozenset(("closed", "converted"))


def mirror_row(connection: str, event: CrmEvent, before: MirrorRow | None) -> MirrorRow:
    """Return the mirror's row of a record after an event; one that is gone keeps what was known of it."""
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
        deleted=event.is_gone,
    )


def facts_of(
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
            if new.get("status") != old.get("status", "open") or ticked_since(new, binding):
                found.append("task.completed" if new.get("status") == "done" else "task.reopened")
        case _:
            pass
    attributes = dict(new) | ({"key": binding.key} if binding else {})
    return [_event(connection, name, event, attributes, event.occurred_at) for name in found]


def ticked_since(fields: Mapping[str, object], binding: Bound | None) -> bool:
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
