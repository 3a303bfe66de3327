"""Our own API: one lead as a strict JSON object. Every fault of a body is reported at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import FIELDS, Consent, Submission
from connector.model.text import clean
from connector.sources.base import Reading, Source
from connector.sources.bodies import MAX_VALUE_BYTES, json_document, json_pairs, media_type, within_caps
from connector.sources.placing import JOINER, Placed, key_text

FieldFault = tuple[str, str]
_NEEDS_ONE_OF = ("email", "phone", "last_name", "full_name", "company")
_TEXTS = tuple(name for name in FIELDS if name != "employees")
_MOST_EMPLOYEES = 2**31 - 1
# Beyond this a number with a point or an exponent is no id anybody wrote.
_MOST_WHOLE = 2**63

_TEXT_MESSAGES: dict[str, Any] = {"invalid": "must be text", "null": "must be text", "required": "is missing"}
_FLAG_MESSAGES: dict[str, Any] = {"required": "is missing", "null": "must be true or false"}
_CONSENT_MESSAGES = {"unknown": "is not a field of a consent", "type": "must be an object"}
_BODY_MESSAGES = {"type": "must be a JSON object"}


#: The longest name of a purpose, in characters as they were sent.
MOST_PURPOSE = 100
_PURPOSE_LENGTH = f"must have 1 to {MOST_PURPOSE} characters"


class InvalidLead(UnreadableDelivery):
    """A JSON body breaks the API's contract; `faults` names every field and what to do."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("the lead is not valid: " + ", ".join(name or "body" for name, _ in faults))
        self.faults = tuple(faults)


class _Text(fields.String):
    default_error_messages = _TEXT_MESSAGES

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = clean(super()._deserialize(value, *args, **kwargs))
        if len(text.encode()) > MAX_VALUE_BYTES:
            raise ValidationError(f"must be at most {MAX_VALUE_BYTES} bytes")
        return text


class _Purpose(_Text):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        # As it was sent: a schema counts what is removed too.
        if isinstance(value, str) and len(value) > MOST_PURPOSE:
            raise ValidationError(_PURPOSE_LENGTH)
        return super()._deserialize(value, *args, **kwargs)


class _Flag(fields.Field[bool]):
    default_error_messages = _FLAG_MESSAGES

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


def _whole(value: Any) -> Any:
    """Write 25.0 as 25, for JSON does not tell them apart."""
    if isinstance(value, Decimal) and abs(value) < _MOST_WHOLE and value == value.to_integral_value():
        return int(value)
    return value


class _Id(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        value = _whole(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValidationError("must be text or a whole number")
        try:
            return clean(str(value))
        except ValueError as err:
            raise ValidationError("must have fewer digits") from err


class _Count(fields.Field[int]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        value = _whole(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_EMPLOYEES:
            raise ValidationError(f"must be a whole number from 0 to {_MOST_EMPLOYEES}")
        return value


class _Instant(fields.Field[datetime]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            read = datetime.fromisoformat(value)
        except (TypeError, ValueError) as err:
            raise ValidationError("must be an ISO 8601 time") from err
        if read.tzinfo is None:
            raise ValidationError("must state its offset from UTC, as in 2026-09-16T12:00:00Z")
        return read


class _ConsentSchema(Schema):
    error_messages = _CONSENT_MESSAGES
    purpose = _Purpose(required=True, validate=validate.Length(1, error=_PURPOSE_LENGTH))
    given = _Flag(required=True)
    text = _Text(load_default="")


def _texts() -> fields.Dict:
    return fields.Dict(keys=_Text(), values=_Text(), allow_none=True, error_messages={"invalid": "must be an object"})


class _OpenSchema(Schema):
    class Meta:
        unknown = INCLUDE

    error_messages = _BODY_MESSAGES


#: The body of `POST /api/v1/leads`; fields it does not know are kept as custom ones.
LeadSchema = _OpenSchema.from_dict(
    {
        **{name: _Text(allow_none=True) for name in _TEXTS},
        "employees": _Count(allow_none=True),
        "external_id": _Id(allow_none=True),
        "occurred_at": _Instant(allow_none=True),
        "test": _Flag(),
        "custom": _texts(),
        "attribution": _texts(),
        "consents": fields.List(
            fields.Nested(_ConsentSchema), allow_none=True, error_messages={"invalid": "must be a list"}
        ),
    },
    name="LeadSchema",
)

_SCHEMA = LeadSchema()
_KNOWN = frozenset(_SCHEMA.fields)


def read_lead(body: bytes) -> dict[str, Any]:
    """Validate a body.

    Raises `InvalidLead` with every fault at once, `UnreadableDelivery` when it is not JSON at all.
    """
    try:
        lead: dict[str, Any] = _SCHEMA.load(json_document(body))
    except ValidationError as err:
        raise InvalidLead(list(_faults(err.messages))) from err
    if not any((lead.get(name) or "").strip() for name in _NEEDS_ONE_OF):
        raise InvalidLead([("", f"give at least one of {', '.join(_NEEDS_ONE_OF)}")])
    return lead


def _faults(messages: Any, path: str = "") -> list[FieldFault]:
    if not isinstance(messages, dict):
        return [(path, str(message)) for message in messages]
    found = []
    for name, inner in messages.items():
        found += _faults(inner, _path(path, name))
    return found


def _path(path: str, name: Any) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    # marshmallow's own words for "the whole object" and for the value under a free key.
    if name in ("_schema", "key", "value"):
        return path
    return f"{path}.{name}" if path else str(name)


class ApiSource(Source):
    """Reads leads that programs post to our own API."""

    kind: ClassVar[str] = "api"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: the door has compared the bearer key, which is never stored."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one lead of a body."""
        if media_type(delivery.content_type)[0] != "application/json":
            raise UnreadableDelivery("the content type is not application/json")
        lead = read_lead(delivery.body)
        placed = _placed(lead, reading)
        return [placed.submission(reading, occurred_at=lead.get("occurred_at"))]


def _placed(lead: Mapping[str, Any], reading: Reading) -> Placed:
    placed = Placed(lead_key=key_text(lead.get("external_id") or ""), is_test=lead.get("test", False))
    for name in FIELDS:
        value = lead.get(name)
        if value is not None and (text := str(value).strip()):
            placed.put(name, name, [text])
    placed.attribution = dict(lead.get("attribution") or {})
    placed.consents = [Consent(**consent) for consent in lead.get("consents") or ()]
    for name, value in _others(lead):
        placed.put(name, reading.mapping.get(name), [value])
    return placed


def _others(lead: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return custom and unknown fields with a value, several values of one name joined."""
    unknown = {name: value for name, value in lead.items() if name not in _KNOWN}
    merged: dict[str, list[str]] = {}
    for name, value in within_caps([*(lead.get("custom") or {}).items(), *json_pairs(unknown)]):
        if text := value.strip():
            merged.setdefault(name, []).append(text)
    return [(name, JOINER.join(values)) for name, values in merged.items()]
