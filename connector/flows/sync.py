"""What the CRMs tell us: keep the mirror, free capacity, and turn changes into canonical events."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from connector.adapters import metering
from connector.adapters.base import Capability
from connector.errors import ConfigurationError, ConnectorError
from connector.flows import answers, born, followups, forgotten, held, rest, told
from connector.flows.batches import work_off
from connector.flows.deliver import fingerprint
from connector.flows.facts import CLOSED_LEAD, facts_of, mirror_row, ticked_since
from connector.flows.staff import person_of
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, Value
from connector.model.delivery import Fate
from connector.services import Services
from connector.store import (
    Transaction,
    commands,
    deliveries,
    events,
    leads,
    ledger,
    mirror,
    rereads,
    responses,
    suppression,
    sync,
)
from connector.store.deliveries import Finished, StoredDelivery
from connector.store.leads import LeadRow
from connector.store.mirror import MirrorRow
from connector.store.sync import Bound

BATCH = 20
PAGES = 50
#: Polls are a minute apart: a page within so many seconds before one was read by somebody else.
OWN_PACE = 20.0


@dataclass(frozen=True, slots=True)
class News:
    """Events of one connection with what we know of their records; `changed` is still to be stored."""

    connection: str
    events: Sequence[CrmEvent]
    bound: dict[tuple[str, str], list[Bound]]
    mirrored: dict[tuple[str, str], MirrorRow] = field(default_factory=dict)
    changed: dict[tuple[str, str], MirrorRow] = field(default_factory=dict)
    #: What happened before is history and starts nothing; None: nothing is.
    began: datetime | None = None
    #: Users whose leads of the CRM's own changed.
    touched: set[tuple[str, str]] = field(default_factory=set)
    #: Records that were only named, and when they changed.
    bare: list[tuple[str, str, datetime]] = field(default_factory=list)
    #: Records the CRM was told to forget, with our keys for them.
    erased: dict[tuple[str, str], list[str]] = field(default_factory=dict)


def work(services: Services) -> int:
    """Work off stored webhook deliveries of the CRMs; return how many were taken up."""
    return work_off(services, "crm", BATCH, lambda tx, claimed: _work_batch(services, tx, claimed))


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of a change feed told: how many records of each type; `more`: there is another page."""

    told: Mapping[str, int]
    more: bool


NO_PAGE = Page({}, more=False)


def poll(services: Services, connection: str, stopping: Callable[[], bool] = lambda: False) -> int:
    """Read a connection's change feed from where we left it; makes up for lost webhooks. Return events seen.

    Ends after a page when the process is `stopping`; whoever reads next begins with the one after it.

    Raises:
        ConnectorError: the CRM did not answer; the page is read again next time. One that asks for a rest, is down or
            refuses the credentials rests as a whole.
    """
    seen = 0
    for _ in range(PAGES):
        page = read_page(services, connection)
        seen += sum(page.told.values())
        if not page.more or stopping():
            break
    return seen


def is_being_read(services: Services, connection: str) -> bool:
    """Tell whether somebody else reads the change feed right now, as `hearback crm sync` does for a while."""
    with services.store.transaction() as tx:
        return sync.is_being_read(tx, connection, OWN_PACE)


def read_page(services: Services, connection: str) -> Page:
    """Read the next page of a change feed and take it in; a connection that rests has none. Raises as `poll` does."""
    settings = services.current().settings
    try:
        adapter = services.adapter(settings, connection)
    except ConfigurationError:
        return NO_PAGE
    if Capability.CHANGE_FEED not in adapter.capabilities:
        return NO_PAGE
    with services.store.transaction() as tx:
        if commands.paused(tx, connection):
            return NO_PAGE
        cursor = sync.begin(tx, connection)
    try:
        with metering.calling_for("poll"):
            changes, following = adapter.changes_since(cursor)
    except ConnectorError as err:
        rest.pause_for(services, connection, err)
        raise
    more = following != cursor
    with services.store.transaction() as tx:
        suppression.share(tx)
        apply(services, tx, connection, changes)
        first = not sync.is_caught_up(tx, connection)
        sync.advance(tx, connection, cursor, following, caught_up=not more)
        if first and not more:
            born.recount_all(services, tx, connection)
    # A record that is another one's now is told as that one, too.
    told_of = [event.ref for event in changes if event.record is None or event.record.ref == event.ref]
    return Page(Counter(str(ref.object_type) for ref in told_of), more)


def _work_batch(services: Services, tx: Transaction, claimed: list[StoredDelivery]) -> None:
    parsed = told.known_only(services, tx, told.parse_all(services, tx, claimed))
    by_connection: dict[str, list[CrmEvent]] = defaultdict(list)
    for connection, changes in parsed.values():
        by_connection[connection].extend(changes)
    news = _take_up(tx, by_connection)
    finished = []
    for delivery, (connection, changes) in parsed.items():
        applied = _apply_all(services, tx, news[connection], changes)
        finished.append(Finished(delivery, Fate.APPLIED, _fate(applied, changes)))
    deliveries.finish(tx, finished)
    _conclude(services, tx, news)


