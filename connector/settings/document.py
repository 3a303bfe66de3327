"""Settings as a plain document and back: what is published, hashed and read by every worker."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from connector.model import ruleset_document
from connector.model.canonical import canonical, digest
from connector.model.routing import RuleSet
from connector.settings.values import Settings

SCHEMA = "settings/1"


def to_document(settings: Settings) -> dict[str, Any]:
    """Return the settings as JSON-ready data: no secrets, no floats, defaults and the hash left out."""
    return {"schema": SCHEMA, **_plain(settings)}


def build(document: Mapping[str, Any]) -> Settings:
    """Rebuild the settings a document describes; their hash is the document's.

    Raises:
        ValueError: the document is of a schema this code does not know.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(f"settings of schema {document.get('schema')!r}: this version reads {SCHEMA!r}")
    values = {name: value for name, value in document.items() if name != "schema"}
    settings: Settings = _value(Settings, values)
    return replace(settings, hash=digest(canonical(document)))


def _plain(value: Any) -> Any:
    if isinstance(value, RuleSet):
        return ruleset_document.to_document(value)
    if is_dataclass(value):
        each = ((field.name, getattr(value, field.name), field) for field in fields(value))
        return {name: _plain(part) for name, part, field in each if part != _default(field)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, StrEnum | Decimal) else value


def _default(field: "Field[Any]") -> Any:
    if field.name == "hash":
        return ""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _value(hint: Any, data: Any) -> Any:
    if data is None:
        return None
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _value(next(each for each in inner if each is not NoneType), data)
    if origin is tuple:
        return tuple(_value(inner[0], part) for part in data)
    if origin is Mapping:
        return {key: _value(inner[1], part) for key, part in data.items()}
    return _single(hint, data)


def _single(hint: type[Any], data: Any) -> Any:
    if hint is RuleSet:
        return ruleset_document.from_document(data)
    if is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _value(hints[name], part) for name, part in data.items()})
    if hint is datetime:
        return datetime.fromisoformat(data)
    if hint is date:
        return date.fromisoformat(data)
    return hint(data) if issubclass(hint, StrEnum | Decimal) else data


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
