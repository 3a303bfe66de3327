"""One organisation: its records, rules and clock. Tests pull its levers; the server asks it."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from salesforce_server import schema, soql
from salesforce_server.schema import PREFIX, SETUP, Schema

KEY = "Hearback_Key__c"
ORG_ID = "00D000000000001AAA"


class Refused(Exception):
    """One error of Salesforce's."""

    def __init__(self, code: str, message: str = "", fields: list[str] | None = None, **more: Any) -> None:
        super().__init__(code)
        self.code, self.message, self.fields, self.more = (
            code,
            message or code.lower().replace("_", " "),
            fields or [],
            more,
        )

    def as_error(self) -> dict[str, Any]:
        return {"message": self.message, "errorCode": self.code, "fields": self.fields, **self.more}

    def as_item(self) -> dict[str, Any]:
        return {"statusCode": self.code, "message": self.message, "fields": self.fields, **self.more}


@dataclass
class Org:
    """Records by id, each a dict of fields; `rows` also holds what an administrator set up."""

    schema: Schema = field(default_factory=schema.with_project)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    of: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    #: Which records a duplicate rule finds for the fields of a new lead; None where there is no such rule.
    duplicate_rule: Callable[[Mapping[str, Any]], list[str]] | None = None
    #: Whether collections tell the matches in their items, or the record alone does.
    tells_matches: bool = True
    #: Called before each record is written; may raise Refused, as a validation rule or trigger would.
    trigger: Callable[[str, Mapping[str, Any]], None] | None = None
    #: How far this clock is from ours.
    shift: timedelta = timedelta()
    moment: datetime | None = None
    user: str = ""
    payload_faults: list[str] = field(default_factory=list)
    _count: int = 0
    _ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Who had which key of ours, and may have lost it: not every record is read through for each write.
    _keyed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self.setup()

    def setup(self) -> None:
        """Set up what every organisation has."""
        self.insert(
            "Organization",
            Name="Nordhammer Test",
            TimeZoneSidKey="Europe/Berlin",
            OrganizationType="Enterprise Edition",
            IsSandbox=False,
        )
        for order, (name, default, converted) in enumerate(
            [
                ("Open - Not Contacted", True, False),
                ("Working - Contacted", False, False),
                ("Closed - Converted", False, True),
                ("Closed - Not Converted", False, False),
            ]
        ):
            self.insert("LeadStatus", ApiName=name, IsDefault=default, IsConverted=converted, SortOrder=order)
        for order, (name, default, closed) in enumerate(
            [("Not Started", True, False), ("In Progress", False, False), ("Completed", False, True)]
        ):
            self.insert("TaskStatus", ApiName=name, IsDefault=default, IsClosed=closed, SortOrder=order)
        for order, (name, closed, won) in enumerate(
            [
                ("Prospecting", False, False),
                ("Proposal/Price Quote", False, False),
                ("Closed Won", True, True),
                ("Closed Lost", True, False),
            ]
        ):
            self.insert("OpportunityStage", ApiName=name, IsActive=True, IsClosed=closed, IsWon=won, SortOrder=order)

    def now(self) -> datetime:
        return (self.moment or datetime.now(UTC)) + self.shift

    def stamp(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def insert(self, object_: str, **fields: Any) -> str:
        """Make a record as a person or an administrator would; no rule is asked."""
        with self.lock:
            self._count += 1
            prefix = PREFIX.get(object_, "0XX")
            id_ = f"{prefix}{self._count:012d}AAA"
            known = self.schema.objects.get(object_, dict.fromkeys(SETUP.get(object_, ())))
            row = {name: False if _is_flag(told) else None for name, told in known.items()}
            row |= {"Id": id_, "CreatedDate": self.stamp(), **fields}
            self.rows[id_], self.of[id_] = row, object_
            self._ids[object_].append(id_)
            self.touch(id_)
            return id_

    def add_user(self, name: str, *, active: bool = True, zone: str = "Europe/Berlin", kind: str = "Standard") -> str:
        email = name.lower().replace(" ", ".") + "@example.com"
        return self.insert("User", Name=name, Email=email, IsActive=active, TimeZoneSidKey=zone, UserType=kind)

    def edit(self, id_: str, **fields: Any) -> None:
        """Change a record as a person would."""
        with self.lock:
            self.rows[id_].update(fields)
            self.touch(id_)

    def touch(self, id_: str) -> None:
        row = self.rows[id_]
        if row.get(KEY):
            self._keyed[str(row[KEY]).casefold()].add(id_)
        row["SystemModstamp"] = row["LastModifiedDate"] = self.stamp()
        if self.of[id_] == "Opportunity":
            stage = next((r for r in self.all("OpportunityStage") if r["ApiName"] == row["StageName"]), {})
            closed = stage.get("IsClosed") is True
            if closed != row.get("IsClosed"):
                row["LastStageChangeDate"] = row["SystemModstamp"]
            row |= {"IsClosed": closed, "IsWon": stage.get("IsWon") is True}
        if self.of[id_] == "Task":
            status = next((r for r in self.all("TaskStatus") if r["ApiName"] == row["Status"]), {})
            row["IsClosed"] = status.get("IsClosed") is True
            row["TaskSubtype"] = row.get("TaskSubtype") or "Task"

    def all(self, object_: str) -> Iterator[dict[str, Any]]:
        return (self.rows[id_] for id_ in list(self._ids[object_]) if id_ in self.rows)

    def living(self, object_: str) -> list[dict[str, Any]]:
        return [row for row in self.all(object_) if row.get("IsDeleted") is not True]

    def delete(self, id_: str) -> None:
        """Put a record into the recycle bin."""
        with self.lock:
            row = self.rows.get(id_)
            if row is None:
                raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
            if row.get("IsDeleted"):
                raise Refused("ENTITY_IS_DELETED", "entity is deleted")
            row["IsDeleted"] = True
            self.touch(id_)

    def purge(self, id_: str) -> None:
        """Empty one record out of the recycle bin."""
        with self.lock:
            del self.rows[id_], self.of[id_]

    def merge(self, loser: str, winner: str) -> None:
        with self.lock:
            self.rows[loser] |= {"IsDeleted": True, "MasterRecordId": winner}
            self.touch(loser)
            self.touch(winner)

    def convert(self, lead: str, *, deal: str | None = None) -> tuple[str, str | None]:
        """Convert a lead; return its contact and its deal."""
        with self.lock:
            row = self.rows[lead]
            contact = self.insert("Contact", LastName=row["LastName"], Email=row["Email"], OwnerId=row["OwnerId"])
            made = (
                self.insert(
                    "Opportunity", Name=deal, StageName="Prospecting", CloseDate="2026-12-31", OwnerId=row["OwnerId"]
                )
                if deal
                else None
            )
            row |= {
                "IsConverted": True,
                "Status": "Closed - Converted",
                "ConvertedContactId": contact,
                "ConvertedOpportunityId": made,
            }
            self.touch(lead)
            return contact, made

    def upsert(self, object_: str, key: str, fields: dict[str, Any], *, told: bool) -> tuple[str, bool]:
        """Write by external id; return id and whether it is new."""
        with self.lock:
            if not self.schema.objects.get(object_, {}).get(KEY):
                raise Refused("NOT_FOUND", "Provided external ID field does not exist or is not accessible")
            found = self._having(object_, key)
            if len(found) > 1:
                raise Refused("DUPLICATE_EXTERNAL_ID", f"{KEY}: more than one record found for external id field")
            if found:
                self.update(object_, str(found[0]["Id"]), fields)
                return str(found[0]["Id"]), False
            return self.create(object_, {**fields, KEY: key}, told=told), True

    def _having(self, object_: str, key: str) -> list[dict[str, Any]]:
        rows = [self.rows[id_] for id_ in sorted(self._keyed[key.casefold()]) if self.of.get(id_) == object_]
        return [
            row
            for row in rows
            if row.get("IsDeleted") is not True and str(row.get(KEY) or "").casefold() == key.casefold()
        ]

    def create(self, object_: str, fields: dict[str, Any], *, told: bool) -> str:
        with self.lock:
            self.check(object_, fields, create=True)
            matches = self.duplicate_rule(fields) if self.duplicate_rule and object_ == "Lead" else []
            if matches:
                raise Refused(
                    "DUPLICATES_DETECTED", "Use one of these records?", **(_matched(self, matches) if told else {})
                )
            owner = fields.get("OwnerId") or self.user
            status = {"Lead": "Open - Not Contacted", "Task": "Not Started"}.get(object_)
            given = {name: _stored(self.schema, object_, name, value) for name, value in fields.items()}
            if status and not given.get("Status"):
                given["Status"] = status
            return self.insert(object_, **{**given, "OwnerId": owner})

    def update(self, object_: str, id_: str, fields: dict[str, Any]) -> None:
        with self.lock:
            row = self.rows.get(id_)
            if row is None or self.of[id_] != object_:
                raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
            if row.get("IsDeleted"):
                raise Refused("ENTITY_IS_DELETED", "entity is deleted")
            if row.get("IsConverted"):
                raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
            self.check(object_, fields, create=False)
            changed = {name: _stored(self.schema, object_, name, value) for name, value in fields.items()}
            if any(row.get(name) != value for name, value in changed.items()):
                row.update(changed)
                self.touch(id_)

    def check(self, object_: str, fields: dict[str, Any], *, create: bool) -> None:
        for code, names in schema.complaints(self.schema, object_, fields, create=create):
            self.payload_faults.append(f"{object_}: {code} {names}")
            raise Refused(code, f"{names}: {[fields.get(name) for name in names]}", names)
        self.check_owner(object_, fields)
        self.check_links(fields)
        self.check_member(object_, fields)
        if self.trigger:
            self.trigger(object_, fields)

    def check_owner(self, object_: str, fields: Mapping[str, Any]) -> None:
        owner = fields.get("OwnerId")
        if not owner:
            return
        if owner.startswith("00G"):
            return
        row = self.rows.get(owner)
        if row is None or self.of[owner] != "User":
            # As is known of it, this error names no field.
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if not row["IsActive"]:
            raise Refused(
                "INACTIVE_OWNER_OR_USER",
                f"operation performed with inactive user [{owner}] as owner of {object_.lower()}",
            )

    def check_member(self, object_: str, fields: Mapping[str, Any]) -> None:
        if object_ != "CampaignMember":
            return
        if self.of.get(fields["CampaignId"]) != "Campaign":
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["CampaignId"])
        names = ("CampaignId", "LeadId", "ContactId")
        if any(all(row.get(name) == fields.get(name) for name in names) for row in self.living(object_)):
            raise Refused("DUPLICATE_VALUE", "Already a campaign member.")

    def check_links(self, fields: Mapping[str, Any]) -> None:
        who = fields.get("WhoId")
        if not who:
            return
        row = self.rows.get(who)
        if row is None or row.get("IsDeleted"):
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["WhoId"])
        if row.get("IsConverted"):
            raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", ["WhoId"])
        if who.startswith("00Q") and fields.get("WhatId"):
            raise Refused("FIELD_INTEGRITY_EXCEPTION", "WhatId must be empty when WhoId is a lead", ["WhatId"])

    def query(
        self,
        text: str,
        *,
        deleted: bool,
        seen: Callable[[str, Mapping[str, Any]], bool] = lambda _object, _row: True,
        readable: Callable[[str, str], bool] = lambda _object, _name: True,
    ) -> list[dict[str, Any]]:
        """Answer a query; `seen` and `readable` say which records and fields there are for whoever asks."""
        try:
            asked = soql.read(text)
        except soql.Malformed as err:
            raise Refused("MALFORMED_QUERY", str(err)) from None
        known = self.schema.objects.get(asked.object)
        if known is None and asked.object not in SETUP:
            raise Refused("INVALID_TYPE", f"sObject type '{asked.object}' is not supported.")
        for name in (*asked.columns, *asked.mentioned, *(name for name, _ in asked.order)):
            self._column(asked.object, known, name)
            if not readable(asked.object, name):
                raise Refused("INVALID_FIELD", f"No such column '{name}' on entity '{asked.object}'.")
        with self.lock:
            rows = [row for row in self.all(asked.object) if deleted or row.get("IsDeleted") is not True]
            rows = [row for row in rows if seen(asked.object, row)]
            rows = soql.sort([row for row in rows if asked.test(row)], asked.order)[: asked.limit or 2000]  # type: ignore[assignment]
            url = f"/services/data/v66.0/sobjects/{asked.object}"
            return [
                {
                    "attributes": {"type": asked.object, "url": f"{url}/{row['Id']}"},
                    **{c: row.get(c) for c in asked.columns},
                }
                for row in rows
            ]

    def _column(self, object_: str, known: Mapping[str, Any] | None, name: str) -> None:
        if known is None:
            if name not in (*SETUP[object_], "Id"):
                raise Refused("INVALID_FIELD", f"No such column '{name}' on entity '{object_}'.")
        elif name not in known or not known[name].readable:
            raise Refused("INVALID_FIELD", f"No such column '{name}' on entity '{object_}'.")


def _is_flag(told: Any) -> bool:
    return told is not None and told.type == "boolean"


def _stored(known: Schema, object_: str, name: str, value: Any) -> Any:
    """Return a value as it comes back: instants in UTC, numbers as numbers, empty texts as null."""
    told = known.objects[object_][name]
    if value is None or value == "":
        return None
    if told.type == "datetime":
        return datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    if told.type in ("double", "currency"):
        return Decimal(str(value))
    return value


def _matched(org: Org, ids: list[str]) -> dict[str, Any]:
    records = [{"record": {"attributes": {"type": org.of[id_]}, "Id": id_}, "matchConfidence": 100.0} for id_ in ids]
    match = {"entityType": "Lead", "matchRecords": records, "rule": "Standard_Lead_Match_Rule_v1_0", "success": True}
    return {
        "duplicateResult": {
            "allowSave": False,
            "duplicateRule": "Standard_Lead_Duplicate_Rule",
            "matchResults": [match],
        }
    }
