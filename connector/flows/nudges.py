"""What people read in their CRM about a lead that waits for them, as commands. Pure."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from connector.flows import write
from connector.flows.staff import language_of
from connector.model.crm import ObjectType, Value
from connector.model.people import Person
from connector.routing.explain import cause_texts, moment
from connector.settings.values import Settings
from connector.store.commands import NewCommand
from connector.store.leads import LeadRow
from connector.store.responses import ResponseRow

#: The cause of a move that nobody's answer, or silence, brought about.
RULES_CHANGED = ("rules_changed", "")
#: How our tasks on a lead begin; whoever ticks one has seen to the lead.
TASKS = frozenset(("task", "again", "remind"))

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "remind": {
        "en": "Please respond to {name} by {due}",
        "de": "Bitte bis {due} melden bei: {name}",
        "pl": "Skontaktuj się do {due}: {name}",
    },
    "remind_body": {
        "en": "The lead is yours since {since} and waits for your first response. After {due} somebody else gets it.",
        "de": "Sie haben den Lead seit {since}, die erste Reaktion steht aus. Nach {due} geht er an jemand anders.",
        "pl": "Lead jest u Ciebie od {since} i czeka na pierwszą reakcję. Po {due} przejmie go ktoś inny.",
    },
    "remind_pinned": {
        "en": "The lead is yours since {since} and waits for your first response. After {due} your manager is told.",
        "de": "Sie haben den Lead seit {since}, die erste Reaktion steht noch aus. Nach {due} erfährt es Ihre Leitung.",
        "pl": "Lead jest u Ciebie od {since} i czeka na pierwszą reakcję. Po {due} dowie się Twój przełożony.",
    },
    "taken": {
        "en": "Handed on: {name}",
        "de": "Weitergegeben: {name}",
        "pl": "Przekazane: {name}",
    },
    "breach": {
        "en": "There was no response by {due}, so {owner} has the lead now.",
        "de": "Bis {due} gab es keine Reaktion, deshalb hat den Lead jetzt {owner}.",
        "pl": "Do {due} nie było reakcji, dlatego lead przejmuje {owner}.",
    },
    "not_accepted": {
        "en": "You had not accepted it by {due}, so {owner} has the lead now.",
        "de": "Sie haben ihn bis {due} nicht angenommen, deshalb hat den Lead jetzt {owner}.",
        "pl": "Lead nie został przyjęty do {due}, dlatego przejmuje go {owner}.",
    },
    "rejected": {
        "en": "You rejected it ({verdict}), so {owner} has the lead now.",
        "de": "Sie haben ihn abgelehnt ({verdict}), deshalb hat den Lead jetzt {owner}.",
        "pl": "Lead odrzucony ({verdict}), dlatego przejmuje go {owner}.",
    },
    "rules_changed": {
        "en": "The rules for leads have changed, so {owner} has the lead now.",
        "de": "Die Regeln für Leads haben sich geändert, deshalb hat den Lead jetzt {owner}.",
        "pl": "Zmieniły się reguły przydziału, dlatego lead przejmuje {owner}.",
    },
    "manager": {
        "en": "No response yet: {name}",
        "de": "Noch keine Reaktion: {name}",
        "pl": "Wciąż bez reakcji: {name}",
    },
    "manager_breach": {
        "en": "{owner} was to respond by {due}. The lead stays theirs until somebody moves it. Please see to it.",
        "de": "{owner} sollte sich bis {due} melden. Der Lead bleibt dort, bis ihn jemand verschiebt. "
        "Bitte kümmern Sie sich darum.",
        "pl": "{owner}: termin reakcji minął {due}. Lead pozostaje tam, dopóki ktoś go nie przeniesie. "
        "Zajmij się tym, proszę.",
    },
    "manager_rejected": {
        "en": "{owner} rejected the lead ({verdict}). It stays theirs until somebody moves it. Please see to it.",
        "de": "{owner} hat den Lead abgelehnt ({verdict}). Er bleibt dort, bis ihn jemand verschiebt. "
        "Bitte kümmern Sie sich darum.",
        "pl": "{owner}: lead odrzucony ({verdict}). Pozostaje tam, dopóki ktoś go nie przeniesie. "
        "Zajmij się tym, proszę.",
    },
}


def remind(settings: Settings, lead: LeadRow, row: ResponseRow) -> list[NewCommand]:
    """Return the task that reminds an owner; a later reminder opens the same task again."""
    body = "remind_pinned" if row.pinned else "remind_body"
    since, due = row.offered_at.isoformat(), _due(row).isoformat()
    facts = {"due": due, "since": since}
    return _with(_task(settings, lead, row.owner, _reminder(row), ("remind", body), facts), due=due)


def reminder_done(lead: LeadRow, row: ResponseRow) -> list[NewCommand]:
    """Return what closes an owner's reminder once nothing is owed any more."""
    return [_command(lead, _reminder(row), {"status": "done"})] if row.reminded and lead.connection else []


