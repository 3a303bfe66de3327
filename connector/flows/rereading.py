"""Read records again of which a CRM said only that they changed, and take in how they are now.

What a CRM said is kept as a row for each record, so that a hundred changes of one record are one look at it. The
look is taken outside of any transaction; the row goes in the transaction that takes the record in. A CRM that asks
for a rest, is down or refuses the credentials rests as a whole.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from connector.adapters import metering
from connector.adapters.base import Adapter
from connector.errors import ConfigurationError, ConnectorError, RecordNotFound, TransientError, UnexpectedAnswer
from connector.flows import rest, sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.services import Services
from connector.store import Transaction, commands, rereads, suppression
from connector.store.rereads import Reread

log = logging.getLogger(__name__)

BATCH = 200
#: Records in one call: one by one at 13 seconds each they would outlive a lease.
AT_ONCE = 100
LEASE = timedelta(minutes=5)
#: After this much of the lease what is left waits for the next turn.
TURN = LEASE / 5
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(days=1)

Answer = Record | ConnectorError


def work(services: Services, connection: str) -> int:
    """Read again what is due, one batch; return how many records were answered for."""
    settings = services.current().settings
    if connection not in settings.connections:
        return 0
    with services.store.transaction() as tx:
        if commands.paused(tx, connection):
            return 0
        leased = rereads.lease(tx, connection, BATCH, LEASE)
    if not leased:
        return 0
    try:
        adapter = services.adapter(settings, connection)
    except ConfigurationError as err:
        log.error("connection cannot start", extra={"connection": connection, "why": str(err)})
        return 0
    return _read_all(services, adapter, connection, leased)


def _read_all(services: Services, adapter: Adapter, connection: str, leased: Sequence[Reread]) -> int:
    since, answered = time.monotonic(), 0
    for some in _calls(leased, min(adapter.batch_size, AT_ONCE)):
        if time.monotonic() - since > TURN.total_seconds():
            break
        if not _record(services, connection, some, _fetched(adapter, some)):
            return 0
        answered += len(some)
    return answered


def _calls(leased: Sequence[Reread], size: int) -> Iterator[Sequence[Reread]]:
    for _, group in groupby(leased, key=lambda each: each.object_type):
        each = list(group)
        yield from (each[start : start + size] for start in range(0, len(each), size))


def _fetched(adapter: Adapter, some: Sequence[Reread]) -> Sequence[Answer]:
    refs = [RecordRef(ObjectType(each.object_type), each.record_id) for each in some]
    try:
        with metering.calling_for("fetch"):
            answers = adapter.fetch_many(refs)
    except ConnectorError as err:
        return [err] * len(refs)
    if len(answers) != len(refs):
        return [UnexpectedAnswer(f"{len(answers)} answers to {len(refs)} records")] * len(refs)
    return answers


def _record(services: Services, connection: str, some: Sequence[Reread], answers: Sequence[Answer]) -> bool:
    """Take in what was read and put off what was not; return False when the connection is to rest."""
    asked: ConnectorError | None = None
    with services.store.transaction() as tx:
        suppression.share(tx)
        events = [event for each, answer in zip(some, answers, strict=True) if (event := _event(each, answer))]
        sync.apply(services, tx, connection, events)
        for each, answer in zip(some, answers, strict=True):
            if not isinstance(answer, ConnectorError) or isinstance(answer, RecordNotFound):
                rereads.done(tx, connection, each)
            else:
                asked = _put_off(tx, connection, each, answer) or asked
        if asked is not None:
            rest.pause(tx, connection, asked)
    if asked is not None:
        log.warning("records wait to be read again", extra={"connection": connection, "why": type(asked).__name__})
    return asked is None


def _event(read: Reread, answer: Answer) -> CrmEvent | None:
    """Return what a look at a record tells: how it is now, or that it is gone."""
    ref = RecordRef(ObjectType(read.object_type), read.record_id)
    named = f"{ref.object_type}:{ref.id}"
    if isinstance(answer, Record):
        at = answer.updated_at or read.occurred_at
        return CrmEvent(f"{named}@{at.isoformat()}", EventType.RECORD_CHANGED, ref, at, answer)
    if isinstance(answer, RecordNotFound):
        at = read.occurred_at
        return CrmEvent(f"{named}@{at.isoformat()}", EventType.RECORD_DELETED, ref, at)
    return None


def _put_off(tx: Transaction, connection: str, read: Reread, error: ConnectorError) -> ConnectorError | None:
    """Let a record be read later; return the error if the whole connection should rest."""
    reason = f"{type(error).__name__}: {error}"[:500]
    if rest.rests(error):
        # No record's fault: due as soon as the connection goes on.
        rereads.postpone(tx, connection, read, timedelta(), read.attempts, reason)
        return error
    asked = error.retry_after if isinstance(error, TransientError) else None
    wait = max(asked or timedelta(), min(_FIRST * 2 ** min(read.attempts, 20), _LONGEST))
    rereads.postpone(tx, connection, read, wait, read.attempts + 1, reason)
    return None
