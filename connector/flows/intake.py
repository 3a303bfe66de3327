"""Work off stored deliveries: parse, normalise, match, route, and commit it all together."""

from collections.abc import Mapping
from uuid import UUID

from connector.flows import answering, at_once, forgotten, held, read, route, screen, write
from connector.flows.batches import work_off
from connector.flows.consents import events_of
from connector.flows.hearing import Admitted, Heard, admit, hear
from connector.flows.read import Prepared
from connector.flows.route import Batch
from connector.model.delivery import Fate
from connector.services import Active, Services
from connector.store import Transaction, commands, consents, deliveries, fetches, leads
from connector.store.deliveries import Finished, StoredDelivery

BATCH = 200


def work(services: Services) -> int:
    """Work off one batch of deliveries; return how many were taken up (0: nothing is waiting)."""
    return work_off(services, "lead", BATCH, lambda tx, claimed: _work_batch(services, tx, claimed))


def _work_batch(services: Services, tx: Transaction, claimed: list[StoredDelivery]) -> None:
    active = services.active(tx)
    heard = hear(services, tx, active.settings, claimed)
    admitted, settled = _sift(services, tx, active, heard)
    fresh, newer, repeated = _dedupe(tx, admitted.prepared)
    finished = [*settled, *admitted.finished, *repeated]
    answering.record(tx, active.settings, fresh, heard.mailed)
    said = list(newer)
    if fresh:
        batch, joined = _route(tx, active, fresh)
        said.extend(joined)
        _look_again(services, tx, batch)
        finished.extend(Finished(p.delivery.id, Fate.LEADS, is_test=p.submission.is_test) for p in fresh)
    # Leads are locked after the ledger, so newer versions come last.
    for p, lead in newer:
        finished.append(Finished(p.delivery.id, Fate.UPDATED))
        if update(tx, p, lead):
            held.announce(services, tx)
    consents.record(tx, events_of(said))
    deliveries.finish(tx, finished, admitted.scored)
    tx.after_commit(lambda: services.wake("commands"))


def _sift(services: Services, tx: Transaction, active: Active, heard: Heard) -> tuple[Admitted, list[Finished]]:
    """Return the leads that may go on, and what is settled: who was erased comes first, then who must be looked at."""
    applied = forgotten.withdraw(services, tx, heard.withdrawn)
    sifted = forgotten.sift(services, tx, heard.prepared, heard.asides)
    for aside in sifted.asides:
        screen.set_aside(tx, aside)
    admitted = admit(services, tx, active.settings, sifted.prepared, heard.mailed)
    open_still = {p.delivery.id for p in heard.prepared} | {aside.delivery.id for aside in heard.asides}
    settled = [each for each in applied if each.id not in open_still.union(heard.unfetched)]
    if heard.unfetched:
        fetches.wait(tx, heard.unfetched)
        tx.after_commit(lambda: services.wake("fetch"))
    return admitted, [*heard.empty, *settled, *sifted.finished]


def _look_again(services: Services, tx: Transaction, batch: Batch) -> None:
    """Wake the holding queue for leads that fit somebody else now, or that wake before the next sweep."""
    if batch.edited:
        held.announce(services, tx)
    if any(held.wakes_soon(lead.wake_at, tx.now()) for lead in batch.new_leads):
        # Its alarm is set by the job: the next sweep may come too late for it.
        tx.after_commit(lambda: services.wake("held"))


def _route(tx: Transaction, active: Active, fresh: list[Prepared]) -> tuple[Batch, list[tuple[Prepared, UUID]]]:
    """Find owners; return what was written and which lead each submission went to."""
    matched = route.match_all(tx, active, fresh)
    book = route.load_book(tx, active)
    # Whoever waits comes first, also for room that opened a moment ago.
    held.drain(tx, active, book)
    chosen = at_once.chosen(tx, active, matched, book)
    batch = route.decide_all(tx, active, matched, book, chosen)
    route.save_book(tx, book)
    route.save(tx, batch)
    joined = [(m.prepared, m.joins) for m in matched if m.joins]
    deliveries.link_keys(
        tx,
        [
            (p.delivery.source, key, lead, p.submission.version)
            for p, lead in joined
            for key in filter(None, (p.key, *p.submission.also_keys, p.submission.notice_key))
        ],
    )
    return batch, [(m.prepared, m.joins or m.prepared.id) for m in matched]


