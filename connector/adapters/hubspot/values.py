"""HubSpot keeps every value as text: ours written so, and read back as what they are. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from connector.adapters.mapping import instant
from connector.errors import InvalidRecord
from connector.model.crm import Value

_INTEGERS = frozenset({"open_mandatory", "overdue", "score"})
_MILLISECONDS = 1000

#: What else HubSpot's own options mean to us: read, never written.
_ALSO: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "hs_lead_status": {
            "OPEN": "NEW",
            "ATTEMPTED_TO_CONTACT": "IN_PROGRESS",
            "CONNECTED": "IN_PROGRESS",
            "BAD_TIMING": "UNQUALIFIED",
        },
        "hs_task_status": {"IN_PROGRESS": "NOT_STARTED", "WAITING": "NOT_STARTED", "DEFERRED": "NOT_STARTED"},
    }
)
_TIMES = frozenset(
    {
        "hs_timestamp",
        "closedate",
        "hearback_response_due",
        "hearback_delivered_at",
        "hearback_feedback_at",
        "hearback_attainment_as_of",
    }
)


def outward(properties: Mapping[str, Value]) -> dict[str, str]:
    """Return properties as the texts HubSpot takes: "" clears one, null is refused.

    Raises:
        InvalidRecord: a text is no UTF-8.
    """
    return {name: _text(name, value) for name, value in properties.items()}


def _text(name: str, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _TIMES:
        return _time(instant(str(value)))
    text = str(value)
    if _is_writable(text):
        return text
    raise InvalidRecord(f"{name}: a text cannot be written as UTF-8", fields=(name,))


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def inward(properties: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return properties with empty ones as None, times as ISO 8601 and HubSpot's further options as those we know."""
    return {name: _known(name, text) if text else None for name, text in properties.items()}


def _known(name: str, text: str) -> str | None:
    if name in _TIMES:
        at = moment(text)
        return at.isoformat() if at else None
    return _ALSO.get(name, {}).get(text, text)


def moment(text: str) -> datetime | None:
    """Read a time as HubSpot writes it: ISO 8601, milliseconds, or a day, which is midnight UTC; else None."""
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text) / _MILLISECONDS, tz=UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def canonical(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Return canonical fields with numbers as numbers; a call's length in seconds."""
    read = dict(fields)
    for name in _INTEGERS & read.keys():
        read[name] = _integer(read[name])
    if "seconds" in read:
        length = _integer(read["seconds"])
        read["seconds"] = length // _MILLISECONDS if length is not None else None
    return read


def _integer(value: Value) -> int | None:
    try:
        return int(float(str(value))) if value is not None else None
    except (ValueError, OverflowError):
        return None
