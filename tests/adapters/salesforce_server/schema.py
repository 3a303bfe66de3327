"""What an organisation's objects look like: standard fields in one line each, custom ones from our SFDX project.

Each line: name, type, length (or precision.scale), then c(reateable), u(pdateable), r(equired), and picklist values.
The facts are those of describe responses (API v48 to v59); Task and User by name from a published schema of v50.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

PROJECT = Path(__file__).resolve().parents[3] / "config/crm/salesforce/force-app/main/default"
NS = "{http://soap.sforce.com/2006/04/metadata}"

STANDARD = {
    "Lead": """
        LastName string 80 cur
        FirstName string 40 cu
        Title string 128 cu
        Company string 255 cur
        Street textarea 255 cu
        City string 40 cu
        State string 80 cu
        PostalCode string 20 cu
        Country string 80 cu
        Phone phone 40 cu
        Email email 80 cu
        Description textarea 32000 cu
        LeadSource picklist 255 cu Web|Phone Inquiry|Partner Referral|Purchased List|Other
        Status picklist 255 cu Open - Not Contacted|Working - Contacted|Closed - Converted|Closed - Not Converted
        OwnerId reference 18 cu User|Group
        IsConverted boolean 0 -
        ConvertedContactId reference 18 - Contact
        ConvertedAccountId reference 18 - Account
        ConvertedOpportunityId reference 18 - Opportunity
        MasterRecordId reference 18 - Lead
    """,
    "Contact": """
        LastName string 80 cur
        FirstName string 40 cu
        Phone phone 40 cu
        Email email 80 cu
        AccountId reference 18 cu Account
        OwnerId reference 18 cu User
        MasterRecordId reference 18 - Contact
    """,
    "Account": """
        Name string 255 cur
        Phone phone 40 cu
        Website url 255 cu
        OwnerId reference 18 cu User
        MasterRecordId reference 18 - Account
    """,
    "Opportunity": """
        Name string 120 cur
        StageName picklist 255 cur Prospecting|Proposal/Price Quote|Closed Won|Closed Lost
        CloseDate date 0 cur
        Amount currency 18.2 cu
        AccountId reference 18 cu Account
        OwnerId reference 18 cu User
        ContactId reference 18 c Contact
        IsWon boolean 0 -
        IsClosed boolean 0 -
        LastStageChangeDate datetime 0 -
    """,
    "Task": """
        Subject combobox 255 cu
        Description textarea 32000 cu
        Status picklist 255 cu Not Started|In Progress|Completed|Deferred
        ActivityDate date 0 cu
        WhoId reference 18 cu Lead|Contact
        WhatId reference 18 cu Account|Opportunity
        OwnerId reference 18 cu User|Group
        TaskSubtype picklist 40 c Task|Call|Email
        CallDurationInSeconds int 0 cu
        CallType picklist 40 cu Internal|Inbound|Outbound
        CallObject string 255 cu
        IsClosed boolean 0 -
    """,
    "Campaign": """
        Name string 80 cur
    """,
    "CampaignMember": """
        CampaignId reference 18 cr Campaign
        LeadId reference 18 c Lead
        ContactId reference 18 c Contact
        Status picklist 40 cu Sent|Responded
    """,
    "User": """
        Name string 121 -
        Email email 128 cur
        IsActive boolean 0 cu
        TimeZoneSidKey picklist 40 cu
        UserType picklist 40 -
        ProfileId reference 18 cu
    """,
}
COMMON = """
    CreatedDate datetime 0 -
    LastModifiedDate datetime 0 -
    SystemModstamp datetime 0 -
    IsDeleted boolean 0 -
"""
#: Rows only, no describe: what an administrator sets up.
SETUP = {
    "LeadStatus": ("ApiName", "IsDefault", "IsConverted", "SortOrder"),
    "TaskStatus": ("ApiName", "IsDefault", "IsClosed", "SortOrder"),
    "OpportunityStage": ("ApiName", "IsActive", "IsClosed", "IsWon", "SortOrder"),
    "Organization": ("Name", "TimeZoneSidKey", "OrganizationType", "IsSandbox"),
    "AssignmentRule": ("Name", "SobjectType", "Active"),
    "PermissionSet": ("Name", "Label"),
    "PermissionSetAssignment": ("AssigneeId", "PermissionSetId"),
}
PREFIX = {
    "Lead": "00Q",
    "Contact": "003",
    "Account": "001",
    "Opportunity": "006",
    "Task": "00T",
    "User": "005",
    "Hearback_Attainment__c": "a01",
    "Campaign": "701",
    "CampaignMember": "00v",
    "PermissionSet": "0PS",
    "PermissionSetAssignment": "0Pa",
    "Organization": "00D",
    "AssignmentRule": "01Q",
}
_TYPES = {
    "Text": "string",
    "LongTextArea": "textarea",
    "TextArea": "textarea",
    "DateTime": "datetime",
    "Number": "double",
    "Picklist": "picklist",
    "Url": "url",
    "Lookup": "reference",
}


_SHAPES: dict[str, type] = {"boolean": bool}
_FORMS = {
    "reference": re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)"),
}


@dataclass
class Field:
    """A field as describe tells it."""

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    createable: bool = True
    updateable: bool = True
    required: bool = False
    values: tuple[str, ...] = ()
    restricted: bool = False
    external: bool = False
    unique: bool = False
    readable: bool = True

    def described(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "length": self.length,
            "precision": self.precision,
            "scale": self.scale,
            "createable": self.createable,
            "updateable": self.updateable,
            "nillable": not self.required,
            "defaultedOnCreate": False,
            "externalId": self.external,
            "unique": self.unique,
            "restrictedPicklist": self.restricted,
            "picklistValues": [{"value": value, "active": True} for value in self.values]
            if self.type == "picklist"
            else [],
        }


@dataclass
class Schema:
    """Fields by object. Activity's are those of Task."""

    objects: dict[str, dict[str, Field]] = field(default_factory=dict)

    def add(self, object_: str, made: Field) -> None:
        self.objects.setdefault("Task" if object_ == "Activity" else object_, {})[made.name] = made

    def drop(self, object_: str, name: str) -> bool:
        return self.objects.get("Task" if object_ == "Activity" else object_, {}).pop(name, None) is not None


