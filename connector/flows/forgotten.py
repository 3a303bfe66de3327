"""Who was erased does not come back: what was said before the erasure is erased too, whenever it arrives.

A person is suppressed by keyed hashes of their e-mail, of their number with their last name and of the cards mailed
to them, and for what they said up to the erasure: a delivery from before it that is read or replayed later, a
vendor's late delivery that states its time, a card with a date before it or with none. A submission under a key that
was erased stays out for ever, whenever it comes again, for it says nothing new. Somebody who writes anew afterwards,
under a new key, is welcome like anybody. A sender without keys or times of its own cannot be told from the person:
what it repeats by hand later comes in as new.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connector.flows import marks, remains, searching
from connector.flows.marks import Parts
from connector.flows.read import CONTENT_WINDOW, Aside, Prepared, Withdrawn
from connector.model.delivery import Fate
from connector.model.identity import new_id
from connector.services import Services
from connector.store import Transaction, deliveries, erasure, erasures, leads, mirror, suppression, tracing
from connector.store.deliveries import Finished
from connector.store.erasure import Found
from connector.store.suppression import Hit, Mark, Suppressed

#: Our keys for leads begin with it.
LEAD = "lead:"
ERASED = "erased: the person, or this submission, was erased before"


class Sifted(NamedTuple):
    """What is left to be worked, and the fate of what is not."""

    prepared: list[Prepared]
    asides: list[Aside]
    finished: list[Finished]


def sift(services: Services, tx: Transaction, prepared: Sequence[Prepared], asides: Sequence[Aside]) -> Sifted:
    """Note who deliveries speak of, and take out who was erased; of their bodies only what speaks of others stays."""
    heard = [*prepared, *(p for aside in asides for p in aside.prepared)]
    gone = silenced(services, tx, heard)
    if not gone:
        return Sifted(list(prepared), list(asides), [])
    left: dict[UUID, list[Prepared]] = {delivery: [] for delivery, _ in gone}
    for p in heard:
        if p.delivery.id in left and (p.delivery.id, p.position) not in gone:
            left[p.delivery.id].append(p)
    for others in filter(None, left.values()):
        remains.reseal(services, tx, others[0].delivery, others)
    empty = sorted(delivery for delivery, others in left.items() if not others)
    erasure.drop_bodies(tx, empty)
    return Sifted(
        [p for p in prepared if (p.delivery.id, p.position) not in gone],
        [_without(aside, left) for aside in asides if aside.delivery.id not in empty],
        [Finished(each, Fate.ERASED, ERASED) for each in empty],
    )


def _without(aside: Aside, left: Mapping[UUID, Sequence[Prepared]]) -> Aside:
    """Return what a person still has to look at, for the reason there was."""
    return replace(aside, prepared=tuple(left.get(aside.delivery.id, aside.prepared)))


def silenced(
    services: Services, tx: Transaction, heard: Sequence[Prepared], *, note: bool = True
) -> set[tuple[UUID, int]]:
    """Return who of them was erased, by delivery and position; `note` whom the deliveries speak of."""
    said = {(p.delivery.id, p.position): p for p in heard}
    asked = [mark if note else mark._replace(noted=False) for p in heard for mark in _marks(services, p)]
    hits = suppression.note(tx, asked)
    return {place for hit in hits if _counts(hit, said[place := (hit.delivery, hit.position)], tx.now())}


def submissions_of(p: Prepared) -> list[Parts]:
    """Return the marks of a submission under its sender's own keys."""
    keys = [p.key] if p.submission.lead_key is not None else []
    return [marks.of_submission(p.delivery.source, key) for key in (*keys, p.submission.notice_key) if key]


def _marks(services: Services, p: Prepared) -> Iterable[Mark]:
    vault, lead = services.vault, p.lead
    noted = marks.of_person(lead.email, lead.phone, lead.last_name)
    noted += submissions_of(p)
    if p.submission.token:
        noted.append(marks.of_card(p.submission.token))
    hashes = [vault.marks(*parts) for parts in noted]
    stored = {newest for newest, *_ in hashes}
    if p.origin.idempotency_key:
        hashes.append(vault.marks(*marks.of_request(p.delivery.source, p.origin.idempotency_key)))
    return [Mark(mark, p.delivery.id, p.position, mark in stored) for every_key in hashes for mark in every_key]


