"""Erase somebody: from what came in, what we know, what waits to be written, and from the CRMs (requirement I33).

First the person is suppressed, and whoever takes people in right now is waited for; from then on nothing more of
them comes in. Then what is not read yet is read, everything of them is found, and goes in two transactions: the
leads, under the ledger's lock, and all the rest. What was found stands in the erasure's record as ids meanwhile, so
that a crash anywhere leaves something to carry on with, and doing it again does it once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from connector.adapters.base import Capability
from connector.errors import ConfigurationError
from connector.flows import held, intake, marks, parting, sync
from connector.flows.read import CONTENT_WINDOW
from connector.flows.searching import Person, cards_of, find, scan
from connector.model.crm import ObjectType
from connector.model.identity import new_id
from connector.services import Services
from connector.settings.values import Mode, Settings
from connector.store import Transaction, commands, erasure, erasures, leads, ledger, responses, suppression, tracing
from connector.store.commands import LEASE, NewCommand
from connector.store.erasure import ERASE, Found
from connector.store.erasures import Erasure
from connector.store.suppression import Suppressed
from connector.store.upkeep import KEY_DAYS

Progress = Callable[[int, int], None]

#: Who is taken in while we look is found by the next look.
LOOKS = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """What would go, by place; `unread` deliveries are read first and may add to it."""

    counts: dict[str, int]
    unread: int
    erased_before: bool


def preview(services: Services, person: Person, progress: Progress) -> Preview:
    """Return what an erasure would take away; nothing is changed."""
    extra = scan(services, person, progress)
    with services.store.transaction() as tx:
        person, found = find(services, tx, person, extra)
        counts = {name: len(rows) for name, rows in erasure.show(tx, found).items() if name in _GOING}
        known = suppression.entries(tx, marks.sought(services.vault, person.firm_marks()))
        return Preview({name: count for name, count in counts.items() if count}, tracing.unread(tx), bool(known))


_GOING = frozenset(place.name for place in erasure.PLACES if place.erased) | {"leads"}


def erase(services: Services, person: Person, asked_by: str, progress: Progress) -> Erasure:
    """Erase a person and return the record of it; run again after a crash, it goes on."""
    erasure_id = _begin(services, person, asked_by)
    _read_what_waits(services)
    extra = scan(services, person, progress)
    for _ in range(LOOKS):
        if not _look_and_clear(services, erasure_id, person, extra):
            break
        extra = frozenset()
    with services.store.transaction() as tx:
        erasures.finish(tx, erasure_id)
        return erasures.get(tx, erasure_id)


def work(services: Services) -> None:
    """Carry on erasures that a vendor asked for, or that were interrupted after something was found."""
    with services.store.transaction() as tx:
        waiting = erasures.waiting(tx)
    for each in waiting:
        assert each.found is not None
        _clear(services, each.id, each.found)
        if not each.subject:
            with services.store.transaction() as tx:
                erasures.finish(tx, each.id)


def _begin(services: Services, person: Person, asked_by: str) -> UUID:
    with services.store.transaction() as tx:
        suppression.hold(tx)
        subject = marks.hashed(services.vault, person.firm_marks())
        suppression.suppress(tx, [Suppressed(mark, "person") for mark in subject])
        begun = erasures.unfinished_of(tx, marks.sought(services.vault, person.firm_marks()))
        if begun is None:
            erasure_id = new_id()
            erasures.begin(tx, erasure_id, asked_by=asked_by, subject=subject)
            return erasure_id
    if begun.found:
        _clear(services, begun.id, begun.found)
    return begun.id


def _read_what_waits(services: Services) -> None:
    """Read deliveries that nobody has read: some may speak of the person, and others of others too."""
    while intake.work(services) or sync.work(services):
        pass


def _look_and_clear(services: Services, erasure_id: UUID, person: Person, extra: frozenset[UUID]) -> bool:
    with services.store.transaction() as tx:
        known, found = find(services, tx, person, extra)
        if not found:
            return False
        erasures.note_found(tx, erasure_id, found)
        named = [*known.all_marks(), *cards_of(tx, found.recipients)]
        suppression.suppress(tx, [Suppressed(mark, "person") for mark in marks.hashed(services.vault, named)])
    _clear(services, erasure_id, found)
    return True


def _clear(services: Services, erasure_id: UUID, found: Found) -> None:
    """Take away what was found: the leads, then everything else. Doing it twice is doing it once."""
    _clear_leads(services, erasure_id, found)
    with services.store.transaction() as tx:
        if not erasures.take(tx, erasure_id):
            return
        found, parted = parting.part(services, tx, found)
        _keep_out(services, tx, found)
        by_hand = list(_erase_in_crms(services, tx, found))
        erasures.add(tx, erasure_id, {**erasure.clear(tx, found), "delivery parts": parted}, by_hand)
        erasures.note_cleared(tx, erasure_id)
        tx.after_commit(lambda: services.wake("commands"))


def _clear_leads(services: Services, erasure_id: UUID, found: Found) -> None:
    with services.store.transaction() as tx:
        if not erasures.take(tx, erasure_id):
            return
        erasure.forget_keys(tx, found.leads)
        ledger.lock(tx)
        count = 0
        for lead in sorted(found.leads):
            if leads.lock(tx, lead) is None:
                continue
            owner = leads.close(tx, lead, tx.now())
            if owner is not None:
                ledger.shift_open(tx, owner, -1)
                held.announce(services, tx)
            responses.close(tx, lead)
            count += erasure.forget_lead(tx, lead)
        erasures.add(tx, erasure_id, {"leads": count})


def _keep_out(services: Services, tx: Transaction, found: Found) -> None:
    """Suppress the submissions and the CRM records that go, so that none comes again."""
    vault, kept = services.vault, []
    for source, key, seen_at in erasure.keys_of(tx, found):
        until = seen_at + CONTENT_WINDOW if key.startswith("content:") else None
        kept.append(Suppressed(marks.hashed(vault, [marks.of_submission(source, key)])[0], "submission", until))
    for source, key, created_at in erasure.requests_of(tx, found):
        until = created_at + timedelta(days=KEY_DAYS)
        kept.append(Suppressed(marks.hashed(vault, [marks.of_request(source, key)])[0], "submission", until))
    records = [marks.of_record(*ref) for ref in sorted(found.records)]
    kept += [Suppressed(mark, "record") for mark in marks.hashed(vault, records)]
    suppression.suppress(tx, kept)


def _erase_in_crms(services: Services, tx: Transaction, found: Found) -> Iterator[str]:
    """Ask the CRMs to erase what we wrote; say what a person has to do there by hand."""
    settings = services.active(tx).settings
    ours = tracing.written(tx, found.leads)
    able = {connection: _can_erase(services, settings, connection) for connection in {row[0] for row in ours}}
    for connection, key, object_type, record in ours:
        if not able[connection]:
            yield f"{connection}: {object_type} {record or f'with our key {key}'} (this CRM cannot be asked to erase)"
    _ask(tx, found, [row for row in ours if able[row[0]]])
    written = {(connection, object_type, record) for connection, _, object_type, record in ours}
    for connection, object_type, record in sorted(found.records - written):
        yield f"{connection}: {object_type} {record} (not made by Hearback)"
    for connection, object_type, record in sorted(found.linked):
        if object_type == ObjectType.DEAL:
            yield f"{connection}: deal {record} (look whether its name or notes speak of the person)"


def _ask(tx: Transaction, found: Found, rows: list[tuple[str, str, str, str | None]]) -> None:
    asked = {(c, key) for c in {row[0] for row in rows} for key in erasure.asked_of_crm(tx, c, [r[1] for r in rows])}
    put = [
        NewCommand(
            connection=connection,
            key=key,
            object_type=ObjectType(object_type),
            fields={},
            purpose=ERASE,
            correlation=new_id(),
            record=record,
        )
        for connection, key, object_type, record in rows
        if (connection, key) not in asked
    ]
    ids = commands.put(tx, put)
    if erasure.is_sending(tx, found.leads):
        # A call under way may still make a record: it is looked for when the call must have ended.
        erasure.wait_for_sending(tx, ids, LEASE.total_seconds())


def _can_erase(services: Services, settings: Settings, connection: str) -> bool:
    configured = settings.connections.get(connection)
    if configured is None or configured.mode is not Mode.WRITE:
        return False
    try:
        return Capability.ERASE in services.adapter(settings, connection).capabilities
    except ConfigurationError:
        return False
