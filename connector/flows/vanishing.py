"""Erase records in a CRM: find those whose creation may have gone through, then let the adapter remove them."""

from collections.abc import Sequence
from uuid import UUID

from connector.adapters.base import Adapter
from connector.errors import ConnectorError, UnexpectedAnswer
from connector.model.crm import ObjectType, Outcome, RecordRef, WriteResult
from connector.store.commands import Leased

Answer = WriteResult | ConnectorError


def erased(adapter: Adapter, object_type: ObjectType, commands: Sequence[Leased]) -> dict[UUID, Answer]:
    """Return the answer to each command that erases; a record nobody finds was never made, and that is done.

    Safe to repeat, also where an answer was lost.
    """
    if not commands:
        return {}
    try:
        return _answers(adapter, object_type, commands)
    except ConnectorError as err:
        return {command.id: err for command in commands}


def _answers(adapter: Adapter, object_type: ObjectType, commands: Sequence[Leased]) -> dict[UUID, Answer]:
    known: dict[UUID, RecordRef] = {c.id: RecordRef(object_type, r) for c in commands if (r := c.record or c.bound)}
    lost = [c for c in commands if c.id not in known]
    found = adapter.find(object_type, [c.key for c in lost]) if lost else {}
    answers: dict[UUID, Answer] = {}
    for command in lost:
        match found.get(command.key):
            case RecordRef() as ref:
                known[command.id] = ref
            case None:
                answers[command.id] = WriteResult(RecordRef(object_type, ""), Outcome.UNCHANGED)
            case error:
                answers[command.id] = error
    if known:
        results = adapter.erase(list(known.values()))
        if len(results) != len(known):
            raise UnexpectedAnswer(f"{len(results)} answers to {len(known)} records")
        answers |= dict(zip(known, results, strict=True))
    return answers