def standard() -> Schema:
    schema = Schema()
    for object_, lines in STANDARD.items():
        schema.objects[object_] = {"Id": Field("Id", "id", 18, createable=False, updateable=False)}
        for line in (*lines.strip().splitlines(), *COMMON.strip().splitlines()):
            schema.add(object_, _standard(line))
    del schema.objects["User"]["IsDeleted"]
    return schema


def _standard(line: str) -> Field:
    name, type_, size, flags, *rest = line.split(maxsplit=4)
    precision, _, scale = size.partition(".")
    return Field(
        name,
        type_,
        length=int(precision) if not scale else 0,
        precision=int(precision) if scale else 0,
        scale=int(scale or 0),
        createable="c" in flags,
        updateable="u" in flags,
        required="r" in flags,
        values=tuple(rest[0].split("|")) if rest else (),
    )


def custom_field(root: ET.Element) -> Field:
    """Return the field a CustomField document makes."""
    said = {child.tag.removeprefix(NS): child.text or "" for child in root}
    values = tuple(e.text or "" for e in root.findall(f"{NS}valueSet//{NS}value/{NS}fullName"))
    return Field(
        said["fullName"].rpartition(".")[2],
        _TYPES[said["type"]],
        length=int(said.get("length") or (255 if said["type"] in ("TextArea", "Url", "Picklist") else 0)),
        precision=int(said.get("precision", "0")),
        scale=int(said.get("scale", "0")),
        values=values,
        restricted=root.findtext(f"{NS}valueSet/{NS}restricted") == "true",
        external=said.get("externalId") == "true",
        unique=said.get("unique") == "true",
    )


def with_project() -> Schema:
    """Return the schema of an organisation our SFDX project was deployed to."""
    schema = standard()
    for path in sorted(PROJECT.glob("objects/*/fields/*.field-meta.xml")):
        schema.add(path.parent.parent.name, custom_field(ET.parse(path).getroot()))
    ours = schema.objects["Hearback_Attainment__c"]
    for line in ("Name string 80 cu", "OwnerId reference 18 cu User", *COMMON.strip().splitlines()):
        made = _standard(line)
        ours[made.name] = made
    ours["Id"] = Field("Id", "id", 18, createable=False, updateable=False)
    return schema


def complaints(schema: Schema, object_: str, fields: dict[str, Any], *, create: bool) -> list[tuple[str, list[str]]]:
    """Check a payload against describe: (status code, fields) for each thing wrong with it (A20)."""
    known = schema.objects.get(object_, {})
    found = []
    for name, value in fields.items():
        told = known.get(name)
        if told is None or not told.readable:
            found.append(("INVALID_FIELD", [name]))
        elif not (told.createable if create else told.updateable):
            found.append(("INVALID_FIELD_FOR_INSERT_UPDATE", [name]))
        elif value is not None:
            code = _wrong_value(told, value)
            found += [(code, [name])] if code else []
        elif told.required:
            found.append(("REQUIRED_FIELD_MISSING", [name]))
    missing = [f.name for f in known.values() if f.required and create and fields.get(f.name) in (None, "")]
    if missing:
        found.append(("REQUIRED_FIELD_MISSING", missing))
    return found


def _wrong_value(told: Field, value: Any) -> str:
    if told.type in ("int", "double", "currency"):
        return _wrong_number(told, value)
    shape = _SHAPES.get(told.type, str)
    if not isinstance(value, shape):
        return "JSON_PARSER_ERROR"
    if told.restricted and value not in told.values:
        return "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    if told.type in _FORMS and not _FORMS[told.type].fullmatch(value):
        return {"reference": "MALFORMED_ID", "email": "INVALID_EMAIL_ADDRESS"}.get(told.type, "JSON_PARSER_ERROR")
    return "STRING_TOO_LONG" if shape is str and told.length and len(value) > told.length else ""


def _wrong_number(told: Field, value: Any) -> str:
    try:
        text = str(value)
        float(text)
    except ValueError:
        return "JSON_PARSER_ERROR"
    whole = text.lstrip("-").partition(".")[0]
    most = told.precision - told.scale
    return "NUMBER_OUTSIDE_VALID_RANGE" if told.precision and len(whole) > most else ""