def _dedupe(
    tx: Transaction, prepared: list[Prepared]
) -> tuple[list[Prepared], list[tuple[Prepared, UUID]], list[Finished]]:
    """Tell new submissions from newer versions of known ones (with their lead) and from duplicates."""
    newest: dict[tuple[str, str], Prepared] = {}
    for p in prepared:
        known = newest.get((p.delivery.source, p.key))
        if known is None or p.submission.version > known.submission.version:
            newest[p.delivery.source, p.key] = p
    claims = [(source, key, p.delivery.id, p.id, p.submission.version) for (source, key), p in newest.items()]
    also = {(p.delivery.source, key): p for p in newest.values() for key in p.submission.also_keys}
    claims += [(*name, p.delivery.id, p.id, p.submission.version) for name, p in also.items() if name not in newest]
    noticed = {(p.delivery.source, p.submission.notice_key): p for p in newest.values() if p.submission.notice_key}
    claims += [(*name, p.delivery.id, p.id, p.submission.version) for name, p in noticed.items()]
    taken = deliveries.dedupe(tx, claims, read.CONTENT_WINDOW)
    deliveries.link_keys(tx, _also_taken(also, newest, taken))
    prepared, erased = forgotten.overtaken(tx, prepared, taken)
    fresh, newer, duplicates = [], [], []
    for p in prepared:
        name = (p.delivery.source, p.key)
        first, lead, version = taken.get(name, (newest[name].delivery.id, None, p.submission.version))
        if newest[name] is p and name not in taken:
            fresh.append(p)
        elif newest[name] is p and lead is not None and p.submission.version > version:
            newer.append((p, lead))
        else:
            duplicates.append(Finished(p.delivery.id, Fate.DUPLICATE, "the same submission came before", first))
    alive = {p.delivery.id for p in fresh} | {p.delivery.id for p, _ in newer}
    return fresh, newer, [each for each in (*erased, *duplicates) if each.id not in alive]


def _also_taken(
    also: Mapping[tuple[str, str], Prepared],
    newest: Mapping[tuple[str, str], Prepared],
    taken: Mapping[tuple[str, str], tuple[UUID, UUID | None, int]],
) -> list[tuple[str, str, UUID, int]]:
    """Return the further keys this batch claimed for leads that were there before."""
    links = []
    for (source, key), p in also.items():
        _, lead, _ = taken.get((source, p.key), (None, None, 0))
        if lead is not None and (source, key) not in taken and (source, key) not in newest:
            links.append((source, key, lead, p.submission.version))
    return links


def update(tx: Transaction, p: Prepared, lead: UUID) -> bool:
    """Put a newer version of a submission over the lead it made; tell its CRM what changed.

    Return whether the lead waits and may fit somebody else now.
    """
    row = leads.by_ids(tx, [lead])[lead]
    before = route.lead_from(row.data)
    after = route.overlay(before, p.lead)
    leads.update_data(tx, lead, route.lead_data(after))
    leads.insert_submissions(tx, [(p.delivery.id, p.position, lead, "updated")])
    deliveries.link_keys(tx, [(p.delivery.source, p.key, lead, p.submission.version)])
    changed = route.changed_fields(before, after)
    if changed and row.owner and row.connection and not row.is_test:
        handover = write.Handover(lead, after, row.owner, row.connection, row.reason, p.delivery.id, tx.now())
        commands.put(tx, write.correct(handover, changed))
    return row.status == "held" and after != before