def _counts(hit: Hit, p: Prepared, now: datetime) -> bool:
    if hit.kind == "person":
        return p.spoke_at <= hit.erased_at
    return hit.until is None or now < hit.until


def withdraw(services: Services, tx: Transaction, notices: Sequence[Withdrawn]) -> list[Finished]:
    """Take in vendors' notices: their submissions do not come again, and what came of them is erased next.

    Each claims the submission's key as the submission does, and so waits for one that is being worked right now.
    An unknown key is remembered for ever.
    """
    for notice in notices:
        parts = [marks.of_submission(notice.delivery.source, notice.key)]
        suppression.suppress(tx, [Suppressed(mark, "submission") for mark in marks.hashed(services.vault, parts)])
        claim = (notice.delivery.source, notice.key, notice.delivery.id, None, 1)
        _, lead, _ = deliveries.dedupe(tx, [claim], CONTENT_WINDOW).get(claim[:2], (None, None, 0))
        known = tracing.by_marks(tx, marks.sought(services.vault, parts))
        found = searching.complete(services, tx, known.leads | ({lead} if lead else set()), known.deliveries)
        _ask(services, tx, f"source {notice.source}", found)
    return [Finished(notice.delivery.id, Fate.APPLIED, "a notice of erasure") for notice in notices]


def overtaken(
    tx: Transaction,
    prepared: Sequence[Prepared],
    taken: Mapping[tuple[str, str], tuple[UUID, UUID | None, int]],
) -> tuple[list[Prepared], list[Finished]]:
    """Take out what another transaction's notice withdrew since it was sifted; return what is left, and its fate.

    A key that is taken and leads nowhere was claimed by such a notice.
    """
    withdrawn = {name for name, (_, lead, _) in taken.items() if lead is None}
    kept = [p for p in prepared if withdrawn.isdisjoint(_names(p))]
    if len(kept) == len(prepared):
        return kept, []
    alive = {p.id for p in kept}
    touched = sorted({p.delivery.id for p in prepared if p.id not in alive})
    erasure.drop_bodies(tx, touched)
    return kept, [Finished(each, Fate.ERASED, ERASED) for each in touched]


def _names(p: Prepared) -> set[tuple[str, str]]:
    return {(p.delivery.source, key) for key in (p.key, p.submission.notice_key) if key}


def forget_records(
    services: Services, tx: Transaction, connection: str, records: Mapping[tuple[str, str], Sequence[str]]
) -> None:
    """Take in that a CRM forgot somebody: of their records nothing is taken in again, and what we hold is erased next.

    `records` are named by object type and id, each with our keys for it.
    """
    refs = {(connection, *name) for name in records}
    gone = [marks.of_record(*ref) for ref in sorted(refs)]
    suppression.suppress(tx, [Suppressed(mark, "record") for mark in marks.hashed(services.vault, gone)])
    held = _written_to(records) | _of_same_address(tx, connection, records)
    found = searching.complete(services, tx, held, (), refs)
    theirs = sorted(name for name, ours in records.items() if not ours)
    for object_type, record in theirs:
        mirror.forget(tx, connection, object_type, [record])
    # Nobody need look there for what is gone already.
    left = found.records - {(connection, *name) for name in theirs}
    _ask(services, tx, f"connection {connection}", replace(found, records=left))


def _written_to(records: Mapping[tuple[str, str], Sequence[str]]) -> set[UUID]:
    """Return the leads that stand in these records."""
    keys = [key for ours in records.values() for key in ours if key.startswith(LEAD)]
    return {UUID(key.removeprefix(LEAD)) for key in keys}


def _of_same_address(tx: Transaction, connection: str, records: Collection[tuple[str, str]]) -> set[UUID]:
    """Return the connection's leads with the e-mail of one of these records: they may stand beside the person's."""
    emails = {row.email for row in mirror.known(tx, connection, sorted(records)).values()} - {""}
    named = leads.by_ids(tx, [fact.lead for fact in tracing.leads_of(tx, emails, ())]) if emails else {}
    return {lead for lead, row in named.items() if row.connection == connection}


def _ask(services: Services, tx: Transaction, asked_by: str, found: Found) -> None:
    if not found:
        return
    erasures.begin(tx, new_id(), asked_by=asked_by, subject=[], found=found)
    tx.after_commit(lambda: services.wake("housekeeping"))
