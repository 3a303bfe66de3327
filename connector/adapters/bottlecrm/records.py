"""A record as BottleCRM writes it, flat for the mapping, and back."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from connector.adapters.mapping import ObjectMapping, instant
from connector.errors import InvalidRecord
from connector.model.crm import ObjectType, Record, RecordRef, Upsert, Value

CUSTOM = "custom_fields."
KEY = "hearback_key"
#: Tasks are given no id when they are made: those of one call carry this, so that one look finds them all.
BATCH = "hearback_batch"

_LONGEST_TITLE = 200
_DUE = f"{CUSTOM}hearback_due"
_DELIVERED = f"{CUSTOM}hearback_delivered_on"
_DAYS = {ObjectType.DEAL: ("closed_on", _DELIVERED)}
_NEVER_NULL = ("source_detail", "source_ref")
_LINKS = ("lead", "opportunity", "account", "logged_by")
#: What a person says of a call; everything else was written by a system.
_BY_HAND = ("manual", "phone_tap")

Body = dict[str, Any]


def body_of(command: Upsert, mapping: ObjectMapping, zone: ZoneInfo) -> Body:
    """Return what is sent for a command's fields, without the key.

    Raises:
        InvalidRecord: a field or a value BottleCRM has no place for.
    """
    flat = dict(mapping.to_vendor(command))
    _check_texts(command)
    if command.object_type is ObjectType.TASK:
        _to_task(flat, zone)
    if command.object_type is ObjectType.DEAL:
        _to_deal(flat, zone)
    flat |= {name: "" for name in _NEVER_NULL if name in flat and flat[name] is None}
    if "assigned_to" in flat:
        flat["assigned_to"] = [flat["assigned_to"]] if flat["assigned_to"] else []  # type: ignore[assignment] # JSON now
    return _nested(flat)


def record_of(ref: RecordRef, row: Mapping[str, Any], mapping: ObjectMapping, zone: ZoneInfo) -> Record:
    """Return a record as BottleCRM shows it, in a list or alone.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is not what BottleCRM sends.
    """
    flat: dict[str, Any] = {**row, **{CUSTOM + name: value for name, value in (row.get("custom_fields") or {}).items()}}
    flat["assigned_to"] = _first(row.get("assigned_to"))
    flat |= {name: _link(row[name]) for name in _LINKS if name in row}
    flat |= {name: _tidy(value) for name, value in flat.items()}
    match ref.object_type:
        case ObjectType.TASK:
            _from_task(flat, zone)
        case ObjectType.DEAL:
            flat["contacts"] = _first(row.get("contacts"))
            flat |= {name: _opening(flat[name], zone) for name in _DAYS[ObjectType.DEAL] if flat.get(name)}
        case ObjectType.CALL:
            flat["origin"] = "manual" if row["origin"] in _BY_HAND else "system"
        case ObjectType.ACCOUNT:
            flat["website"] = _host(row.get("website"))
        case ObjectType.USER:
            flat |= {"name": row["user_details"]["name"], "email": row["user_details"]["email"]}
        case _:
            pass
    return mapping.record(ref, flat, row.get("updated_at"))


def _to_task(flat: Body, zone: ZoneInfo) -> None:
    due = flat.get(_DUE)
    if _DUE in flat:
        flat["due_date"] = instant(str(due)).astimezone(zone).date().isoformat() if due else None
    if flat.get("title"):
        flat["title"] = _cut(str(flat["title"]))
    if flat.get("lead") and flat.get("opportunity"):
        raise InvalidRecord("a task of BottleCRM belongs to a lead or to a deal, not to both", fields=("lead", "deal"))


def _to_deal(flat: Body, zone: ZoneInfo) -> None:
    for name in _DAYS[ObjectType.DEAL]:
        if flat.get(name):
            flat[name] = instant(str(flat[name])).astimezone(zone).date().isoformat()
    if "contacts" in flat:
        flat["contacts"] = [flat["contacts"]] if flat["contacts"] else []


def _from_task(flat: Body, zone: ZoneInfo) -> None:
    """A day that is not the instant's was set by a person: due is then that day's end."""
    day, due = flat.get("due_date"), flat.get(_DUE)
    if not day:
        flat[_DUE] = None
    elif not due or instant(str(due)).astimezone(zone).date().isoformat() != day:
        flat[_DUE] = datetime.combine(date.fromisoformat(str(day)), time(23, 59), zone).isoformat()
    if flat.get("status") == "In Progress":
        # Begun, and as open as before.
        flat["status"] = "New"


def _nested(flat: Body) -> Body:
    body = {name: value for name, value in flat.items() if not name.startswith(CUSTOM)}
    custom = {name.removeprefix(CUSTOM): value for name, value in flat.items() if name.startswith(CUSTOM)}
    return body | ({"custom_fields": custom} if custom else {})


def _first(people: object) -> Value:
    """Return the first of those in a list, by id. BottleCRM keeps no order: of several the smallest id."""
    if not isinstance(people, list) or not people:
        return None
    return min(str(each["id"]) for each in people)


def _link(value: object) -> Value:
    return str(value["id"]) if isinstance(value, dict) else (str(value) if value else None)


def _tidy(value: Any) -> Any:
    """Its number fields hold 9.0 where 9 was written, and its empty texts are no value."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "" else value


def _opening(day: object, zone: ZoneInfo) -> str:
    return datetime.combine(date.fromisoformat(str(day)), time(), zone).isoformat()


def _host(website: object) -> Value:
    """Return the domain of a website, which people write in many ways."""
    text = str(website or "").strip().casefold().partition("://")
    host = (text[2] or text[0]).partition("/")[0].removeprefix("www.")
    return host or None


def _cut(title: str) -> str:
    return title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"


def _check_texts(command: Upsert) -> None:
    wrong = [name for name, value in command.fields.items() if isinstance(value, str) and "\x00" in value]
    if wrong:
        raise InvalidRecord("a text holds a null character, which BottleCRM cannot store", fields=wrong)