def taken(
    settings: Settings, lead: LeadRow, owner: str, cause: tuple[str, str], to: str, again: int | None
) -> list[NewCommand]:
    """Return what tells the earlier owner where the lead went and why; it closes their task.

    `again` is the number of their assignment where they had the lead before.
    """
    connection = settings.connections.get(str(lead.connection))
    kind = "task" if connection and connection.rep_tasks else "taken"
    texts = ("taken", cause[0])
    facts = {"owner": _name(settings, to), **_fact(cause)}
    key = write.task_key(lead.id, owner, again, kind)
    return _with(_task(settings, lead, owner, key, texts, facts), status="done")


def ask_manager(
    settings: Settings, lead: LeadRow, row: ResponseRow, cause: tuple[str, str], manager: str
) -> list[NewCommand]:
    """Return the manager's task about a lead that stays with its owner."""
    what = "manager_rejected" if cause[0] == "rejected" else "manager_breach"
    facts = {"owner": _name(settings, row.owner), **_fact(cause)}
    key = f"unanswered:{lead.id}:{row.owner}:{row.offered_at:%Y%m%dT%H%M}"
    return _task(settings, lead, manager, key, ("manager", what), facts)


def _task(
    settings: Settings,
    lead: LeadRow,
    reader: str,
    key: str,
    texts: tuple[str, str],
    facts: Mapping[str, str],
) -> list[NewCommand]:
    """Return a task in the words, and on the clock, of its reader; none for somebody without a user there."""
    person = settings.people.get(reader)
    user = person.users.get(str(lead.connection)) if person else None
    if person is None or user is None:
        return []
    language = language_of(settings, reader)
    said = {name: _in_words(name, fact, language, person) for name, fact in facts.items()}
    said["name"] = _customer(lead)
    title, body = (_TEXTS[text][language].format(**said) for text in texts)
    return [_command(lead, key, {"title": title, "body": body, "owner": user, "status": "open"})]


def _with(told: list[NewCommand], **fields: Value) -> list[NewCommand]:
    return [command._replace(fields={**command.fields, **fields}) for command in told]


def _command(lead: LeadRow, key: str, fields: Mapping[str, Value]) -> NewCommand:
    return NewCommand(
        connection=str(lead.connection),
        key=key,
        object_type=ObjectType.TASK,
        fields=fields,
        purpose="response",
        correlation=lead.correlation,
        after_key=write.lead_key(lead.id),
        links={"lead": write.lead_key(lead.id)},
        lead_id=lead.id,
    )


def _in_words(name: str, fact: str, language: str, person: Person) -> str:
    if name in ("due", "since"):
        return moment(fact, language, person.timezone)
    return cause_texts(language)[fact] if name == "verdict" else fact


def _fact(cause: tuple[str, str]) -> dict[str, str]:
    code, detail = cause
    fact = detail.partition(":")[2]
    return {"verdict" if code == "rejected" else "due": fact} if fact else {}


def _due(row: ResponseRow) -> datetime:
    """Return the next promise to keep."""
    waiting = row.accept_due is not None and row.state == "offered"
    return min(row.accept_due or row.touch_due, row.touch_due) if waiting else row.touch_due


def _reminder(row: ResponseRow) -> str:
    return f"remind:{row.lead_id}:{row.assign_seq}:{row.owner}"


def _customer(lead: LeadRow) -> str:
    known = {name: str(lead.data.get(name) or "") for name in ("first_name", "last_name", "company", "email")}
    return f"{known['first_name']} {known['last_name']}".strip() or known["company"] or known["email"] or str(lead.id)


def _name(settings: Settings, person: str) -> str:
    known = settings.people.get(person)
    return known.name if known else person


def lead_of(key: str) -> UUID | None:
    """Return the lead one of our tasks is about, None for other tasks."""
    kind, _, rest = key.partition(":")
    return UUID(rest.partition(":")[0]) if kind in TASKS else None
