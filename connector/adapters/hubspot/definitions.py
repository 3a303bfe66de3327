"""The properties of ours an account must hold, by object. All names begin with hearback."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from connector.adapters.hubspot.places import CONTACTS, KEY, LEADS, PERSON

GROUP = "hearback"
GROUP_LABEL = "Hearback"


@dataclass(frozen=True, slots=True)
class Kind:
    """How HubSpot stores and shows a property."""

    type: str
    field_type: str
    word: str


TEXT = Kind("string", "text", "text")
LONG = Kind("string", "textarea", "long text")
NUMBER = Kind("number", "number", "number")
TIME = Kind("datetime", "date", "date and time")
CHOICE = Kind("enumeration", "select", "choice")


@dataclass(frozen=True, slots=True)
class Definition:
    """One property. `unique` is final in HubSpot: it cannot be changed once the property is made."""

    name: str
    label: str
    kind: Kind
    unique: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def body(self) -> dict[str, Any]:
        """Return what makes the property."""
        return {"name": self.name, "hasUniqueValue": self.unique, **self.change()}

    def change(self) -> dict[str, Any]:
        """Return what brings a property into this shape; its options replace those it has."""
        shape: dict[str, Any] = {
            "label": self.label,
            "type": self.kind.type,
            "fieldType": self.kind.field_type,
            "groupName": GROUP,
        }
        if self.options:
            shape["options"] = [
                {"label": label, "value": value, "displayOrder": place, "hidden": False}
                for place, (value, label) in enumerate(self.options)
            ]
        return shape


_RESPONSES = (
    ("accepted", "Accepted"),
    ("rejected_bad_data", "Rejected: bad data"),
    ("rejected_wrong_territory", "Rejected: wrong territory"),
    ("rejected_other", "Rejected: other reason"),
)
_UNIQUE_KEY = Definition(KEY, "Hearback key", TEXT, unique=True)
#: What the owner of a lead sees on its page and answers there.
_ASSIGNMENT = (
    Definition("hearback_reason", "Why this lead is yours", TEXT),
    Definition("hearback_source", "Lead source", TEXT),
    Definition("hearback_campaign", "Campaign", TEXT),
    Definition("hearback_response_due", "Response due", TIME),
    Definition("hearback_response", "Your response", CHOICE, options=_RESPONSES),
    Definition("hearback_message", "Message", LONG),
    Definition("hearback_product", "Product", TEXT),
    Definition("hearback_attribution", "Attribution", LONG),
)
_PERSON = (
    Definition("hearback_language", "Language of the sender", TEXT),
    Definition("hearback_consent", "Consent", LONG),
)
_DEAL = (
    Definition("hearback_delivered_at", "Delivered at", TIME),
    Definition("hearback_open_mandatory", "Open mandatory steps", NUMBER),
    Definition("hearback_overdue", "Overdue steps", NUMBER),
    Definition("hearback_survey_link", "Survey link", TEXT),
    Definition("hearback_feedback_score", "Customer feedback: score", NUMBER),
    Definition("hearback_feedback_at", "Customer feedback: given at", TIME),
    Definition("hearback_feedback_text", "Customer feedback: text", LONG),
)
_ATTAINMENT = (
    Definition("hearback_attainment_numerator", "Attainment: achieved", TEXT),
    Definition("hearback_attainment_denominator", "Attainment: target", TEXT),
    Definition("hearback_attainment_provisional", "Attainment: provisional", TEXT),
    Definition("hearback_attainment_currency", "Attainment: currency", TEXT),
    Definition("hearback_attainment_period", "Attainment: period", TEXT),
    Definition("hearback_attainment_as_of", "Attainment: as of", TIME),
)
_TASK = (Definition(KEY, "Hearback key", TEXT), Definition("hearback_comment", "Hearback comment", LONG))

_ALWAYS: Mapping[str, tuple[Definition, ...]] = MappingProxyType(
    {
        CONTACTS: (_UNIQUE_KEY, *_ASSIGNMENT, *_PERSON),
        "companies": (_UNIQUE_KEY,),
        "deals": (_UNIQUE_KEY, *_DEAL),
        "tasks": _TASK,
        "users": _ATTAINMENT,
    }
)
_WITH_LEADS: Mapping[str, tuple[Definition, ...]] = MappingProxyType(
    {
        **_ALWAYS,
        CONTACTS: (_UNIQUE_KEY, Definition(PERSON, "Hearback person", TEXT, unique=True), *_ASSIGNMENT, *_PERSON),
        LEADS: (_UNIQUE_KEY, *_ASSIGNMENT),
    }
)


def definitions(*, leads: bool) -> Mapping[str, tuple[Definition, ...]]:
    """Return the properties by object, for an account with or without lead objects."""
    return _WITH_LEADS if leads else _ALWAYS
