"""Which commands follow from a decision. Pure: values in, commands out."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from connector.model.crm import ObjectType, Value
from connector.model.lead import Lead
from connector.model.people import Person
from connector.settings.values import Settings
from connector.store.commands import NewCommand

_TASK_TITLES: Mapping[str, Mapping[str, str]] = {
    "en": {"new": "New lead: please call {name}", "again": "{name} has answered again"},
    "de": {"new": "Neuer Lead: bitte {name} anrufen", "again": "{name} hat sich erneut gemeldet"},
    "pl": {"new": "Nowy lead: proszę zadzwonić do {name}", "again": "{name} odpowiada ponownie"},
}
_NAMELESS = {"en": "the sender", "de": "die Absenderin oder den Absender", "pl": "nadawcy"}

_LEAD = "lead:"
#: Not a field of the lead: the id of the CRM's campaign it joins.
JOINS = "campaign_id"
_LEAD_FIELDS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "company",
    "job_title",
    "street",
    "postal_code",
    "city",
    "region",
    "country",
    "message",
    "product",
    "source",
    "campaign",
    "language",
)
_values = attrgetter(*_LEAD_FIELDS)


class Handover(NamedTuple):
    """A lead on its way to its owner's CRM."""

    lead_id: UUID
    lead: Lead
    owner: str
    connection: str
    reason: str
    correlation: UUID
    at: datetime
    #: Until when the owner should have responded; None where nobody watches that.
    respond_by: datetime | None = None
    #: The number of this assignment where its owner had the lead before; None where it is their first.
    again: int | None = None


def lead_key(lead: UUID) -> str:
    """Return our key of a lead in every CRM."""
    return f"{_LEAD}{lead}"


def task_key(lead: UUID, owner: str, again: int | None, kind: str = "task") -> str:
    """Return our key of what an owner is told about a lead; each time they get it back has one of its own."""
    return ":".join((kind, str(lead), owner, *([str(again)] if again else [])))


def again_number(given: Sequence[tuple[int, str]], owner: str) -> int | None:
    """Return the number of the assignment by which a person got a lead back last; None where they had it once.

    `given` are the numbers and owners of all assignments of the lead; who came out again had it all the while.
    """
    before = (None, *(person for _, person in given))
    starts = [number for (number, person), last in zip(given, before, strict=False) if person == owner != last]
    return starts[-1] if len(starts) > 1 else None


def lead_fields(lead: Lead) -> dict[str, Value]:
    """Return the canonical fields a CRM should hold of a lead; unknown ones are left out."""
    fields: dict[str, Value] = {name: value for name, value in zip(_LEAD_FIELDS, _values(lead), strict=True) if value}
    if lead.attribution:
        fields["attribution"] = json.dumps(dict(lead.attribution), sort_keys=True, ensure_ascii=False)
    if lead.consents:
        given = {consent.purpose: consent.given for consent in lead.consents}
        fields["consent"] = json.dumps(given, sort_keys=True, ensure_ascii=False)
    return fields


def membership(settings: Settings, connection: str, campaign: str) -> dict[str, Value]:
    """Return what makes a lead a member of a campaign in its CRM; nothing where the campaign has no id there."""
    known = settings.campaigns.get(campaign)
    id_ = known.crm_ids.get(connection) if known else None
    return {JOINS: id_} if id_ else {}


def hand_over(settings: Settings, handover: Handover) -> list[NewCommand]:
    """Return the commands that put a newly assigned lead into its owner's CRM, with a task where wanted."""
    connection = settings.connections[handover.connection]
    owner = settings.people[handover.owner]
    fields = lead_fields(handover.lead)
    fields |= {"status": "new", "owner": owner.users[connection.key], "reason": handover.reason}
    fields |= _respond_by(handover) | membership(settings, connection.key, handover.lead.campaign)
    commands = [_lead_command(handover, fields, "assign")]
    if connection.rep_tasks:
        commands.append(_task(handover, owner, "new", task_key(handover.lead_id, handover.owner, handover.again)))
    return commands


def reassign(settings: Settings, handover: Handover) -> list[NewCommand]:
    """Return the commands that move a lead, already in the CRM, to another owner."""
    owner = settings.people[handover.owner]
    fields: dict[str, Value] = {"owner": owner.users[handover.connection], "reason": handover.reason}
    fields |= offered_anew(handover.respond_by)
    commands = [_lead_command(handover, fields, "reassign")]
    if settings.connections[handover.connection].rep_tasks:
        commands.append(_task(handover, owner, "new", task_key(handover.lead_id, handover.owner, handover.again)))
    return commands


def offered_anew(respond_by: datetime | None) -> dict[str, Value]:
    """Return the fields that let another owner answer, of a lead an earlier one may have answered."""
    return {"response": None, "response_due": respond_by.isoformat()} if respond_by else {}


def _respond_by(handover: Handover) -> dict[str, Value]:
    return {"response_due": handover.respond_by.isoformat()} if handover.respond_by else {}


def answered_again(
    settings: Settings, handover: Handover, filled: Mapping[str, Value], delivery: UUID
) -> list[NewCommand]:
    """Return the commands that tell an owner about a known person's new submission."""
    commands = []
    if filled:
        commands.append(_lead_command(handover, dict(filled), "update"))
    if settings.connections[handover.connection].rep_tasks:
        owner = settings.people[handover.owner]
        commands.append(_task(handover, owner, "again", f"again:{handover.lead_id}:{delivery}"))
    return commands


def correct(handover: Handover, changed: Mapping[str, Value]) -> list[NewCommand]:
    """Return the commands that bring changed fields of a lead into its CRM."""
    return [_lead_command(handover, dict(changed), "update")]


def _lead_command(handover: Handover, fields: dict[str, Value], purpose: str) -> NewCommand:
    return NewCommand(
        connection=handover.connection,
        key=lead_key(handover.lead_id),
        object_type=ObjectType.LEAD,
        fields=fields,
        purpose=purpose,
        correlation=handover.correlation,
        lead_id=handover.lead_id,
    )


def _task(handover: Handover, owner: Person, title: str, key: str) -> NewCommand:
    language = language_of(owner)
    name = " ".join(filter(None, (handover.lead.first_name, handover.lead.last_name))) or handover.lead.company
    lead = lead_key(handover.lead_id)
    return NewCommand(
        connection=handover.connection,
        key=key,
        object_type=ObjectType.TASK,
        fields={
            "title": _TASK_TITLES[language][title].format(name=name or _NAMELESS[language]),
            "body": handover.reason,
            "status": "open",
            "due": (handover.respond_by or handover.at).isoformat(),
            "owner": owner.users[handover.connection],
        },
        purpose="rep_task",
        correlation=handover.correlation,
        after_key=lead,
        links={"lead": lead},
        lead_id=handover.lead_id,
    )


def language_of(person: Person) -> str:
    """Return the first of a person's languages we have texts in, English otherwise."""
    return next((language for language in person.languages if language in _TASK_TITLES), "en")
