"""What the deliveries of a batch say: leads, notices of erasure, what must be fetched first, what a person must see."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from connector.flows import answering, read, screen
from connector.flows.answering import Mailed
from connector.flows.read import Aside, Prepared, Unfetched, Withdrawn
from connector.model.delivery import Fate
from connector.model.lead import Ignored
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction
from connector.store.deliveries import Finished, StoredDelivery
from connector.store.screening import Scored


class Heard(NamedTuple):
    """What the deliveries of a batch say; `mailed` are the recipients whose cards they answer."""

    prepared: list[Prepared]
    asides: list[Aside]
    withdrawn: list[Withdrawn]
    unfetched: list[UUID]
    empty: list[Finished]
    mailed: Mailed


def hear(services: Services, tx: Transaction, settings: Settings, claimed: Sequence[StoredDelivery]) -> Heard:
    """Read deliveries; what an answer to a mailing leaves out is filled from what was mailed."""
    outcomes = [(stored, read.read(services, settings, stored)) for stored in claimed]
    mailed = answering.mailed(services, tx, [_leads(outcome) for _, outcome in outcomes])
    heard = Heard([], [], [], [], [], mailed)
    for stored, outcome in outcomes:
        if isinstance(outcome, Aside):
            heard.asides.append(outcome)
            heard.withdrawn.extend(outcome.withdrawn)
        elif isinstance(outcome, Unfetched):
            heard.unfetched.append(stored.id)
            heard.withdrawn.extend(outcome.withdrawn)
        elif all(isinstance(each, Ignored) for each in outcome):
            heard.empty.append(Finished(stored.id, Fate.REJECTED, _why_empty(outcome)))
        else:
            heard.withdrawn.extend(each for each in outcome if isinstance(each, Withdrawn))
            _complete(settings, heard, _leads(outcome))
    return heard


def _why_empty(outcome: Sequence[Prepared | Withdrawn | Ignored]) -> str:
    reasons = dict.fromkeys(each.reason for each in outcome if isinstance(each, Ignored))
    return "; ".join(reasons) or "the delivery holds no lead"


def _leads(outcome: Sequence[Prepared | Withdrawn | Ignored] | Aside | Unfetched) -> list[Prepared]:
    return [] if isinstance(outcome, Aside | Unfetched) else [each for each in outcome if isinstance(each, Prepared)]


def _complete(settings: Settings, heard: Heard, leads: Sequence[Prepared]) -> None:
    completed = answering.complete(settings, leads, heard.mailed)
    if isinstance(completed, Aside):
        heard.asides.append(completed)
    else:
        heard.prepared.extend(completed)


class Admitted(NamedTuple):
    """The leads that go on to their owners, the fate of deliveries whose people nobody can reach, and all scores."""

    prepared: list[Prepared]
    finished: list[Finished]
    scored: Mapping[UUID, Scored]


def admit(
    services: Services, tx: Transaction, settings: Settings, prepared: Sequence[Prepared], mailed: Mailed
) -> Admitted:
    """Return who goes on after screening; who is set aside for a person, or waits for a captcha, does not."""
    admitted, finished = list[Prepared](), list[Finished]()
    by_delivery = [list(leads) for _, leads in groupby(prepared, key=lambda p: p.delivery.id)]
    going_on, scored = screen.screen(services, tx, settings, by_delivery)
    for leads in going_on:
        reachable = [p for p in leads if not read.unreachable(p.lead)]
        admitted.extend(reachable)
        if not reachable:
            finished.append(Finished(leads[0].delivery.id, Fate.REJECTED, read.unreachable(leads[0].lead)))
            # Whom nobody can reach has answered all the same.
            answering.record(tx, settings, leads, mailed)
    return Admitted(admitted, finished, scored)
