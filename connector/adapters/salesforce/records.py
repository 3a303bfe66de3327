"""Our records in Salesforce's words and back: what the mapping alone cannot say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connector.adapters.mapping import ObjectMapping
from connector.adapters.salesforce import attainment
from connector.adapters.salesforce.errors import caused
from connector.adapters.salesforce.vocabulary import Lexicon
from connector.errors import InvalidRecord, UnexpectedAnswer
from connector.model.crm import ObjectType, Record, RecordRef, Upsert, Value

KEY = "Hearback_Key__c"
#: How Salesforce's ids begin.
LEAD, CONTACT, OPPORTUNITY = "00Q", "003", "006"
#: Texts for people that may be cut; anything else too long is refused by name.
_CUT = {"Subject": 255, "Hearback_Comment__c": 255, "Hearback_Reason__c": 2000}
#: What every query of an object reads beside the mapped fields.
_ALWAYS: Mapping[str, tuple[str, ...]] = {
    "Lead": ("IsDeleted", "MasterRecordId", "IsConverted", "ConvertedContactId", "SystemModstamp"),
    "Contact": ("IsDeleted", "MasterRecordId", "SystemModstamp"),
    "Account": ("IsDeleted", "MasterRecordId", "SystemModstamp"),
    "Opportunity": ("IsDeleted", "IsWon", "IsClosed", "SystemModstamp"),
    "Task": ("IsDeleted", "IsClosed", "TaskSubtype", "SystemModstamp"),
    "User": ("SystemModstamp",),
}
#: Fields that replace another where the organisation has them (state and country picklists).
_PICKLISTS = {"Country": "CountryCode", "State": "StateCode"}
#: Of a lead's fields, those a contact takes when the CRM knew the person as one.
_ON_CONTACT = frozenset({"OwnerId"})

Mappings = Mapping[ObjectType, ObjectMapping]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """Translates one organisation's records. `currency` is that of an organisation with only one."""

    mappings: Mappings
    lexicon: Lexicon
    currency: str = ""

    def columns(self, object_type: ObjectType) -> list[str]:
        """Return the fields a query reads for a type; tasks and calls are read together."""
        types = (ObjectType.TASK, ObjectType.CALL) if object_type is ObjectType.TASK else (object_type,)
        names = ["Id", *_ALWAYS[self.mappings[object_type].name]]
        for type_ in types:
            names += self.mappings[type_].vendor_names
        return list(dict.fromkeys(self._present(name, object_type) for name in names if self._is_read(name)))

    def outward(self, command: Upsert) -> dict[str, Any]:
        """Return a command's fields as Salesforce takes them.

        Raises:
            InvalidRecord: a field or a value that cannot be written; nothing is dropped in silence.
        """
        written: dict[str, Any] = self.mappings[command.object_type].to_vendor(command)
        match command.object_type:
            case ObjectType.LEAD:
                self._lead_out(written)
            case ObjectType.DEAL:
                self._deal_out(command, written)
            case ObjectType.TASK:
                self._task_out(command, written)
            case _:
                raise InvalidRecord(f"{command.object_type}: made by people in the CRM", fields=sorted(command.fields))
        for name, most in _CUT.items():
            text = written.get(name)
            if isinstance(text, str) and len(text) > most:
                written[name] = text[: most - 1] + "…"
        _writable(command, written)
        return written

    def inward(self, object_type: ObjectType, row: Row) -> Record:
        """Return a row as a record.

        Raises:
            ValueError, KeyError, TypeError: the row breaks Salesforce's own contract.
        """
        mapping = self.mappings[object_type]
        shown = dict(row)
        for plain, code in _PICKLISTS.items():
            if shown.get(code):
                shown[plain] = shown[code]
        record = mapping.record(RecordRef(object_type, str(row["Id"])), shown, str(row["SystemModstamp"]))
        fields = {name: _plain(value) for name, value in record.fields.items()}
        fields |= self._specials(object_type, row)
        return Record(record.ref, fields, record.updated_at, record.key)

    def read(self, object_type: ObjectType, ref: RecordRef, row: Row) -> Record:
        """Return a row as the record it was asked for as.

        Raises:
            UnexpectedAnswer: the row breaks Salesforce's own contract.
        """
        try:
            return replace(self.inward(object_type, row), ref=ref)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            reason = type(err).__name__
        raise caused(UnexpectedAnswer(f"{object_type}: the record cannot be read: {reason}"), None, reason)

    def type_of(self, row: Row, object_type: ObjectType) -> ObjectType | None:
        """Return what a row is to us: a logged call is a closed task of its kind; a planned one is nothing yet."""
        if object_type is ObjectType.TASK and row.get("TaskSubtype") == "Call" and not row.get(KEY):
            return ObjectType.CALL if row.get("IsClosed") is True else None
        return object_type

    def _specials(self, object_type: ObjectType, row: Row) -> dict[str, Value]:
        match object_type:
            case ObjectType.LEAD if "Status" in row:
                converted = row.get("IsConverted") is True
                status = "converted" if converted else self.lexicon.words().lead.inward(row["Status"])
                return {"status": status}
            case ObjectType.DEAL:
                return self._deal_in(row)
            case ObjectType.ACCOUNT:
                return {"domain": _domain(row.get("Website"))}
            case ObjectType.TASK:
                status = "done" if row.get("IsClosed") is True else "open"
                return {"status": status, **_links(row)}
            case ObjectType.CALL:
                # A telephone system writes the call's id; a person who logs a call leaves it empty.
                return {"source": "system" if row.get("CallObject") else "manual", **_links(row)}
            case _:
                return {}

    def _deal_in(self, row: Row) -> dict[str, Value]:
        closed = row.get("IsClosed") is True
        stage = ("won" if row.get("IsWon") is True else "lost") if closed else "open"
        fields: dict[str, Value] = {"stage": stage, "amount": attainment.amount(row.get("Amount"))}
        fields["currency"] = str(row.get("CurrencyIsoCode") or self.currency) or None
        return fields if closed else fields | {"closed_at": None}

    def _lead_out(self, written: dict[str, Any]) -> None:
        if written.get("Status") is not None:
            written["Status"] = self.lexicon.words().lead.outward("status", written["Status"])
        for plain, code in _PICKLISTS.items():
            if plain in written and code in self.lexicon.fields("Lead"):
                written[code] = written.pop(plain)

    def _deal_out(self, command: Upsert, written: dict[str, Any]) -> None:
        if "Amount" in written:
            written["Amount"] = attainment.money("amount", command.fields["amount"])
        if written.get("StageName") is not None:
            written["StageName"] = self.lexicon.words().stage.outward("stage", written["StageName"])
        if "CurrencyIsoCode" in written and "CurrencyIsoCode" not in self.lexicon.fields("Opportunity"):
            if self.currency and written["CurrencyIsoCode"] not in (None, self.currency):
                raise InvalidRecord(f"currency: the organisation has {self.currency} alone", fields=("currency",))
            del written["CurrencyIsoCode"]

    def _task_out(self, command: Upsert, written: dict[str, Any]) -> None:
        if written.get("Status") is not None:
            written["Status"] = self.lexicon.words().task.outward("status", written["Status"])
        # A task about a deal cannot be a lead's as well: Salesforce takes WhatId only beside a contact.
        if written.get("WhatId") and str(written.get("WhoId") or "").startswith(LEAD):
            del written["WhoId"]
        if command.fields.get("due") is None and "due" in command.fields:
            written["ActivityDate"] = None

    def _present(self, name: str, object_type: ObjectType) -> str:
        code = _PICKLISTS.get(name)
        return code if code and object_type is ObjectType.LEAD and code in self.lexicon.fields("Lead") else name

    def _is_read(self, name: str) -> bool:
        return name != "CurrencyIsoCode" or name in self.lexicon.fields("Opportunity")


