"""What one HubSpot account holds, and the rules it holds it by."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hubspot_server.refusals import Refused, invalid, not_found

STAGES = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer")
LEAD_STATUS = (
    "NEW",
    "OPEN",
    "IN_PROGRESS",
    "OPEN_DEAL",
    "UNQUALIFIED",
    "ATTEMPTED_TO_CONTACT",
    "CONNECTED",
    "BAD_TIMING",
)
#: Standard properties: name -> type, with options of enumerations.
STANDARD: Mapping[str, Mapping[str, Any]] = {
    "contacts": {
        **dict.fromkeys(
            ["firstname", "lastname", "phone", "company", "jobtitle", "address", "zip", "city", "state", "country"],
            "string",
        ),
        "email": "string",
        "lifecyclestage": STAGES,
        "hs_lead_status": LEAD_STATUS,
        "hs_merged_object_ids": "string",
    },
    "companies": dict.fromkeys(["name", "domain", "phone"], "string"),
    "deals": {
        **dict.fromkeys(["dealname", "pipeline", "dealstage", "deal_currency_code"], "string"),
        "amount": "number",
        "closedate": "datetime",
    },
    "tasks": {
        "hs_task_subject": "string",
        "hs_task_body": "string",
        "hs_task_status": ("NOT_STARTED", "IN_PROGRESS", "WAITING", "COMPLETED", "DEFERRED"),
        "hs_task_priority": ("NONE", "LOW", "MEDIUM", "HIGH"),
        "hs_task_type": ("TODO", "CALL", "EMAIL"),
        "hs_timestamp": "datetime",
    },
    "calls": {
        "hs_call_title": "string",
        "hs_call_duration": "number",
        "hs_call_direction": ("INBOUND", "OUTBOUND"),
        "hs_call_source": "string",
        "hs_timestamp": "datetime",
    },
    "leads": {"hs_lead_name": "string", "hs_pipeline": "string", "hs_pipeline_stage": "string"},
    "users": {"hs_job_title": "string", "hs_internal_user_id": "string"},
}
REQUIRED = {"tasks": ("hs_timestamp",), "leads": ("hs_lead_name",)}
#: HubSpot's own association types, as far as they are used: (from, to) -> number.
TYPES = {
    ("tasks", "contacts"): 204,
    ("tasks", "deals"): 216,
    ("tasks", "leads"): 647,
    ("leads", "contacts"): 578,
    ("deals", "contacts"): 3,
    ("calls", "contacts"): 194,
    ("calls", "deals"): 206,
    ("deals", "leads"): 583,
    ("calls", "leads"): 597,
    ("contacts", "companies"): 1,
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass
class Stored:
    """A record; `indexed` is what the search knows of it."""

    id: str
    properties: dict[str, str]
    created: datetime
    updated: datetime
    archived_at: datetime | None = None
    indexed: dict[str, str] | None = None


@dataclass
class Property:
    """A property's definition."""

    name: str
    type: str
    options: tuple[str, ...] = ()
    unique: bool = False
    ours: bool = False
    shown: dict[str, Any] = field(default_factory=dict)
    archived: bool = False