def _fate(applied: int, changes: Sequence[CrmEvent]) -> str:
    bare = sum(map(_is_bare, changes))
    return f"{applied} of {len(changes)} events were news" + (f", {bare} records are read again" if bare else "")


def apply(services: Services, tx: Transaction, connection: str, changes: Sequence[CrmEvent]) -> int:
    """Take in events of one connection in order; return how many were news to us.

    Applying an event twice, or after a later one, changes nothing. Records a CRM only names are noted to be read.
    """
    known = told.known(services, tx, connection, changes)
    news = _take_up(tx, {connection: known})[connection]
    applied = _apply_all(services, tx, news, known)
    _conclude(services, tx, {connection: news})
    return applied


def _apply_all(services: Services, tx: Transaction, news: News, changes: Sequence[CrmEvent]) -> int:
    applied = sum(_apply_one(services, tx, news, event) for event in changes if not _is_bare(event))
    _store_changed(tx, news)
    news.bare.extend((*_name(event), event.occurred_at) for event in changes if _is_bare(event))
    return applied


def _conclude(services: Services, tx: Transaction, news: Mapping[str, News]) -> None:
    """Do what waits for the end of a transaction, so that all take these locks in one order."""
    for connection, each in sorted(news.items()):
        rereads.put(tx, connection, each.bare)
        if each.erased:
            forgotten.forget_records(services, tx, connection, each.erased)
    if any(each.bare for each in news.values()):
        tx.after_commit(lambda: services.wake("reread"))
    born.recount(services, tx, [user for each in news.values() for user in each.touched])


def _is_bare(event: CrmEvent) -> bool:
    """Tell an event that says that a record changed, and not how."""
    return event.type is EventType.RECORD_CHANGED and event.record is None


def _store_changed(tx: Transaction, news: News) -> None:
    mirror.put(tx, list(news.changed.values()))
    news.changed.clear()


def _take_up(tx: Transaction, told: Mapping[str, Sequence[CrmEvent]]) -> dict[str, News]:
    """Return what is known of everything a transaction will apply, the ledger locked if that needs it.

    The lock order wants the ledger before any lead, and two batches must not wait for it with records locked.
    """
    news = {
        connection: News(connection, changes, _bindings(tx, connection, changes), began=sync.began_at(tx, connection))
        for connection, changes in told.items()
    }
    if any(_changes_capacity(each, event) for each in news.values() for event in each.events):
        ledger.lock(tx)
    for each in news.values():
        names = {name for event in each.events for name in (_name(event), _name_after(event))}
        each.mirrored.update(mirror.known(tx, each.connection, sorted(names)))
    return news


def _bindings(tx: Transaction, connection: str, changes: Sequence[CrmEvent]) -> dict[tuple[str, str], list[Bound]]:
    """Return which of the records are ours.

    A record may be heard of before the answer to the command that made it is recorded: its key tells.
    """
    names = sorted({name for event in changes for name in (_name(event), _name_after(event))})
    found = sync.bound(tx, connection, names)
    told = [
        (event.record.key, *_name_after(event))
        for event in changes
        if event.record and event.record.key and _name(event) not in found and _name_after(event) not in found
    ]
    if not told:
        return found
    sync.hear(tx, connection, told)
    return sync.bound(tx, connection, names)


def _name(event: CrmEvent) -> tuple[str, str]:
    return str(event.ref.object_type), event.ref.id


def _name_after(event: CrmEvent) -> tuple[str, str]:
    """Return the record that holds what the event's record held: another one after a merge or a conversion."""
    ref = event.record.ref if event.record else event.ref
    return str(ref.object_type), ref.id


def _changes_capacity(news: News, event: CrmEvent) -> bool:
    if event.ref.object_type is not ObjectType.LEAD:
        return False
    if _name(event) != _name_after(event):
        return _name(event) in news.bound or _name_after(event) in news.bound
    return any(not _is_lead_echo(event, binding) for binding in news.bound.get(_name(event), ()))


def _apply_one(services: Services, tx: Transaction, news: News, event: CrmEvent) -> bool:
    if event.type is EventType.UNKNOWN:
        return False
    if event.record is not None and event.record.ref != event.ref:
        event = _followed(services, tx, news, event, event.record)
    bindings = news.bound.get(_name(event), [])
    if event.type is EventType.RECORD_ERASED:
        news.erased[_name(event)] = [each.key for each in bindings]
    if event.ref.object_type is ObjectType.LEAD and bindings:
        told = [
            not _is_lead_echo(event, each) and _lead_changed(services, tx, news.connection, event, each)
            for each in bindings
        ]
        return any(told)
    return _mirrored(services, tx, news, event, bindings[0] if bindings else None)


