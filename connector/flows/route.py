"""Match, decide, store: many leads in one transaction (promise P3), locks in one order."""

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from connector.flows import write
from connector.flows.acquaintances import acquaintances, as_candidate, moved_keys
from connector.flows.offers import offer
from connector.flows.presence import presence_at
from connector.flows.read import Prepared
from connector.matching import NOBODY, Match, match
from connector.model.canonical import canonical
from connector.model.crm import Value
from connector.model.lead import Consent, Facets, Lead
from connector.model.routing import RuleSet
from connector.normalize.facets import facets_of
from connector.routing.book import NO_GRANT, Book, Grant, Standing
from connector.routing.decide import Case, Decision, Known, Result, decide
from connector.routing.explain import sentence
from connector.routing.record import record_of
from connector.routing.rings import NO_RINGS, Rings, caps_of, microseconds
from connector.services import Active
from connector.settings.values import Settings
from connector.store import Transaction, commands, decisions, leads, ledger, responses
from connector.store.commands import NewCommand
from connector.store.decisions import DecisionRow
from connector.store.leads import LeadRow, NewLead
from connector.store.responses import ResponseRow
from connector.worktime import add_work, calendar

NOBODY_CHOSEN: Mapping[str, str] = MappingProxyType({})

_NOBODY_KNOWN = Known(verdict=str(NOBODY.verdict))
_LEAD_FIELDS = tuple(f.name for f in fields(Lead))
_values = attrgetter(*_LEAD_FIELDS)


@dataclass(slots=True)
class Batch:
    """What one transaction will write, collected while it decides."""

    new_leads: list[NewLead] = field(default_factory=list)
    submissions: list[tuple[UUID, int, UUID, str]] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    commands: list[NewCommand] = field(default_factory=list)
    responses: list[ResponseRow] = field(default_factory=list)
    #: More is known now of a lead that waits: it may fit somebody else.
    edited: bool = False


class Matched(NamedTuple):
    """A prepared lead and whom it turned out to be. `joins` is the open lead it belongs to, if any."""

    prepared: Prepared
    match: Match
    joins: UUID | None


def match_all(tx: Transaction, active: Active, prepared: Sequence[Prepared]) -> list[Matched]:
    """Find out who is known, in order; takes the person keys of new leads (first lock of the order)."""
    claims = {key: p.id for p in reversed(prepared) for key in p.keys}
    elsewhere = leads.claim_keys(tx, claims)
    owners = claims | elsewhere
    known = acquaintances(tx, active.settings, prepared, elsewhere)
    matched: list[Matched] = []
    moves: dict[tuple[str, str], UUID] = {}
    for p in prepared:
        found = match(p.lead, known.of(p, owners), order=active.rules.rule_set.matching)
        joins = UUID(found.attach_to) if found.attach_to else None
        matched.append(Matched(p, found, joins))
        if joins is None:
            known.add(as_candidate(p))
        moves |= moved_keys(p, joins or p.id, owners, known)
    leads.move_keys(tx, moves)
    return matched


def load_book(tx: Transaction, active: Active) -> Book:
    """Lock the ledger and read everybody's standing (second lock of the order)."""
    taken = ledger.lock(tx)
    limits = [plan.pause_new_leads_at for plan in active.settings.plans.values()]
    rows = ledger.book(tx)
    standings = {
        person: _standing(row, paused=bool(limits) and row.overdue >= min(limits)) for person, row in rows.items()
    }
    now = tx.now()
    return Book(
        standings,
        taken,
        presence=presence_at(active, now),
        rings=_rings(tx, active.rules.rule_set, now),
        born={person: row.born for person, row in rows.items() if row.born},
    )


def _standing(row: ledger.BookRow, *, paused: bool) -> Standing:
    balance, last_seq, open_leads, units, until = row.entry
    grant = Grant(units, until.isoformat()) if units and until else NO_GRANT
    return Standing(balance, last_seq, open_leads + row.born, paused, grant)


def _rings(tx: Transaction, rule_set: RuleSet, now: datetime) -> Rings:
    """Read what people with rolling caps were given lately."""
    wanted = {
        person: (max(round(cap.span.total_seconds()) for cap in caps), bool(rep.caps))
        for person, rep in rule_set.reps.items()
        if (caps := caps_of(rule_set, person))
    }
    return Rings(rule_set, ledger.taken(tx, wanted, now), microseconds(now)) if wanted else NO_RINGS


def save_book(tx: Transaction, book: Book) -> None:
    """Write the ledger rows that decisions changed."""
    rows = {person: _entry(standing, book.born.get(person, 0)) for person, standing in book.changes().items()}
    ledger.write(tx, rows, book.decisions, book.assigned)


def _entry(standing: Standing, born: int) -> ledger.Entry:
    until = datetime.fromisoformat(standing.grant.until) if standing.grant.until else None
    return standing.balance, standing.last_seq, standing.open_leads - born, standing.grant.units, until


