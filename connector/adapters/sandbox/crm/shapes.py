"""The objects of the sandbox CRM: their fields, what each accepts, which must be there."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

#: A check answers whether the field takes the value.
Check = Callable[[object], bool]

KEY_FIELD = "x_hearback_key"
_CUSTOM = re.compile(r"x_[a-z][a-z0-9_]{0,60}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_MONEY = re.compile(r"-?\d{1,16}(\.\d{1,4})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _text(limit: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= limit and "\0" not in value


def _matching(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _choice(*allowed: str) -> Check:
    return lambda value: value in allowed


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def is_custom(value: object) -> bool:
    """Tell whether a custom field takes the value: any scalar."""
    return isinstance(value, (bool, int)) or _LONG(value)


_SHORT = _text(255)
_LONG = _text(32_000)
_REFERENCE = _matching(ID)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of record.

    `references` maps link fields to the object they point at, `defaults` fill a new record, `keyed` objects
    have a unique key.
    """

    object: str
    prefix: str
    fields: Mapping[str, Check]
    required: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str | bool] = field(default_factory=dict)
    keyed: bool = False

    def check_of(self, name: str) -> Check | None:
        """Return the check of a standard or custom field, None for a field this object lacks."""
        if name in self.fields:
            return self.fields[name]
        return is_custom if _CUSTOM.fullmatch(name) else None


def _shape(
    name: str,
    prefix: str,
    *,
    required: tuple[str, ...] = (),
    references: Mapping[str, str] | None = None,
    defaults: Mapping[str, str | bool] | None = None,
    keyed: bool = False,
    **fields: Check,
) -> Shape:
    links = references or {}
    checks = fields | dict.fromkeys(links, _REFERENCE)
    return Shape(name, prefix, checks, required=required, references=links, defaults=defaults or {}, keyed=keyed)


SHAPES: Mapping[str, Shape] = {
    shape.object: shape
    for shape in (
        _shape(
            "users",
            "us",
            required=("Name", "Email"),
            defaults={"IsActive": True},
            Name=_SHORT,
            Email=_SHORT,
            IsActive=_is_flag,
        ),
        _shape(
            "leads",
            "ld",
            keyed=True,
            references={"OwnerId": "users"},
            defaults={"Status": "New"},
            FirstName=_SHORT,
            LastName=_SHORT,
            Email=_matching(_EMAIL),
            Phone=_text(40),
            Company=_SHORT,
            Title=_SHORT,
            Street=_SHORT,
            PostalCode=_text(20),
            City=_SHORT,
            State=_SHORT,
            CountryCode=_text(2),
            Description=_LONG,
            Product=_SHORT,
            Status=_choice("New", "Working", "Converted", "Closed"),
            LeadSource=_SHORT,
            Campaign=_SHORT,
            Language=_text(20),
        ),
        _shape(
            "contacts",
            "ct",
            required=("LastName",),
            references={"OwnerId": "users", "AccountId": "accounts"},
            FirstName=_SHORT,
            LastName=_SHORT,
            Email=_matching(_EMAIL),
            Phone=_text(40),
        ),
        _shape(
            "accounts",
            "ac",
            required=("Name",),
            references={"OwnerId": "users"},
            Name=_SHORT,
            Domain=_SHORT,
            Phone=_text(40),
        ),
        _shape(
            "deals",
            "dl",
            keyed=True,
            required=("Name",),
            references={"OwnerId": "users", "LeadId": "leads", "ContactId": "contacts"},
            defaults={"StageName": "Open"},
            Name=_SHORT,
            Amount=_matching(_MONEY),
            CurrencyCode=_matching(_CURRENCY),
            StageName=_choice("Open", "Won", "Lost"),
            ClosedAt=_is_time,
            DeliveredAt=_is_time,
        ),
        _shape(
            "tasks",
            "tk",
            required=("Subject",),
            references={"OwnerId": "users", "LeadId": "leads", "DealId": "deals"},
            defaults={"Status": "Open"},
            Subject=_SHORT,
            Body=_LONG,
            Status=_choice("Open", "Done"),
            DueAt=_is_time,
            Comment=_LONG,
        ),
        _shape(
            "calls",
            "cl",
            references={"UserId": "users", "LeadId": "leads", "DealId": "deals"},
            defaults={"Source": "Manual"},
            DurationSeconds=_is_count,
            Direction=_choice("Inbound", "Outbound"),
            OccurredAt=_is_time,
            Source=_choice("System", "Manual"),
        ),
    )
}
