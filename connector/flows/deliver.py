"""Send commands to a CRM: lease, look where an answer was lost, send in batches, record the effect."""

import logging
import random
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from connector.adapters import metering
from connector.adapters.base import Adapter
from connector.errors import (
    ConfigurationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    UnexpectedAnswer,
)
from connector.flows import born, marks, rest
from connector.flows.rest import POLICY
from connector.flows.retry import NextStep
from connector.flows.vanishing import erased
from connector.flows.write import JOINS
from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, Value, WriteResult
from connector.services import Services
from connector.settings.values import Mode
from connector.store import Transaction, commands, connections, erasure, mirror, observed, suppression
from connector.store.commands import LEASE, Done, Failed, Leased
from connector.store.erasure import ERASE
from connector.store.suppression import Suppressed

log = logging.getLogger(__name__)

#: Parents before those that link to them.
ORDER = (ObjectType.LEAD, ObjectType.CONTACT, ObjectType.ACCOUNT, ObjectType.DEAL, ObjectType.TASK, ObjectType.USER)
#: After this much of the lease there is no time left for a call to end within it.
LAST_CALL = LEASE - timedelta(seconds=14)

Answer = WriteResult | ConnectorError


@dataclass(frozen=True, slots=True)
class Load:
    """Commands of one type this process may send, with the record ids their links point to."""

    connection: str
    object_type: ObjectType
    leased: list[Leased]
    targets: Mapping[str, str]
    since: float


def work(services: Services, connection: str) -> int:
    """Send one batch of each object type; return how many commands were taken up.

    While leads wait in full batches they go first: a rep's lead does not wait for other people's tasks.
    """
    settings = services.current().settings
    configured = settings.connections.get(connection)
    if configured is None:
        return 0
    if configured.mode is not Mode.WRITE:
        with services.store.transaction() as tx:
            observed.shelve(tx, connection)
        return 0
    try:
        adapter = services.adapter(settings, connection)
    except ConfigurationError as err:
        log.error("connection cannot start", extra={"connection": connection, "why": str(err)})
        return 0
    with services.store.transaction() as tx:
        observed.follow(tx, connection)
        waiting = commands.waiting_types(tx, connection)
    taken = 0
    for object_type in ORDER:
        if object_type in waiting:
            batch = _send(services, adapter, connection, object_type)
            taken += batch
            if batch == adapter.batch_size:
                break
    return taken


def _send(services: Services, adapter: Adapter, connection: str, object_type: ObjectType) -> int:
    load = _take(services, adapter, connection, object_type)
    if not load.leased:
        return 0
    answers = _answers(adapter, load)
    _record(services, adapter, load, answers)
    return len(load.leased)


def _take(services: Services, adapter: Adapter, connection: str, object_type: ObjectType) -> Load:
    since = time.monotonic()
    with services.store.transaction() as tx:
        # The type before this one may just have been told to slow down.
        if commands.paused(tx, connection):
            return Load(connection, object_type, [], {}, since)
        leased = commands.lease(tx, connection, object_type, services.worker, adapter.batch_size)
        keys = sorted({key for command in leased for key in command.links.values()})
        return Load(connection, object_type, leased, commands.bindings(tx, connection, keys), since)


def _answers(adapter: Adapter, load: Load) -> dict[UUID, Answer]:
    """Look, then send; every command has an answer at the end."""
    erasing = [command for command in load.leased if command.purpose == ERASE]
    writing = replace(load, leased=[command for command in load.leased if command.purpose != ERASE])
    return _written(adapter, writing) | erased(adapter, load.object_type, erasing)


def _written(adapter: Adapter, load: Load) -> dict[UUID, Answer]:
    try:
        answers = _looked_up(adapter, load)
        ready = []
        for command in load.leased:
            if command.id in answers:
                continue
            upsert = _upsert(command, load.targets)
            if isinstance(upsert, ConnectorError):
                answers[command.id] = upsert
            else:
                ready.append((command, upsert))
        answers.update(_sent(adapter, load, ready))
    except ConnectorError as err:
        # A look failed: nothing was sent, so what was unknown stays so, and the rest is as it was.
        return {command.id: err for command in load.leased}
    return answers


def _looked_up(adapter: Adapter, load: Load) -> dict[UUID, Answer]:
    """Find records whose creation may have gone through (promise P5).

    A keyed type would not be made twice, but sent again it would undo what people changed since.
    """
    doubtful = [c for c in load.leased if c.unknown and not c.record]
    answers = {c.id: _as_answer(c.bound) for c in doubtful if c.bound and c.heard}
    lost = [c for c in doubtful if not c.bound]
    if lost:
        with metering.calling_for("find"):
            found = adapter.find(load.object_type, [c.key for c in lost])
        answers |= {c.id: _as_answer(found[c.key]) for c in lost if c.key in found}
    return answers


def _as_answer(found: RecordRef | ConnectorError) -> Answer:
    if isinstance(found, ConnectorError):
        return found
    return WriteResult(found, Outcome.CREATED)


