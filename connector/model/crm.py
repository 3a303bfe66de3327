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

    `record` is known from the binding after the first write. Where a lead was linked to a contact or converted (the
    `ref` of a `WriteResult` said so) it is of that other type: what has a place there is written there. `trace` is the
    command's id, echoed by CRMs that can, so that both logs can be laid side by side. `vendor_fields` pass through
    unmapped. Link fields (`lead`, `deal`, `owner`) hold record ids of the CRM. `campaign` is the id of one of the CRM's
    campaigns, which the record joins; a member stays one, and an adapter whose CRM has no memberships leaves it be.
    `doubtful`: an earlier attempt had no answer and `find` saw nothing; where `find` may lag behind, look once more.
    """

    object_type: ObjectType
    key: str
    fields: Mapping[str, Value]
    record: RecordRef | None = None
    trace: str = ""
    vendor_fields: Mapping[str, Value] = field(default_factory=dict)
    campaign: str = ""
    doubtful: bool = False


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
    #: Deleted because the person asked to be forgotten.
    RECORD_ERASED = "record.erased"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CrmEvent:
    """A fact from a CRM. `id` is the CRM's own event id; `record` is the state after the fact.

    `record` is None where the record is gone, or where the CRM sends ids only: a changed one is then read again
    before anything follows from it. A `record` with another `ref` than the event's: the CRM merged the event's
    record into that one, or converted it.
    """

    id: str
    type: EventType
    ref: RecordRef
    occurred_at: datetime
    record: Record | None = None

    @property
    def is_gone(self) -> bool:
        """Tell whether the record is there no more."""
        return self.type in (EventType.RECORD_DELETED, EventType.RECORD_ERASED)


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """Which CRM account a connection reaches, and what is wrong with it in an admin's words."""

    account: str
    api_version: str
    problems: tuple[str, ...] = ()


class PartState(StrEnum):
    """How a part we need in a CRM is found there."""

    PRESENT = "present"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Part:
    """Something of ours a CRM must hold. `name` is the CRM's, `what` is for an admin: "text field of leads: our key".

    `remedy` says who must do what, by hand, where the API cannot; "" where `install` does it. `found` says how a part
    that differs is now.
    """

    name: str
    what: str
    state: PartState
    remedy: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """The CRM's own count of our calls: `used` of `limit` in a window, such as "24 hours"."""

    used: int
    limit: int
    window: str
