"""Work off stored deliveries: parse, normalise, match, route, and commit it all together."""

from collections.abc import Mapping
from uuid import UUID

from connector.flows import answering, at_once, forgotten, held, read, route, screen, write
from connector.flows.answering import Mailed
from connector.flows.batches import work_off
from connector.flows.read import Aside, Prepared, Unfetched, Withdrawn
from connector.flows.route import Batch
from connector.model.delivery import Fate
from connector.services import Active, Services
from connector.store import Transaction, commands, consents, deliveries, fetches, leads
from typing import NamedTuple

from connector.flows.consents import events_of
from connector.store.deliveries import Finished, StoredDelivery

BATCH = 200


class Heard(NamedTuple):
    """What the deliveries of a batch say."""

    prepared: list[Prepared]
    asides: list[Aside]
    rejected: list[Finished]
    withdrawn: list[Withdrawn]


def work(services: Services) -> int:
    """Work off one batch of deliveries; return how many were taken up (0: nothing is waiting)."""
    return work_off(services, "lead", BATCH, lambda tx, claimed: _work_batch(services, tx, claimed))


def _work_batch(services: Services, tx: Transaction, claimed: list[StoredDelivery]) -> None:
    active = services.active(tx)
    prepared, finished, mailed = _read_all(services, tx, active, claimed)
    fresh, newer, repeated = _dedupe(tx, prepared)
    finished.extend(repeated)
    answering.record(tx, active.settings, fresh, mailed)
    heard = _read_all(services, active, claimed)
    applied = forgotten.withdraw(services, tx, heard.withdrawn)
    with_leads = {p.delivery.id for p in heard.prepared}
    finished = [*heard.rejected, *(each for each in applied if each.id not in with_leads)]
    sifted = forgotten.sift(services, tx, heard.prepared, heard.asides)
    finished.extend(sifted.finished)
    for aside in sifted.asides:
        deliveries.quarantine(tx, aside.delivery.id, aside.reason)
    fresh, newer, repeated = _dedupe(tx, sifted.prepared)
    finished.extend(repeated)
    said = list(newer)
    if fresh:
        batch, joined = _route(tx, active, fresh)
        said.extend(joined)
        if batch.edited:
            held.announce(services, tx)
        if any(held.wakes_soon(lead.wake_at, tx.now()) for lead in batch.new_leads):
            # Its alarm is set by the job: the next sweep may come too late for it.
            tx.after_commit(lambda: services.wake("held"))
        finished.extend(Finished(p.delivery.id, Fate.LEADS, is_test=p.submission.is_test) for p in fresh)
    # Leads are locked after the ledger, so newer versions come last.
    for p, lead in newer:
        finished.append(Finished(p.delivery.id, Fate.UPDATED))
        if update(tx, p, lead):
            held.announce(services, tx)
    consents.record(tx, events_of(said))
    deliveries.finish(tx, finished)
    tx.after_commit(lambda: services.wake("commands"))


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
            for key in (p.key, *p.submission.also_keys)
        ],
    )
    return batch


def _read_all(
    services: Services, tx: Transaction, active: Active, claimed: list[StoredDelivery]
) -> tuple[list[Prepared], list[Finished]]:
    legible: list[list[Prepared]] = []
    finished: list[Finished] = []
    unfetched: list[UUID] = []
    for stored in claimed:
        outcome = read.read(services, active.settings, stored)
        if isinstance(outcome, Aside):
            screen.set_aside(tx, outcome)
        elif isinstance(outcome, Unfetched):
            unfetched.append(stored.id)
        elif outcome:
            legible.append(outcome)
        else:
            finished.append(Finished(stored.id, Fate.REJECTED, "the delivery holds no lead"))
    prepared: list[Prepared] = []
    for leads_of_one in screen.screen(services, tx, active.settings, legible):
        reachable = [p for p in leads_of_one if not read.unreachable(p.lead)]
        prepared.extend(reachable)
        if not reachable:
            reason = read.unreachable(leads_of_one[0].lead)
            finished.append(Finished(leads_of_one[0].delivery.id, Fate.REJECTED, reason))
    if unfetched:
        fetches.wait(tx, unfetched)
        tx.after_commit(lambda: services.wake("fetch"))
    return prepared, finished
) -> tuple[list[Prepared], list[Finished], Mailed]:
    prepared: list[Prepared] = []
    finished: list[Finished] = []
    outcomes = [(stored, read.read(services, active.settings, stored)) for stored in claimed]
    mailed = answering.mailed(services, tx, [each for _, each in outcomes if not isinstance(each, Aside)])
    for stored, outcome in outcomes:
        known = outcome if isinstance(outcome, Aside) else answering.complete(active.settings, outcome, mailed)
        if isinstance(known, Aside):
            deliveries.quarantine(tx, stored.id, known.reason)
            continue
        reachable = [p for p in known if not read.unreachable(p.lead)]
        if reachable:
            prepared.extend(reachable)
        else:
            reasons = [read.unreachable(p.lead) for p in known] or ["the delivery holds no lead"]
            finished.append(Finished(stored.id, Fate.REJECTED, reasons[0]))
            # Whom nobody can reach has answered all the same.
            answering.record(tx, active.settings, known, mailed)
    return prepared, finished, mailed
    deliveries.link_keys(tx, [(p.delivery.source, p.key, lead, p.submission.version) for p, lead in joined])
    return batch, [(m.prepared, m.joins or m.prepared.id) for m in matched]


def _read_all(services: Services, active: Active, claimed: list[StoredDelivery]) -> Heard:
    heard = Heard([], [], [], [])
    for stored in claimed:
        outcome = read.read(services, active.settings, stored)
        if isinstance(outcome, Aside):
            heard.asides.append(outcome)
            continue
        heard.withdrawn.extend(each for each in outcome if isinstance(each, Withdrawn))
        leads = [each for each in outcome if isinstance(each, Prepared)]
        reachable = [p for p in leads if not read.unreachable(p.lead)]
        heard.prepared.extend(reachable)
        if not reachable and len(leads) == len(outcome):
            reasons = [read.unreachable(p.lead) for p in leads] or ["the delivery holds no lead"]
            heard.rejected.append(Finished(stored.id, Fate.REJECTED, reasons[0]))
    return heard


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
    taken = deliveries.dedupe(tx, claims, read.CONTENT_WINDOW)
    deliveries.link_keys(tx, _also_taken(also, newest, taken))
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
    return fresh, newer, [d for d in duplicates if d.id not in alive]


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