def _upsert(command: Leased, targets: Mapping[str, str]) -> Upsert | ConnectorError:
    missing = [key for key in command.links.values() if key not in targets]
    if missing:
        return InvalidRecord(f"{', '.join(missing)} was never written to this CRM", fields=tuple(command.links))
    linked: dict[str, Value] = {name: targets[key] for name, key in command.links.items()}
    fields = {name: value for name, value in command.fields.items() if name != JOINS}
    return Upsert(
        object_type=command.object_type,
        key=command.key,
        fields=fields | linked,
        record=RecordRef(command.object_type, command.record) if command.record else command.bound,
        trace=str(command.id),
        campaign=str(command.fields.get(JOINS) or ""),
        doubtful=command.unknown,
    )


def _sent(adapter: Adapter, load: Load, ready: Sequence[tuple[Leased, Upsert]]) -> dict[UUID, Answer]:
    if not ready:
        return {}
    if time.monotonic() - load.since > LAST_CALL.total_seconds():
        late = OutcomeUnknown("the lease ran too short to send; another attempt follows")
        return {command.id: late for command, _ in ready}
    try:
        with metering.calling_for(f"write:{_mostly(ready)}"):
            results = adapter.upsert([upsert for _, upsert in ready])
    except ConnectorError as err:
        return {command.id: err for command, _ in ready}
    if len(results) != len(ready):
        broken = UnexpectedAnswer(f"{len(results)} answers to {len(ready)} commands")
        return {command.id: broken for command, _ in ready}
    return {command.id: result for (command, _), result in zip(ready, results, strict=True)}


def _mostly(ready: Sequence[tuple[Leased, Upsert]]) -> str:
    """Return what most commands of one call are for: a call is counted once."""
    purposes = Counter(command.purpose for command, _ in ready)
    return min(purposes, key=lambda purpose: (-purposes[purpose], purpose))


def _record(services: Services, adapter: Adapter, load: Load, answers: Mapping[UUID, Answer]) -> None:
    now = datetime.now(UTC)
    done, failed, gone = [], [], []
    for command in load.leased:
        answer = answers[command.id]
        if isinstance(answer, WriteResult) and command.purpose == ERASE:
            gone.append((command.id, command.key, (load.connection, str(load.object_type), answer.ref.id)))
        elif isinstance(answer, WriteResult):
            ref = answer.ref
            done.append(Done(command, ref.object_type, ref.id, str(answer.outcome), fingerprint(command.fields)))
        else:
            failed.append(_failed(adapter, command, answer, now))
    resting = [answer for answer in answers.values() if isinstance(answer, ConnectorError) and rest.rests(answer)]
    with services.store.transaction() as tx:
        commands.finish(tx, load.connection, services.worker, done)
        if done or gone:
            connections.note_written(tx, load.connection, len(done) + len(gone))
        commands.fail(tx, services.worker, failed)
        taken_over = _taken_over(tx, load.connection, done)
        erasure.close_commands(tx, load.connection, gone)
        kept_out = marks.hashed(services.vault, [marks.of_record(*ref) for _, _, ref in gone if ref[2]])
        suppression.suppress(tx, [Suppressed(mark, "record") for mark in kept_out])
        if resting:
            rest.pause(tx, load.connection, resting[0])
        born.recount(services, tx, taken_over)
    log.info(
        "commands sent",
        extra={
            "connection": load.connection,
            "type": str(load.object_type),
            "done": len(done) + len(gone),
            "failed": len(failed),
            "errors": sorted({type(a).__name__ for a in answers.values() if isinstance(a, ConnectorError)}),
        },
    )


def _taken_over(tx: Transaction, connection: str, done: Sequence[Done]) -> list[tuple[str, str]]:
    """Take leads the CRM already had out of its mirror, as they are ours now; return whose they were."""
    leads = [
        each.record
        for each in done
        if each.object_type is ObjectType.LEAD and each.outcome in (Outcome.LINKED, Outcome.MOVED)
    ]
    owners = mirror.forget(tx, connection, str(ObjectType.LEAD), leads) if leads else []
    return [(connection, owner) for owner in owners]


def _failed(adapter: Adapter, command: Leased, error: ConnectorError, now: datetime) -> Failed:
    rests = rest.rests(error)
    burned = command.attempts + (0 if rests else 1)
    step, wait = POLICY.next_step(error, max(burned, 1))
    # A batch that one of its records breaks shall not come back as one. What the whole connection rests for is no
    # record's fault: spread out, it would come back in many calls of a few, and use up the limit it rests for.
    wait = wait if rests else wait * random.uniform(1.0, 1.2)  # noqa: S311 (not for secrecy)
    unknown = command.unknown or isinstance(error, OutcomeUnknown)
    if step is NextStep.RECONCILE:
        wait = max(wait, timedelta(seconds=adapter.search_lag + 1))
    due = None if step is NextStep.PARK else now + wait
    message = f"{type(error).__name__}: {error}"
    return Failed(command, message[:500], due, unknown, burned)


def fingerprint(fields: Mapping[str, Value]) -> dict[str, str]:
    """Return short hashes of what was written, by field, to know our own words when they come back (P9)."""
    return {name: f"{zlib.crc32(repr(value).encode()):08x}" for name, value in fields.items()}