def decide_all(
    tx: Transaction, active: Active, matched: Sequence[Matched], book: Book, chosen: Mapping[str, str] = NOBODY_CHOSEN
) -> Batch:
    """Decide every lead that is new and collect what must be written; the ledger is locked.

    `chosen`: whom a plan gives a lead, by its id.
    """
    batch = Batch()
    salts: dict[UUID, tuple[Matched, Decision, str]] = {}
    for m in matched:
        if m.joins is not None:
            continue
        salts[m.prepared.id] = _decide_new(tx, active, m, book, batch, chosen)
    stored = leads.by_ids(tx, [m.joins for m in matched if m.joins and m.joins not in salts])
    for m in matched:
        p = m.prepared
        joins = m.joins or p.id
        batch.submissions.append((p.delivery.id, p.position, joins, "attached" if m.joins else "created"))
        if m.joins in stored:
            _attach(tx, active.settings, m, stored[m.joins], batch)
        elif m.joins in salts:
            _attach_within(tx, active.settings, m, salts[m.joins], batch)
    return batch


def save(tx: Transaction, batch: Batch) -> None:
    """Write a batch: leads, then commands (last locks of the order)."""
    leads.insert(tx, batch.new_leads)
    leads.insert_submissions(tx, batch.submissions)
    responses.insert(tx, batch.responses)
    decisions.insert(tx, batch.decisions)
    commands.put(tx, batch.commands)


def preview(active: Active, case: Case, book: Book) -> Decision:
    """Take a decision without posting it."""
    return decide(case, active.rules, book)


def decided(active: Active, case: Case, book: Book) -> tuple[Decision, DecisionRow, str]:
    """Take one decision and post it to the book; return it with its row and its reason for the owner."""
    decision = decide(case, active.rules, book)
    record = record_of(decision, book)
    book.post(decision.turn, decision.owner, decision.seq, lead=case.lead, grants=decision.grants, tags=decision.tags)
    row = DecisionRow(
        seq=decision.seq,
        lead_id=UUID(case.lead),
        assign_seq=case.assign_seq,
        decided_at=case.at,
        rule_set=decision.rule_set,
        outcome=str(decision.result),
        owner=decision.owner,
        record=record,
        digest=hashlib.sha256(record).digest(),
    )
    owner = active.settings.people[decision.owner] if decision.owner else None
    language, timezone = (write.language_of(owner), owner.timezone) if owner else ("en", "UTC")
    return decision, row, sentence(_explained(decision), language, timezone)


def facets(active: Active, lead: Lead) -> Facets:
    """Return what the rules in force may know of a lead."""
    rules = active.rules
    return facets_of(lead, rules.domain_rules(lead.domain), custom_fields=rules.custom_fields)


def snapshot(lead: Mapping[str, Any], salt: bytes) -> str:
    """Return the salted hash of a lead's content; worthless once the salt is destroyed (promise P4)."""
    return hmac.digest(salt, canonical(lead), "sha256").hex()


def lead_data(lead: Lead) -> dict[str, Any]:
    """Return a lead as plain values; what is not known is left out."""
    data = {name: value for name, value in zip(_LEAD_FIELDS, _values(lead), strict=True) if value}
    if lead.consents:
        data["consents"] = [{"purpose": c.purpose, "given": c.given, "text": c.text} for c in lead.consents]
    if lead.notes:
        data["notes"] = list(lead.notes)
    return data


def lead_from(data: Mapping[str, Any]) -> Lead:
    """Rebuild a lead from plain values."""
    values = {name: value for name, value in data.items() if name in _LEAD_FIELDS}
    values["consents"] = tuple(Consent(**consent) for consent in values.get("consents", ()))
    values["notes"] = tuple(values.get("notes", ()))
    return Lead(**values)


def case_of(
    tx: Transaction, active: Active, m: Matched, *, snapshot: str = "", chosen: Mapping[str, str] = NOBODY_CHOSEN
) -> Case:
    """Return the case of a new lead. `chosen`: whom a plan gives a lead, by its id."""
    lead = str(m.prepared.id)
    known = facets(active, m.prepared.lead)
    return Case(lead, 1, tx.now(), known, _known(m.match), snapshot, chosen=chosen.get(lead, ""))


def _decide_new(
    tx: Transaction, active: Active, m: Matched, book: Book, batch: Batch, chosen: Mapping[str, str]
) -> tuple[Matched, Decision, str]:
    p = m.prepared
    salt, data = os.urandom(16), lead_data(p.lead)
    case = case_of(tx, active, m, snapshot=snapshot(data, salt), chosen=chosen)
    if p.submission.is_test:
        decision = preview(active, case, book)
        reason = "test: nothing was written"
    else:
        decision, row, reason = decided(active, case, book)
        batch.decisions.append(row)
    batch.new_leads.append(_new_lead(active, p, decision, reason, salt=salt, data=data))
    if decision.owner and not p.submission.is_test:
        offered = offer(active.settings, p.id, case.assign_seq, decision.owner, case.at, decision.connection)
        batch.responses.extend(filter(None, [offered]))
        handover = _handover(p, decision, reason, offered.touch_due if offered else None)
        batch.commands.extend(write.hand_over(active.settings, handover))
    return m, decision, reason


