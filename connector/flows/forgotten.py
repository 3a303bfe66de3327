"""Who was erased does not come back: what was said before the erasure is erased too, whenever it arrives.

A person is suppressed by keyed hashes of their e-mail, of their number with their last name and of the cards mailed
to them, and for what they said up to the erasure: a delivery from before it that is read or replayed later, a
vendor's late delivery that states its time, a card with a date before it or with none. A submission under a key that
was erased stays out for ever, whenever it comes again, for it says nothing new. Somebody who writes anew afterwards,
under a new key, is welcome like anybody. A sender without keys or times of its own cannot be told from the person:
what it repeats by hand later comes in as new.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from connector.flows import marks, searching
from connector.flows.read import CONTENT_WINDOW, Aside, Prepared, Withdrawn
from connector.model.delivery import Fate
from connector.model.identity import new_id
from connector.services import Services
from connector.store import Transaction, deliveries, erasure, erasures, suppression, tracing
from connector.store.deliveries import Finished
from connector.store.erasure import Found
from connector.store.suppression import Hit, Mark, Suppressed

ERASED = "erased: the person, or this submission, was erased before"


class Sifted(NamedTuple):
    """What is left to be worked, and the fate of what is not."""

    prepared: list[Prepared]
    asides: list[Aside]
    finished: list[Finished]


def sift(services: Services, tx: Transaction, prepared: Sequence[Prepared], asides: Sequence[Aside]) -> Sifted:
    """Note who deliveries speak of, and take out who was erased, with the bodies that speak of them."""
    heard = [*prepared, *(p for aside in asides for p in aside.prepared)]
    said = {(p.delivery.id, p.position): p for p in heard}
    hits = suppression.note(tx, [mark for p in heard for mark in _marks(services, p)])
    gone = {place for hit in hits if _counts(hit, said[place := (hit.delivery, hit.position)], tx.now())}
    touched = {delivery for delivery, _ in gone}
    if not gone:
        return Sifted(list(prepared), list(asides), [])
    erasure.drop_bodies(tx, sorted(touched))
    kept = [p for p in prepared if (p.delivery.id, p.position) not in gone]
    alive = {p.delivery.id for p in kept}
    finished = [Finished(each, Fate.ERASED, ERASED) for each in sorted(touched - alive)]
    return Sifted(kept, [aside for aside in asides if aside.delivery.id not in touched], finished)


def _marks(services: Services, p: Prepared) -> Iterable[Mark]:
    vault, lead = services.vault, p.lead
    noted = marks.of_person(lead.email, lead.phone, lead.last_name)
    if p.submission.lead_key is not None:
        noted.append(marks.of_submission(p.delivery.source, p.key))
    if p.submission.token:
        noted.append(marks.of_card(p.submission.token))
    asked = [*noted]
    if p.origin.idempotency_key:
        asked.append(marks.of_request(p.delivery.source, p.origin.idempotency_key))
    stored = set(marks.hashed(vault, noted))
    return [Mark(mark, p.delivery.id, p.position, mark in stored) for mark in marks.sought(vault, asked)]


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
        _ask(services, tx, notice, found)
    return [Finished(notice.delivery.id, Fate.APPLIED, "a notice of erasure") for notice in notices]


def _ask(services: Services, tx: Transaction, notice: Withdrawn, found: Found) -> None:
    if not (found.leads or found.deliveries):
        return
    erasures.begin(tx, new_id(), asked_by=f"source {notice.source}", subject=[], found=found)
    tx.after_commit(lambda: services.wake("housekeeping"))
