"""Our field names against a CRM's, read from a mapping.yaml, and applied both ways."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from connector.errors import ConfigurationError, InvalidRecord
from connector.model.crm import ObjectType, Record, RecordRef, Upsert, Value


@dataclass(frozen=True, slots=True)
class VendorField:
    """A field as the CRM calls it, how it writes our closed values, and whether it holds a time."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    time: bool = False

    def __post_init__(self) -> None:
        if len(set(self.values.values())) != len(self.values):
            raise ConfigurationError(f"{self.name}: two of our values have one name in the CRM: give each its own")


class ObjectMapping:
    """One object type: translates commands to vendor fields and records back."""

    def __init__(self, name: str, *, key_field: str | None, fields: Mapping[str, VendorField]) -> None:
        self.name = name
        self.key_field = key_field
        self._fields = fields
        self._back = [
            (ours, theirs.name, {v: k for k, v in theirs.values.items()}, theirs.time)
            for ours, theirs in fields.items()
        ]

    @property
    def vendor_names(self) -> list[str]:
        """Return the CRM's names of all mapped fields, the key's too."""
        return [theirs.name for theirs in self._fields.values()] + ([self.key_field] if self.key_field else [])

    def to_vendor(self, command: Upsert) -> dict[str, Value]:
        """Return the command's fields in the CRM's words.

        Raises:
            InvalidRecord: fields the mapping lacks, values outside a closed set, or times without a zone.
        """
        unknown = command.fields.keys() - self._fields.keys()
        if unknown:
            raise InvalidRecord(
                f"{self.name}: no mapping for {', '.join(sorted(unknown))}: map them, or pass vendor_fields",
                fields=sorted(unknown),
            )
        written: dict[str, Value] = {}
        for ours, value in command.fields.items():
            theirs = self._fields[ours]
            written[theirs.name] = _outward(ours, theirs, value) if theirs.values or theirs.time else value
        written.update(command.vendor_fields)
        return written

    def to_canonical(self, vendor: Mapping[str, Any]) -> dict[str, Value]:
        """Return every canonical field of a record; None where the CRM holds nothing.

        A value outside a closed set stays as the CRM writes it: admins add values, and that is no error.
        """
        canonical: dict[str, Value] = {}
        for ours, theirs, values, is_time in self._back:
            value = vendor.get(theirs)
            if value is not None and values:
                value = values.get(value, value)
            elif value is not None and is_time:
                value = instant(str(value)).isoformat()
            canonical[ours] = value
        return canonical

    def record(self, ref: RecordRef, vendor: Mapping[str, Any], updated_at: str | None) -> Record:
        """Return a record as the CRM showed it."""
        key = vendor.get(self.key_field) if self.key_field else None
        at = instant(updated_at) if updated_at else None
        return Record(ref, self.to_canonical(vendor), at, key if isinstance(key, str) else "")


def instant(text: str) -> datetime:
    """Read an ISO 8601 time with a zone, as UTC.

    Raises:
        ValueError: it is none, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def _outward(ours: str, theirs: VendorField, value: Value) -> Value:
    if value is None:
        return None
    if theirs.time:
        return _time_outward(ours, value)
    if value not in theirs.values:
        allowed = ", ".join(theirs.values)
        raise InvalidRecord(f"{ours} takes one of: {allowed}", fields=(ours,))
    return theirs.values[str(value)]


def _time_outward(ours: str, value: Value) -> str:
    try:
        return instant(str(value)).isoformat()
    except ValueError:
        pass
    raise InvalidRecord(f"{ours} takes an ISO 8601 time with a zone", fields=(ours,))


@cache
def shipped_mapping(package: str) -> Mapping[ObjectType, ObjectMapping]:
    """Return the mapping.yaml an adapter's package ships.

    Raises:
        ConfigurationError: the file does not say what it must.
    """
    text = files(package).joinpath("mapping.yaml").read_text("utf-8")
    return read_mapping(text, f"{package}: mapping.yaml")


def read_mapping(text: str, place: str) -> Mapping[ObjectType, ObjectMapping]:
    """Read a mapping; `place` names it in complaints.

    Raises:
        ConfigurationError: the text does not say what it must.
    """
    document = YAML(typ="safe", pure=True).load(text)
    try:
        return {ObjectType(name): _object(entry) for name, entry in document.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise ConfigurationError(f"{place}: each object type has `object` and `fields`: {err}") from err


def _object(entry: Mapping[str, Any]) -> ObjectMapping:
    fields = {ours: _field(theirs) for ours, theirs in entry["fields"].items()}
    return ObjectMapping(str(entry["object"]), key_field=entry.get("key"), fields=fields)


def _field(entry: str | Mapping[str, Any]) -> VendorField:
    if isinstance(entry, str):
        return VendorField(entry)
    return VendorField(entry["name"], values=entry.get("values", {}), time=entry.get("time", False))