def _new_lead(
    active: Active, p: Prepared, decision: Decision, reason: str, *, salt: bytes, data: dict[str, Any]
) -> NewLead:
    now = decision.case.at
    held = decision.result is Result.HELD
    status = "held" if held else "assigned"
    return NewLead(
        id=p.id,
        created_at=now,
        source=p.lead.source,
        correlation=p.delivery.id,
        data=data,
        domain=p.lead.domain,
        salt=salt,
        is_test=p.submission.is_test,
        status="closed" if p.submission.is_test else status,
        owner=decision.owner,
        connection=decision.connection,
        pool=decision.pool,
        reason=reason,
        assigned_at=None if held else now,
        held_until=held_until(active, now) if held else None,
        wake_at=decision.wake_at if held else None,
        event_at=min(p.submission.occurred_at or p.delivery.received_at, p.delivery.received_at),
        received_at=p.delivery.received_at,
    )


def held_until(active: Active, now: datetime) -> datetime:
    """Return until when a lead may wait: `max_hold` is working time of the organisation."""
    settings = active.settings
    return add_work(now, settings.rule_set.max_hold, calendar(settings.country, settings.timezone))


def _handover(p: Prepared, decision: Decision, reason: str, respond_by: datetime | None = None) -> write.Handover:
    return write.Handover(
        lead_id=p.id,
        lead=p.lead,
        owner=str(decision.owner),
        connection=str(decision.connection),
        reason=reason,
        correlation=p.delivery.id,
        at=decision.case.at,
        respond_by=respond_by,
    )


def _attach(tx: Transaction, settings: Settings, m: Matched, row: LeadRow, batch: Batch) -> None:
    """Join a known person's new submission to their stored lead: fill gaps, tell the owner."""
    before = lead_from(row.data)
    merged = merge(before, m.prepared.lead)
    filled = changed_fields(before, merged) | _joined(settings, m, row.connection, before.campaign)
    if merged != before:
        leads.update_data(tx, row.id, lead_data(merged))
        batch.edited |= row.status == "held"
    if row.owner and row.connection and not m.prepared.submission.is_test and row.connection in settings.connections:
        handover = write.Handover(
            row.id, merged, row.owner, row.connection, row.reason, m.prepared.delivery.id, tx.now()
        )
        batch.commands.extend(write.answered_again(settings, handover, filled, m.prepared.delivery.id))


def _attach_within(
    tx: Transaction, settings: Settings, m: Matched, first: tuple[Matched, Decision, str], batch: Batch
) -> None:
    """Join a submission to a lead of the same batch."""
    original, decision, reason = first
    index = next(i for i, new in enumerate(batch.new_leads) if new.id == original.prepared.id)
    before = lead_from(batch.new_leads[index].data)
    merged = merge(before, m.prepared.lead)
    filled = changed_fields(before, merged) | _joined(settings, m, decision.connection, before.campaign)
    batch.new_leads[index] = batch.new_leads[index]._replace(data=lead_data(merged))
    batch.edited |= merged != before and decision.result is Result.HELD
    if decision.owner and not m.prepared.submission.is_test and not original.prepared.submission.is_test:
        handover = _handover(original.prepared, decision, reason)._replace(lead=merged, at=tx.now())
        handover = handover._replace(correlation=m.prepared.delivery.id)
        batch.commands.extend(write.answered_again(settings, handover, filled, m.prepared.delivery.id))


def _joined(settings: Settings, m: Matched, connection: str | None, before: str) -> dict[str, Value]:
    """Return what makes a known person a member of another campaign they answer."""
    campaign = m.prepared.lead.campaign
    return write.membership(settings, connection or "", campaign) if campaign and campaign != before else {}


def merge(before: Lead, new: Lead) -> Lead:
    """Fill what was not known from a later submission; what was known stays, but for what it says to a purpose."""
    blanks = {name: value for name, value in _said(new).items() if not getattr(before, name)}
    newest = {consent.purpose: consent for consent in (*before.consents, *new.consents)}
    return replace(before, **blanks | {"consents": tuple(newest.values())})


def overlay(before: Lead, new: Lead) -> Lead:
    """Put a newer version of the same submission over the older one; what it leaves out stays."""
    return replace(before, **_said(new))


def changed_fields(before: Lead, after: Lead) -> dict[str, Value]:
    """Return the fields a CRM should hold now and does not yet."""
    sent = write.lead_fields(before)
    return {name: value for name, value in write.lead_fields(after).items() if sent.get(name) != value}


def _said(lead: Lead) -> dict[str, Any]:
    return {name: value for name in _LEAD_FIELDS if name not in ("notes", "source") and (value := getattr(lead, name))}


def _known(found: Match) -> Known:
    if found is NOBODY:
        return _NOBODY_KNOWN
    return Known(
        verdict=str(found.verdict),
        kind=found.kind or "",
        record=found.record or "",
        owner=found.owner or "",
        connection=found.connection or "",
        reasons=tuple(found.reasons),
    )


def _explained(decision: Decision) -> dict[str, Any]:
    return {
        "steps": decision.steps,
        "owner": decision.owner,
        "pool": decision.pool,
        "rule": decision.rule,
    }