class Account:
    """One account. Methods without an underscore are its API's verbs, or levers of a test."""

    #: Show null for what was asked for and is not set; HubSpot's own description of its answers has text alone.
    shows_null = False

    def __init__(self, *, leads: bool = False, portal: int = 62515) -> None:
        self.portal = portal
        self.lock = threading.RLock()
        self.shift = timedelta()
        self.frozen: datetime | None = None
        #: How long the search does not see a change.
        self.search_lag = timedelta()
        self.objects: dict[str, dict[str, Stored]] = defaultdict(dict)
        self.links: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.merged: dict[tuple[str, str], str] = {}
        self.owners: list[dict[str, Any]] = []
        self.has = {"contacts", "companies", "deals", "tasks", "calls", "users"} | ({"leads"} if leads else set())
        self.definitions = {name: dict(_standard(name)) for name in STANDARD}
        self.groups: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.pipelines: dict[str, list[dict[str, Any]]] = {"deals": [_sales()], "leads": [_prospecting()]}
        #: Takes any owner and drops those it does not know, as a read-back must notice.
        self.drops_owners = False
        #: (object, property, value) -> what must then be set too, by an admin's rule.
        self.conditions: dict[tuple[str, str, str], str] = {}
        #: Objects whose properties an app may not define.
        self.fixed: set[str] = set()
        self._last = 50_000
        #: Who had which unique value, and may have lost it: not every record is read through for each write.
        self._unique: dict[tuple[str, str, str], set[str]] = defaultdict(set)

    # Levers.

    def now(self) -> datetime:
        at = (self.frozen or datetime.now(UTC)) + self.shift
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def add_owner(self, id_: str, name: str, email: str, *, archived: bool = False) -> None:
        first, _, last = name.partition(" ")
        stamp = "2024-01-02T03:04:05.678Z"
        self.owners.append(
            {
                "id": id_,
                "email": email,
                "type": "PERSON",
                "firstName": first,
                "lastName": last,
                "userId": int(id_) + 1,
                "userIdIncludingInactive": int(id_) + 1,
                "createdAt": stamp,
                "updatedAt": stamp,
                "archived": archived,
            }
        )

    def put(self, object_: str, **properties: str) -> str:
        """Have a person make a record; return its id."""
        with self.lock:
            return self._make(object_, dict(properties)).id

    def set(self, object_: str, id_: str, **properties: str) -> None:
        """Have a person change a record."""
        with self.lock:
            self._change(object_, self.objects[object_][id_], dict(properties))

    def archive(self, object_: str, id_: str) -> None:
        with self.lock:
            stored = self.objects[object_].get(id_)
            if stored and stored.archived_at is None:
                stored.archived_at = self.now()

    def purge(self, object_: str, id_: str) -> None:
        with self.lock:
            if self.objects[object_].pop(id_, None) is None:
                raise not_found("contact")

    def merge(self, object_: str, primary: str, other: str) -> str:
        """Have a person merge two records into a third id; empty values are filled from the other."""
        with self.lock:
            kept, gone = self.objects[object_].pop(primary), self.objects[object_].pop(other)
            both = {**gone.properties, **{name: value for name, value in kept.properties.items() if value}}
            both.pop("hs_object_id", None)
            both["hs_merged_object_ids"] = f"{primary};{other}"
            new = self._next()
            self.objects[object_][new] = self._stored(new, both)
            self._note_unique(object_, self.objects[object_][new])
            self.merged |= {(object_, primary): new, (object_, other): new}
            for (from_, to), pairs in self.links.items():
                if from_ == object_:
                    pairs[new] = [*pairs.pop(primary, []), *pairs.pop(other, [])]
                if to == object_:
                    for listed in pairs.values():
                        listed[:] = [new if id_ in (primary, other) else id_ for id_ in listed]
            return new

    def count(self, object_: str, **properties: str) -> int:
        living = [stored for stored in self.objects[object_].values() if stored.archived_at is None]
        return sum(all(s.properties.get(n) == v for n, v in properties.items()) for s in living)

    # Records.

    def get(self, object_: str, id_: str, id_property: str = "") -> Stored:
        self.known(object_)
        if id_property:
            found = self._by_unique(object_, id_property, id_)
        else:
            found = self.objects[object_].get(self.merged.get((object_, id_), id_))
        if found is None or found.archived_at is not None:
            raise not_found(object_)
        return found

    def known(self, object_: str) -> None:
        if object_ not in self.has:
            raise not_found(f"Unable to infer object type from: {object_}")

    def create(self, object_: str, properties: Mapping[str, Any], associations: Sequence[Mapping[str, Any]]) -> Stored:
        wanted = [self._association(object_, each) for each in associations]
        if object_ == "leads" and not any(to == "contacts" for to, _ in wanted):
            raise Refused(400, "VALIDATION_ERROR", "A lead must be associated with a contact or company")
        stored = self._make(object_, self._valid(object_, properties, None))
        for to, id_ in wanted:
            self.link(object_, stored.id, to, id_)
        return stored

    def update(self, object_: str, id_: str, properties: Mapping[str, Any]) -> Stored:
        stored = self.get(object_, id_)
        self._change(object_, stored, self._valid(object_, properties, stored))
        return stored

    def upsert(self, object_: str, id_property: str, id_: str, properties: Mapping[str, Any]) -> tuple[Stored, bool]:
        definition = self.definitions[object_].get(id_property)
        if definition is None or not definition.unique:
            raise Refused(400, "VALIDATION_ERROR", f"{id_property} is not a unique property")
        stored = self._by_unique(object_, id_property, id_)
        if stored is not None:
            self._change(object_, stored, self._valid(object_, properties, stored))
            return stored, False
        return self._make(object_, self._valid(object_, {**properties, id_property: id_}, None)), True

    def link(self, from_: str, id_: str, to: str, other: str) -> None:
        for one, first, two, second in ((from_, id_, to, other), (to, other, from_, id_)):
            listed = self.links[one, two][first]
            if second not in listed:
                listed.append(second)

    def linked(self, from_: str, to: str, id_: str) -> list[str]:
        living = self.objects[to]
        return [
            other
            for other in self.links[from_, to].get(id_, [])
            if other in living and living[other].archived_at is None
        ]

    def searchable(self, object_: str) -> Iterator[tuple[Stored, dict[str, str]]]:
        """Yield records as the search knows them: changes arrive after the lag."""
        seen_until = self.now() - self.search_lag
        for stored in self.objects[object_].values():
            if stored.updated <= seen_until:
                stored.indexed = dict(stored.properties)
            if stored.indexed is not None and stored.archived_at is None:
                yield stored, stored.indexed

    # Rules.

    def _association(self, object_: str, wanted: Mapping[str, Any]) -> tuple[str, str]:
        number = wanted["types"][0]["associationTypeId"]
        for (from_, to), type_ in TYPES.items():
            if from_ == object_ and type_ == number:
                id_ = str(wanted["to"]["id"])
                if id_ not in self.objects[to]:
                    raise Refused(400, "VALIDATION_ERROR", f"No {to} {id_} to associate with")
                return to, id_
        raise Refused(400, "VALIDATION_ERROR", f"Invalid association type {number}")

    def _valid(self, object_: str, properties: Mapping[str, Any], stored: Stored | None) -> dict[str, str]:
        written = {name: self._value(object_, name, value) for name, value in properties.items()}
        before = stored.properties if stored else {}
        for name in REQUIRED.get(object_, ()):
            if not {**before, **written}.get(name):
                raise invalid(name, "REQUIRED_FIELD", f'"{name}" is required')
        for (where, name, value), needed in self.conditions.items():
            if where == object_ and written.get(name) == value and not {**before, **written}.get(needed):
                raise invalid(needed, "CONDITIONAL_REQUIRED_PROPERTY", f'"{needed}" is required when {name} is {value}')
        self._check_unique(object_, written, stored)
        if self.drops_owners and written.get("hubspot_owner_id") and not self._owner(written["hubspot_owner_id"]):
            del written["hubspot_owner_id"]
        return written

    def _value(self, object_: str, name: str, value: Any) -> str:
        definition = self.definitions[object_].get(name)
        if definition is None or definition.archived:
            raise invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
        if not isinstance(value, str):
            raise Refused(400, "VALIDATION_ERROR", f"Invalid input JSON: {name} is not a string")
        if value == "":
            return value
        if definition.options and value not in definition.options:
            raise invalid(name, "INVALID_OPTION", f"{value} was not one of the allowed options: {definition.options}")
        if name == "email" and not _EMAIL.fullmatch(value):
            raise invalid(name, "INVALID_EMAIL", f"Email address {value} is invalid")
        if name == "hubspot_owner_id" and not self.drops_owners and not self._owner(value):
            raise invalid(name, "INVALID_OWNER_ID", f"Owner {value} does not exist")
        if name == "dealstage" and value not in {s["id"] for p in self.pipelines["deals"] for s in p["stages"]}:
            raise invalid(name, "INVALID_OPTION", f"{value} is no stage")
        return _typed(name, definition.type, value)

    def _owner(self, id_: str) -> bool:
        return any(owner["id"] == id_ and not owner["archived"] for owner in self.owners)

    def _check_unique(self, object_: str, written: Mapping[str, str], stored: Stored | None) -> None:
        unique = [name for name, each in self.definitions[object_].items() if each.unique]
        for name in unique:
            other = self._by_unique(object_, name, written[name]) if written.get(name) else None
            if other is not None and other is not stored:
                if name == "email":
                    raise Refused(409, "CONFLICT", f"Contact already exists. Existing ID: {other.id}")
                raise Refused(
                    409, "CONFLICT", f"{object_} with {name} {written[name]} already exists. Existing ID: {other.id}"
                )

    def _by_unique(self, object_: str, name: str, value: str) -> Stored | None:
        for id_ in self._unique[object_, name, value.casefold()]:
            stored = self.objects[object_].get(id_)
            if stored is None or stored.archived_at is not None:
                continue
            if stored.properties.get(name, "").casefold() == value.casefold():
                return stored
        return None

    def _note_unique(self, object_: str, stored: Stored) -> None:
        for name, value in stored.properties.items():
            definition = self.definitions[object_].get(name)
            if definition is not None and definition.unique:
                self._unique[object_, name, value.casefold()].add(stored.id)

    def _make(self, object_: str, properties: dict[str, str]) -> Stored:
        stored = self._stored(self._next(), properties)
        self.objects[object_][stored.id] = stored
        self._note_unique(object_, stored)
        self._stamp(object_, stored)
        return stored

    def _stored(self, id_: str, properties: dict[str, str]) -> Stored:
        at = self.now()
        stored = Stored(id_, {**properties, "hs_object_id": id_}, at, at)
        stored.properties |= {"lastmodifieddate": iso(at), "hs_lastmodifieddate": iso(at)}
        return stored

    def _change(self, object_: str, stored: Stored, properties: dict[str, str]) -> None:
        stage, before = properties.get("lifecyclestage"), stored.properties.get("lifecyclestage")
        if stage in STAGES and before in STAGES and STAGES.index(stage) < STAGES.index(before):
            # A stage only moves forward.
            properties = {name: value for name, value in properties.items() if name != "lifecyclestage"}
        changed = {name: value for name, value in properties.items() if stored.properties.get(name, "") != value}
        stored.properties |= properties
        self._note_unique(object_, stored)
        if changed:
            self._stamp(object_, stored)

    def _stamp(self, object_: str, stored: Stored) -> None:
        if stored.indexed is None and self.now() - self.search_lag < stored.created:
            stored.indexed = None
        stored.updated = self.now()
        name = "lastmodifieddate" if object_ == "contacts" else "hs_lastmodifieddate"
        stored.properties[name] = iso(stored.updated)

    def _next(self) -> str:
        self._last += 1
        return str(self._last)


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _typed(name: str, type_: str, value: str) -> str:
    try:
        match type_:
            case "number":
                float(value)
            case "datetime" if value.isdigit():
                return iso(datetime.fromtimestamp(int(value) / 1000, tz=UTC))
            case "datetime":
                at = datetime.fromisoformat(value)
                if at.tzinfo is None:
                    raise ValueError
                return iso(at)
            case _:
                pass
    except ValueError:
        raise invalid(name, f"INVALID_{type_.upper()}", f"{value} was not a valid {type_}") from None
    return value