def dated(written: Row, zone: str) -> dict[str, Any]:
    """Return a task's fields with its due date: the day it is then where its owner works (A18)."""
    due = written.get("Hearback_Due__c")
    if not due:
        return dict(written)
    day = datetime.fromisoformat(str(due)).astimezone(ZoneInfo(zone)).date()
    return {**written, "ActivityDate": day.isoformat()}


def held_by(ref: RecordRef, row: Row) -> RecordRef | None:
    """Return the record that holds a merged or converted one now, None for one that stands for itself."""
    if row.get("IsDeleted") is True and row.get("MasterRecordId"):
        return RecordRef(ref.object_type, str(row["MasterRecordId"]))
    if ref.object_type is ObjectType.LEAD and row.get("IsConverted") is True and row.get("ConvertedContactId"):
        return RecordRef(ObjectType.CONTACT, str(row["ConvertedContactId"]))
    return None


def sobject_of(object_: str, id_: str) -> str:
    """Return which object a record is of: a lead of ours may be a contact the CRM had already."""
    return "Contact" if object_ == "Lead" and id_.startswith(CONTACT) else object_


def fitting(sobject: str, fields: Row) -> dict[str, Any]:
    """Return the fields an object takes."""
    if sobject == "Contact":
        return {name: value for name, value in fields.items() if name in _ON_CONTACT}
    return dict(fields)


def ours_only(fields: Row) -> dict[str, Any]:
    """Return what we may set on a record that others made: its owner and fields of our own."""
    return {name: value for name, value in fields.items() if name == "OwnerId" or name.startswith("Hearback_")}


def _writable(command: Upsert, written: Row) -> None:
    bad = sorted(name for name, value in command.fields.items() if isinstance(value, str) and not _is_utf8(value))
    if bad or not _is_utf8(command.key):
        raise InvalidRecord("a text cannot be written as UTF-8", fields=bad)
    wrong = [name for name, value in written.items() if not isinstance(value, str | int | bool | None)]
    if wrong:
        raise InvalidRecord(f"no value of ours: {', '.join(wrong)}", fields=wrong)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Value:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else f"{value:f}"
    return value if isinstance(value, str | int | bool | None) else str(value)


def _links(row: Row) -> dict[str, Value]:
    who, what = str(row.get("WhoId") or ""), str(row.get("WhatId") or "")
    return {
        "lead": who if who.startswith(LEAD) else None,
        "contact": who if who.startswith(CONTACT) else None,
        "deal": what if what.startswith(OPPORTUNITY) else None,
    }


def _domain(website: Any) -> str | None:
    text = str(website or "").strip()
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname
    except ValueError:
        return None
    return host.removeprefix("www.") if host else None


def all_of(rows: Sequence[Row], names: Collection[str]) -> set[str]:
    """Return the values some fields hold, empty ones left out."""
    return {str(row[name]) for row in rows for name in names if row.get(name)}
