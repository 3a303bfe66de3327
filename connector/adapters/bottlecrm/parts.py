"""What we need in BottleCRM: custom fields of ours, and an endpoint for its webhooks."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from connector.adapters.bottlecrm import labels
from connector.adapters.bottlecrm.client import BottleCrmClient, dumps
from connector.adapters.bottlecrm.metadata import Definition, Metadata
from connector.adapters.bottlecrm.records import BATCH, KEY
from connector.adapters.bottlecrm.webhooks import EVENTS
from connector.errors import InvalidRecord, RecordNotFound
from connector.model.crm import ObjectType, Part, PartState

_PATH = "/api/custom-fields/"
WEBHOOK = "webhook"
#: What BottleCRM calls the record types that carry fields of ours.
TARGETS: Mapping[ObjectType, str] = {
    ObjectType.LEAD: "Lead",
    ObjectType.DEAL: "Opportunity",
    ObjectType.TASK: "Task",
}
_RESPONSES = ("accepted", "rejected_bad_data", "rejected_wrong_territory", "rejected_other")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A custom field we need; those a rep looks at or answers in stand first."""

    target: str
    key: str
    type: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return its name among the parts."""
        return f"{self.target}.{self.key}"


FIELDS: Sequence[Wanted] = (
    Wanted("Lead", "hearback_response", "dropdown", _RESPONSES),
    Wanted("Lead", "hearback_reason", "textarea"),
    Wanted("Lead", "hearback_response_due", "text"),
    Wanted("Lead", "hearback_message", "textarea"),
    Wanted("Lead", "hearback_product", "text"),
    Wanted("Lead", "hearback_language", "text"),
    Wanted("Lead", "hearback_consent", "textarea"),
    Wanted("Lead", "hearback_attribution", "textarea"),
    Wanted("Lead", KEY, "text"),
    Wanted("Opportunity", "hearback_delivered_on", "date"),
    Wanted("Opportunity", "hearback_open_mandatory", "number"),
    Wanted("Opportunity", "hearback_overdue", "number"),
    Wanted("Opportunity", "hearback_score", "number"),
    Wanted("Opportunity", "hearback_score_at", "text"),
    Wanted("Opportunity", "hearback_survey_link", "text"),
    Wanted("Opportunity", "hearback_feedback_text", "textarea"),
    Wanted("Opportunity", "hearback_lead", "text"),
    Wanted("Opportunity", KEY, "text"),
    Wanted("Task", "hearback_comment", "textarea"),
    Wanted("Task", "hearback_due", "text"),
    Wanted("Task", KEY, "text"),
    Wanted("Task", BATCH, "text"),
)


def parts(metadata: Metadata, language: str, *, hooked: bool) -> Sequence[Part]:
    """Return our parts as they are now. A token may not look at webhooks: whether one is set up tells our secret."""
    known = metadata.fields.again()
    found = [_part(wanted, known.get((wanted.target, wanted.key)), language) for wanted in FIELDS]
    state = PartState.PRESENT if hooked else PartState.MISSING
    return [
        *found,
        Part(
            WEBHOOK,
            labels.say("webhook", language),
            state,
            labels.say("webhook_remedy", language).format(events=", ".join(EVENTS)),
        ),
    ]


def install(client: BottleCrmClient, metadata: Metadata, name: str, language: str) -> None:
    """Make a field, or switch it on again with all its choices.

    Raises:
        InvalidRecord: there is no such part that can be made, or its type differs, which nobody can change.
    """
    wanted = _wanted(name)
    found = metadata.fields.again().get((wanted.target, wanted.key))
    if found is None:
        client.send("POST", _PATH, dumps(_definition(wanted, language)))
    elif found.type != wanted.type:
        raise InvalidRecord(f"{name}: {_differs(wanted, found)}", fields=(wanted.key,))
    elif _needs(wanted, found):
        client.send("PUT", f"{_PATH}{found.id}/", dumps(_definition(wanted, language, found)))
    metadata.fields.forget()


def uninstall(client: BottleCrmClient, metadata: Metadata, name: str) -> None:
    """Switch a field of ours off: no page shows it any more, and BottleCRM keeps what records hold."""
    wanted = _wanted(name)
    found = metadata.fields.again().get((wanted.target, wanted.key))
    if found is None or not found.active:
        return
    with suppress(RecordNotFound):
        client.send("DELETE", f"{_PATH}{found.id}/")
    metadata.fields.forget()


def _wanted(name: str) -> Wanted:
    for wanted in FIELDS:
        if wanted.name == name:
            return wanted
    raise InvalidRecord(f"{name} is no part that Hearback makes or removes in BottleCRM", fields=("name",))


def _part(wanted: Wanted, found: Definition | None, language: str) -> Part:
    what = labels.what(wanted.target, wanted.key, wanted.type, language)
    if found is None or not found.active:
        return Part(wanted.name, what, PartState.MISSING)
    if found.type != wanted.type:
        return Part(wanted.name, what, PartState.DIFFERS, labels.say("type_remedy", language), _differs(wanted, found))
    if _needs(wanted, found):
        return Part(wanted.name, what, PartState.DIFFERS, found=", ".join(found.options) or "no choices")
    return Part(wanted.name, what, PartState.PRESENT)


def _needs(wanted: Wanted, found: Definition) -> bool:
    """Choices an admin added are theirs; ours must all be there."""
    return not found.active or not set(wanted.options) <= set(found.options)


def _differs(wanted: Wanted, found: Definition) -> str:
    return f"its type is {found.type}, and must be {wanted.type}"


def _definition(wanted: Wanted, language: str, found: Definition | None = None) -> dict[str, object]:
    places = [each.key for each in FIELDS if each.target == wanted.target]
    definition: dict[str, object] = {
        "target_model": wanted.target,
        "key": wanted.key,
        "label": labels.label(wanted.key, language),
        "field_type": wanted.type,
        "is_filterable": wanted.key in (KEY, "hearback_response"),
        "display_order": places.index(wanted.key) + 1,
        "is_active": True,
    }
    if wanted.options:
        theirs = [option for option in (found.options if found else ()) if option not in wanted.options]
        definition["options"] = [
            {"value": each, "label": labels.label(each, language)} for each in (*wanted.options, *theirs)
        ]
    return definition