def _standard(object_: str) -> Iterator[tuple[str, Property]]:
    for name, kind in STANDARD[object_].items():
        options = kind if isinstance(kind, tuple) else ()
        yield name, Property(name, "enumeration" if options else kind, options, unique=name == "email")
    common = {"hs_object_id": "string", "hs_lastmodifieddate": "datetime", "hubspot_owner_id": "string"}
    if object_ == "contacts":
        common["lastmodifieddate"] = "datetime"
    for name, kind in common.items():
        yield name, Property(name, kind)


def _stage(id_: str, label: str, order: int, **metadata: str) -> dict[str, Any]:
    stamp = "2024-01-02T03:04:05.678Z"
    return {
        "id": id_,
        "label": label,
        "displayOrder": order,
        "metadata": metadata,
        "createdAt": stamp,
        "updatedAt": stamp,
        "archived": False,
        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
    }


def _pipeline(id_: str, label: str, stages: list[dict[str, Any]]) -> dict[str, Any]:
    stamp = "2024-01-02T03:04:05.678Z"
    return {
        "id": id_,
        "label": label,
        "displayOrder": 0,
        "stages": stages,
        "createdAt": stamp,
        "updatedAt": stamp,
        "archived": False,
    }


def _sales() -> dict[str, Any]:
    stages = [
        _stage("appointmentscheduled", "Appointment", 0, isClosed="false", probability="0.2"),
        # An account's own stages: the one that is called closedwon has lost its meaning here.
        _stage("closedwon", "Verbal yes", 1, isClosed="false", probability="0.9"),
        _stage("101", "Signed", 2, isClosed="true", probability="1.0"),
        _stage("102", "No", 3, isClosed="true", probability="0.0"),
    ]
    return _pipeline("default", "Sales pipeline", stages)


def _prospecting() -> dict[str, Any]:
    stages = [
        _stage("new-stage-id", "New", 0, leadState="NEW"),
        _stage("attempting-stage-id", "Attempting", 1, leadState="IN_PROGRESS"),
        _stage("qualified-stage-id", "Qualified", 2, leadState="QUALIFIED"),
        _stage("unqualified-stage-id", "Unqualified", 3, leadState="UNQUALIFIED"),
    ]
    return _pipeline("lead-pipeline-id", "Lead pipeline", stages)
