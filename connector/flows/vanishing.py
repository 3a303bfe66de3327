"""Erase records in a CRM: find those whose creation may have gone through, then let the adapter remove them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from connector.adapters import metering
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
        with metering.calling_for("erase"):
            return _answers(adapter, object_type, commands)
    except ConnectorError as err:
        return {command.id: err for command in commands}


def _answers(adapter: Adapter, object_type: ObjectType, commands: Sequence[Leased]) -> dict[UUID, Answer]:
    known = {c.id: ref for c in commands if (ref := RecordRef(object_type, c.record) if c.record else c.bound)}
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
    # A lead that was converted is erased as what it has become.
    for each in sorted({ref.object_type for ref in known.values()}):
        answers |= _erased(adapter, {id_: ref for id_, ref in known.items() if ref.object_type is each})
    return answers


def _erased(adapter: Adapter, known: Mapping[UUID, RecordRef]) -> dict[UUID, Answer]:
    results = adapter.erase(list(known.values()))
    if len(results) != len(known):
        raise UnexpectedAnswer(f"{len(results)} answers to {len(known)} records")
    return dict(zip(known, results, strict=True))
