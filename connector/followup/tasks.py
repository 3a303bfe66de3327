"""How a step looks as a task in the CRM (write-back WB1), in the words of whoever it is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.followup import texts
from connector.model.crm import Value
from connector.model.followup import Lack, Step

Fields = dict[str, Value]

_OPEN = "open"
_DONE = "done"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who a task is for: their user in the CRM, their language, their time zone."""

    user: str
    language: str
    timezone: str

    def says(self, what: str, **values: str) -> str:
        """Return a text in their language."""
        return texts.say(what, self.language, **values)

    def at(self, instant: datetime | None) -> str:
        """Return an instant on their clock."""
        return texts.at(instant, self.timezone, self.language) if instant else ""


def opened(step: Step, deal: str, due: datetime, reader: Reader) -> Fields:
    """Return the task of a step that is to be done."""
    return {
        "title": texts.title(step, reader.language),
        "body": texts.body(step, due, reader.timezone, reader.language),
        "status": _OPEN,
        "due": due.isoformat(),
        "owner": reader.user,
        "deal": deal,
    }


def refused(lacks: Sequence[Lack], reader: Reader) -> Fields:
    """Return what reopens a task that was ticked without its evidence (F1)."""
    return {"status": _OPEN, "comment": texts.refusal(lacks, reader.language)}


def done() -> Fields:
    """Return what closes the task of a proven step."""
    return {"status": _DONE}


def restored(reader: Reader) -> Fields:
    """Return what closes a task that somebody reopened although its step is proven done."""
    return {"status": _DONE, "comment": reader.says("restored")}


def cancelled(reader: Reader) -> Fields:
    """Return what closes the task of a step that is no longer owed."""
    return {"status": _DONE, "comment": reader.says("cancelled")}


def overdue(step: Step, deal: str, due: datetime, owner: str, manager: Reader) -> Fields:
    """Return the manager's task about a step its owner let go past its due instant."""
    title = texts.title(step, manager.language)
    return {
        "title": manager.says("overdue", title=title),
        "body": manager.says("overdue_body", owner=owner, due=manager.at(due)),
        "status": _OPEN,
        "owner": manager.user,
        "deal": deal,
    }


def taken_over(due: datetime, before: str, reader: Reader) -> Fields:
    """Return what gives a step's task to its new owner."""
    return {"owner": reader.user, "comment": reader.says("taken_over", owner=before, due=reader.at(due))}


def handed_over(step: Step, deal: str, due: datetime, after: str, reader: Reader, *, paused: bool = False) -> Fields:
    """Return the task that tells the previous owner why the step was taken from them (F7)."""
    title = texts.title(step, reader.language)
    words = [reader.says("handed_over_body", owner=after, due=reader.at(due))]
    if paused:
        words.append(reader.says("paused"))
    return {
        "title": reader.says("handed_over", title=title),
        "body": " ".join(words),
        "status": _OPEN,
        "owner": reader.user,
        "deal": deal,
    }
