"""What we want a CRM to hold, what it holds, and what it tells us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: A canonical field value. Money is text with a dot ("1200.00") beside its currency field; times are ISO 8601 UTC.
Value = str | int | bool | None


class ObjectType(StrEnum):
    """The kinds of record we touch."""

    LEAD = "lead"
    CONTACT = "contact"
    ACCOUNT = "account"
    DEAL = "deal"
    TASK = "task"
    USER = "user"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class RecordRef:
    """Where a record lives."""

    object_type: ObjectType
    id: str


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the CRM holds it, in canonical fields. `key` is ours, where the record carries one."""

    ref: RecordRef
    fields: Mapping[str, Value]
    updated_at: datetime | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of the CRM who may own records."""

    id: str
    name: str
    email: str
    active: bool


@dataclass(frozen=True, slots=True)
class Upsert:
    """Hold these values under our key. Fields not named stay as they are.

    `record` is known from the binding after the first write; `trace` is the command's id, echoed by
    CRMs that can, so that both logs can be laid side by side. `vendor_fields` pass through unmapped.
    Link fields (`lead`, `deal`, `owner`) hold record ids of the CRM.
    """

    object_type: ObjectType
    key: str
    fields: Mapping[str, Value]
    record: RecordRef | None = None
    trace: str = ""
    vendor_fields: Mapping[str, Value] = field(default_factory=dict)


class Outcome(StrEnum):
    """How a write ended well."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    LINKED = "linked"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class WriteResult:
    """One command's good end. LINKED: the CRM already had this person; MOVED: it was merged or converted."""

    ref: RecordRef
    outcome: Outcome


class EventType(StrEnum):
    """Facts a CRM reports, past tense; anything new is UNKNOWN, kept and counted."""

    RECORD_CHANGED = "record.changed"
    RECORD_DELETED = "record.deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CrmEvent:
    """A fact from a CRM. `id` is the CRM's own event id; `record` is the state after the fact.

    `record` is None where the CRM sends ids only, or the record is gone.
    """

    id: str
    type: EventType
    ref: RecordRef
    occurred_at: datetime
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """Which CRM account a connection reaches, and what is wrong with it in an admin's words."""

    account: str
    api_version: str
    problems: tuple[str, ...] = ()