def _followed(services: Services, tx: Transaction, news: News, event: CrmEvent, record: Record) -> CrmEvent:
    """Follow a record that was merged or converted: what was bound to it is bound to the other one."""
    old, new = _name(event), _name_after(event)
    bindings = news.bound.pop(old, [])
    if event.ref.object_type is ObjectType.LEAD is not record.ref.object_type:
        for each in bindings:
            _closed(services, tx, news.connection, each)
    if bindings:
        sync.rebind(tx, news.connection, old, new)
        news.bound.setdefault(new, []).extend(bindings)
        if record.ref.object_type is ObjectType.LEAD:
            _touch(news, *mirror.forget(tx, news.connection, *new[:1], new[1:]))
    if old in news.mirrored:
        _touch(news, mirror.drop(tx, news.connection, *old))
    for known in (news.mirrored, news.changed):
        known.pop(old, None)
    return replace(event, ref=record.ref)


def _touch(news: News, *users: str) -> None:
    news.touched.update((news.connection, user) for user in users if user)


def _is_lead_echo(event: CrmEvent, binding: Bound) -> bool:
    """Tell our own write of a lead coming back: what we act upon still has the value we wrote (P9)."""
    if event.record is None:
        return False
    fields = event.record.fields
    return _are_ours({name: fields.get(name) for name in ("status", "owner", "response")}, binding)


def _is_echo(record: Record | None, before: MirrorRow | None, binding: Bound | None) -> bool:
    """Tell our own write coming back: every field that changed has the value we wrote last (P9)."""
    if record is None or binding is None:
        return False
    new, old = record.fields, before.fields if before else {}
    changed = {name: new.get(name) for name in new.keys() | old.keys() if new.get(name) != old.get(name)}
    return _are_ours(changed, binding)


def _are_ours(values: Mapping[str, Value], binding: Bound) -> bool:
    """Tell whether each of these values is the one we wrote last, or one that is being written."""
    said = fingerprint(values)
    return all(
        binding.written.get(name, said[name] if value is None else "") == said[name]
        or any(name in sent and sent[name] == value for sent in binding.sending)
        for name, value in values.items()
    )


def _lead_changed(services: Services, tx: Transaction, connection: str, event: CrmEvent, binding: Bound) -> bool:
    if event.is_gone or _status(event.record) in CLOSED_LEAD:
        return _closed(services, tx, connection, binding)
    row = _living(tx, binding, connection)
    if row is None:
        return False
    moved = _owner_changed(services, tx, event, binding, row)
    if moved or event.record is None:
        return moved
    return answers.on_lead(services, tx, connection, row.id, event.record, event.occurred_at)


def _closed(services: Services, tx: Transaction, connection: str, binding: Bound) -> bool:
    """Close the lead behind a binding; its owner has room for another one."""
    row = _living(tx, binding, connection)
    owner = leads.close(tx, row.id, tx.now()) if row is not None else None
    if row is None or owner is None:
        return False
    responses.close(tx, row.id)
    ledger.shift_open(tx, owner, -1)
    held.announce(services, tx)
    return True


def _living(tx: Transaction, binding: Bound, connection: str) -> LeadRow | None:
    """Return a lead, None if this CRM does not hold it any more: it went to an owner in another one."""
    lead = UUID(binding.key.removeprefix("lead:"))
    row = leads.by_ids(tx, [lead]).get(lead)
    return row if row is not None and row.connection in (None, connection) else None


def _owner_changed(services: Services, tx: Transaction, event: CrmEvent, binding: Bound, row: LeadRow) -> bool:
    """Follow a person who moved the lead in the CRM: their choice stands."""
    user = str(event.record.fields.get("owner") or "") if event.record else ""
    if not user or _are_ours({"owner": user}, binding):
        return False
    person = person_of(services.active(tx).settings, row.connection or "", user)
    if person is None or answers.is_overtaken(tx, row.id, person, event.occurred_at):
        return False
    before = leads.change_owner(tx, row.id, person, event.occurred_at)
    if before is None:
        return False
    agreed = fingerprint({"owner": user})
    binding.written.update(agreed)
    sync.agree(tx, str(row.connection), binding.key, agreed)
    answers.on_move(services, tx, row, person)
    ledger.shift_open(tx, before, -1)
    ledger.shift_open(tx, person, 1)
    held.announce(services, tx)
    return True


def _mirrored(services: Services, tx: Transaction, news: News, event: CrmEvent, binding: Bound | None) -> bool:
    before = news.mirrored.get(_name(event))
    if before is not None and before.changed_at >= event.occurred_at:
        return False
    row = mirror_row(news.connection, event, before)
    if event.ref.object_type is ObjectType.LEAD:
        _touch(news, row.owner, before.owner if before else "")
    news.mirrored[_name(event)] = news.changed[_name(event)] = row
    if _is_echo(event.record, before, binding) and not ticked_since(row.fields, binding):
        return False
    if binding is None and news.began is not None and event.occurred_at < news.began:
        return True
    facts = facts_of(news.connection, event, before, row, binding)
    if facts:
        # What follows from a fact reads the mirror.
        _store_changed(tx, news)
    for fact in facts:
        if events.put(tx, fact):
            followups.on_event(services, tx, fact)
            answers.on_event(services, tx, fact)
    return True


def _status(record: Record | None) -> str:
    return str(record.fields.get("status") or "") if record else ""
