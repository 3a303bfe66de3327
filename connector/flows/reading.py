"""What became of a delivery, who owns a lead and why: frozen views for every edge."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connector.normalize.email import read_email
from connector.normalize.phone import read_phone
from connector.routing.explain import explain
from connector.services import Active, Services
from connector.store import Transaction, decisions, inbox, reading
from connector.store.decisions import DecisionRow
from connector.store.reading import DeliveryRow, LeadSummary


@dataclass(frozen=True, slots=True)
class LeadView:
    """A lead, its owner by key and name, and the reason in one sentence.

    `lead.data` is personal: an edge shows it only to those who may see it.
    """

    lead: LeadSummary
    owner_name: str | None


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decision: the stored record as data, the digest of its bytes, and the whole story line by line."""

    lead: UUID
    number: int
    decided_at: datetime
    outcome: str
    owner: str | None
    rule_set: str
    digest: str
    record: Mapping[str, Any]
    explanation: tuple[str, ...]


def receipt(services: Services, delivery: UUID) -> DeliveryRow | None:
    """Return what became of a delivery, None when there is no such receipt."""
    with services.store.transaction() as tx:
        return reading.delivery(tx, delivery)


def deliveries(
    services: Services,
    *,
    state: str | None = None,
    fate: str | None = None,
    source: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[DeliveryRow]:
    """Return deliveries, newest first; `before` is the last id of the page before."""
    with services.store.transaction() as tx:
        return reading.deliveries(tx, state=state, fate=fate, source=source, before=before, limit=limit)


def lead(services: Services, lead_id: UUID) -> LeadView | None:
    """Return a lead with its owner, None when there is no such lead."""
    with services.store.transaction() as tx:
        found = reading.lead(tx, lead_id)
        names = _names(services.active(tx)) if found else {}
    if found is None:
        return None
    return LeadView(found, names.get(found.owner, found.owner) if found.owner else None)


def find(services: Services, text: str) -> tuple[str, UUID] | None:
    """Return (`receipt` or `lead`, id) for an id, an e-mail address or a phone number; None when nothing has it."""
    with services.store.transaction() as tx:
        try:
            wanted = UUID(text.strip())
        except ValueError:
            found = _person(tx, text, services.active(tx).settings.country)
            return ("lead", found) if found else None
        if reading.delivery(tx, wanted):
            return "receipt", wanted
        return ("lead", wanted) if reading.lead(tx, wanted) else None


def _person(tx: Transaction, text: str, country: str) -> UUID | None:
    email, phone = read_email(text), read_phone(text, country)
    found = inbox.lead_of(tx, "email", email) if email else None
    return found or (inbox.lead_of(tx, "phone", phone.number) if phone else None)


def decision(services: Services, lead_id: UUID) -> DecisionView | None:
    """Return the newest decision on a lead, None when there is none."""
    history = decisions_of(services, lead_id)
    return history[-1] if history else None


def decisions_of(services: Services, lead_id: UUID) -> list[DecisionView]:
    """Return every decision on a lead, first to last."""
    with services.store.transaction() as tx:
        rows = decisions.of_lead(tx, lead_id)
        names = _names(services.active(tx)) if rows else {}
    return [_decision(row, names) for row in rows]


def _names(active: Active) -> dict[str, str]:
    return {key: person.name for key, person in active.settings.people.items()}


def _decision(row: DecisionRow, names: Mapping[str, str]) -> DecisionView:
    record = json.loads(row.record)
    return DecisionView(
        lead=row.lead_id,
        number=row.assign_seq,
        decided_at=row.decided_at,
        outcome=row.outcome,
        owner=row.owner,
        rule_set=row.rule_set,
        digest=row.digest.hex(),
        record=record,
        explanation=tuple(explain(record, names)),
    )
