"""Match, decide, store: many leads in one transaction (promise P3), locks in one order."""

import hashlib
import hmac
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any
from uuid import UUID

from connector.flows import write
from connector.flows.read import Prepared
from connector.matching import Candidate, Match, match
from connector.model.canonical import canonical
from connector.model.crm import Value
from connector.model.lead import Consent, Facets, Lead
from connector.normalize.facets import facets_of
from connector.routing.book import Book, Standing
from connector.routing.decide import Case, Decision, Known, Result, decide
from connector.routing.explain import sentence
from connector.routing.record import record_of
from connector.services import Active
from connector.settings.values import Settings
from connector.store import Transaction, commands, decisions, followups, leads, ledger, mirror
from connector.store.commands import NewCommand
from connector.store.decisions import DecisionRow
from connector.store.leads import LeadRow, NewLead

_LEAD_FIELDS = tuple(f.name for f in fields(Lead))
#: How many earlier leads of the same company matching looks at.
SAME_COMPANY = 3


@dataclass(slots=True)
class Batch:
    """What one transaction will write, collected while it decides."""

    new_leads: list[NewLead] = field(default_factory=list)
    submissions: list[tuple[UUID, int, UUID, str]] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    commands: list[NewCommand] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Matched:
    """A prepared lead and whom it turned out to be. `joins` is the open lead it belongs to, if any."""

    prepared: Prepared
    match: Match
    joins: UUID | None


def match_all(tx: Transaction, active: Active, prepared: Sequence[Prepared]) -> list[Matched]:
    """Find out who is known, in order; takes the person keys of new leads (first lock of the order)."""
    claims = {key: p.id for p in reversed(prepared) for key in p.keys}
    elsewhere = leads.claim_keys(tx, claims)
    owners = claims | elsewhere
    known = _acquaintances(tx, active.settings, prepared, elsewhere)
    matched: list[Matched] = []
    moves: dict[tuple[str, str], UUID] = {}
    for p in prepared:
        found = match(p.lead, known.of(p, owners), order=active.rules.rule_set.matching)
        joins = UUID(found.attach_to) if found.attach_to else None
        matched.append(Matched(p, found, joins))
        if joins is None:
            known.add(_as_candidate(p))
        moves |= _moved_keys(p, joins or p.id, owners, known)
    leads.move_keys(tx, moves)
    return matched


def load_book(tx: Transaction, active: Active) -> Book:
    """Lock the ledger and read everybody's standing (second lock of the order)."""
    taken = ledger.lock(tx)
    limits = [plan.pause_new_leads_at for plan in active.settings.plans.values()]
    debts = followups.debts(tx)
    paused = {person for person, count in debts.items() if limits and count >= min(limits)}
    entries = ledger.entries(tx)
    standings = {
        person: Standing(*entries.get(person, (0, 0, 0)), paused=person in paused) for person in {*entries, *paused}
    }
    return Book(standings, taken)


def save_book(tx: Transaction, book: Book) -> None:
    """Write the ledger rows that decisions changed."""
    rows = {
        person: (standing.balance, standing.last_seq, standing.open_leads)
        for person, standing in book.changes().items()
    }
    ledger.write(tx, rows, book.decisions)


def decide_all(tx: Transaction, active: Active, matched: Sequence[Matched], book: Book) -> Batch:
    """Decide every lead that is new and collect what must be written; the ledger is locked."""
    batch = Batch()
    salts: dict[UUID, tuple[Matched, Decision, str]] = {}
    for m in matched:
        if m.joins is not None:
            continue
        salts[m.prepared.id] = _decide_new(tx, active, m, book, batch)
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
    decisions.insert(tx, batch.decisions)
    commands.put(tx, batch.commands)


def preview(active: Active, case: Case, book: Book) -> Decision:
    """Take a decision without posting it."""
    return decide(case, active.rules, book)


def decided(active: Active, case: Case, book: Book) -> tuple[Decision, DecisionRow, str]:
    """Take one decision and post it to the book; return it with its row and its reason for the owner."""
    decision = decide(case, active.rules, book)
    record = record_of(decision, book)
    book.post(decision.balances, decision.owner, decision.seq)
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
    language = write.language_of(active.settings.people[decision.owner]) if decision.owner else "en"
    return decision, row, sentence(_explained(decision), language)


def facets(active: Active, lead: Lead) -> Facets:
    """Return what the rules in force may know of a lead."""
    rules = active.rules
    return facets_of(lead, rules.domain_rules(lead.domain), custom_fields=rules.custom_fields)


def snapshot(lead: Mapping[str, Any], salt: bytes) -> str:
    """Return the salted hash of a lead's content; worthless once the salt is destroyed (promise P4)."""
    return hmac.digest(salt, canonical(lead), hashlib.sha256).hex()


def lead_data(lead: Lead) -> dict[str, Any]:
    """Return a lead as plain values; what is not known is left out."""
    data = {name: value for name in _LEAD_FIELDS if (value := getattr(lead, name))}
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


def _decide_new(tx: Transaction, active: Active, m: Matched, book: Book, batch: Batch) -> tuple[Matched, Decision, str]:
    p = m.prepared
    salt, data = os.urandom(16), lead_data(p.lead)
    case = Case(
        lead=str(p.id),
        assign_seq=1,
        at=tx.now(),
        facets=facets(active, p.lead),
        known=_known(m.match),
        snapshot=snapshot(data, salt),
    )
    if p.submission.is_test:
        decision = preview(active, case, book)
        reason = "test: nothing was written"
    else:
        decision, row, reason = decided(active, case, book)
        batch.decisions.append(row)
    batch.new_leads.append(_new_lead(active, p, decision, reason, salt=salt, data=data))
    if decision.owner and not p.submission.is_test:
        batch.commands.extend(write.hand_over(active.settings, _handover(p, decision, reason)))
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
        held_until=now + active.rules.rule_set.max_hold if held else None,
    )


def _handover(p: Prepared, decision: Decision, reason: str) -> write.Handover:
    return write.Handover(
        lead_id=p.id,
        lead=p.lead,
        owner=str(decision.owner),
        connection=str(decision.connection),
        reason=reason,
        correlation=p.delivery.id,
        at=decision.case.at,
    )


def _attach(tx: Transaction, settings: Settings, m: Matched, row: LeadRow, batch: Batch) -> None:
    """Join a known person's new submission to their stored lead: fill gaps, tell the owner."""
    before = lead_from(row.data)
    merged = merge(before, m.prepared.lead)
    filled = changed_fields(before, merged)
    if merged != before:
        leads.update_data(tx, row.id, lead_data(merged))
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
    filled = changed_fields(before, merged)
    batch.new_leads[index] = replace(batch.new_leads[index], data=lead_data(merged))
    if decision.owner and not m.prepared.submission.is_test and not original.prepared.submission.is_test:
        handover = replace(_handover(original.prepared, decision, reason), lead=merged, at=tx.now())
        handover = replace(handover, correlation=m.prepared.delivery.id)
        batch.commands.extend(write.answered_again(settings, handover, filled, m.prepared.delivery.id))


def merge(before: Lead, new: Lead) -> Lead:
    """Fill what was not known from a later submission; what was known stays."""
    blanks = {name: value for name, value in _said(new).items() if not getattr(before, name)}
    return replace(before, **blanks)


def overlay(before: Lead, new: Lead) -> Lead:
    """Put a newer version of the same submission over the older one; what it leaves out stays."""
    return replace(before, **_said(new))


def changed_fields(before: Lead, after: Lead) -> dict[str, Value]:
    """Return the fields a CRM should hold now and does not yet."""
    sent = write.lead_fields(before)
    return {name: value for name, value in write.lead_fields(after).items() if sent.get(name) != value}


def _said(lead: Lead) -> dict[str, Any]:
    return {name: value for name in _LEAD_FIELDS if name not in ("notes", "source") and (value := getattr(lead, name))}


class Acquaintances:
    """Everybody a batch may turn out to be, found by the keys they share."""

    def __init__(self) -> None:
        self._leads: dict[UUID, Candidate] = {}
        self._by: dict[tuple[str, str], list[Candidate]] = defaultdict(list)

    def add(self, candidate: Candidate) -> None:
        """Take in a candidate; leads are found by the person keys they hold, the rest by their values."""
        if candidate.kind == "lead" and not candidate.mirrored:
            self._leads[UUID(candidate.id)] = candidate
        else:
            self._index(candidate, "email", "phone")
        self._index(candidate, "domain")

    def of(self, p: Prepared, owners: Mapping[tuple[str, str], UUID]) -> list[Candidate]:
        """Return whom this lead shares a key with, each once."""
        found = [self._leads[owner] for key in p.keys if (owner := owners[key]) is not p.id and owner in self._leads]
        for name in ("email", "phone", "domain"):
            found.extend(self._by[name, getattr(p.lead, name)] if getattr(p.lead, name) else ())
        return list({(c.kind, c.connection, c.id): c for c in found}.values())

    def is_open(self, lead: UUID) -> bool:
        """Tell whether a lead is known and still open."""
        return lead in self._leads and self._leads[lead].open

    def _index(self, candidate: Candidate, *names: str) -> None:
        for name in names:
            value = getattr(candidate, name)
            if value:
                # The newest few of a company say who looks after it; more would only cost time.
                self._by[name, value] = [*self._by[name, value][-(SAME_COMPANY - 1) :], candidate]


def _acquaintances(
    tx: Transaction, settings: Settings, prepared: Sequence[Prepared], elsewhere: Mapping[tuple[str, str], UUID]
) -> Acquaintances:
    known = Acquaintances()
    domains = sorted({p.lead.domain for p in prepared if p.lead.domain})
    rows = {row.id: row for row in leads.by_domains(tx, domains)}
    rows |= leads.by_ids(tx, list(set(elsewhere.values())))
    for row in sorted(rows.values(), key=lambda row: row.created_at):
        known.add(_candidate(settings, row))
    for candidate in _mirror_candidates(tx, settings, prepared, domains):
        known.add(candidate)
    return known


def _moved_keys(
    p: Prepared, target: UUID, owners: dict[tuple[str, str], UUID], known: Acquaintances
) -> dict[tuple[str, str], UUID]:
    """Point the person's keys to the lead they belong to now: new keys, and those of closed leads."""
    moves = {}
    for key in p.keys:
        holder = owners[key]
        claimed_for_nothing = holder is p.id and target is not p.id
        if claimed_for_nothing or (holder is not target and holder != target and not known.is_open(holder)):
            owners[key] = moves[key] = target
    return moves


def _candidate(settings: Settings, row: LeadRow) -> Candidate:
    data = row.data
    owner = settings.people.get(row.owner or "")
    return Candidate(
        kind="lead",
        id=str(row.id),
        email=data.get("email", ""),
        phone=data.get("phone", ""),
        domain=data.get("domain", ""),
        first_name=data.get("first_name", ""),
        last_name=data.get("last_name", ""),
        company=data.get("company", ""),
        owner=row.owner,
        owner_active=bool(owner and owner.active),
        open=row.status != "closed",
        connection=row.connection,
        updated_at=row.assigned_at or row.created_at,
    )


def _as_candidate(p: Prepared) -> Candidate:
    """Make a lead of this batch known to the rest of it; its owner is not decided yet."""
    lead = p.lead
    return Candidate(
        kind="lead",
        id=str(p.id),
        email=lead.email,
        phone=lead.phone,
        domain=lead.domain,
        first_name=lead.first_name,
        last_name=lead.last_name,
        company=lead.company,
        owner=None,
        owner_active=False,
        open=not p.submission.is_test,
        connection=None,
        updated_at=p.delivery.received_at,
    )


def _mirror_candidates(
    tx: Transaction, settings: Settings, prepared: Sequence[Prepared], domains: Sequence[str]
) -> list[Candidate]:
    rows = mirror.candidates(
        tx,
        sorted({p.lead.email for p in prepared if p.lead.email}),
        sorted({p.lead.phone for p in prepared if p.lead.phone}),
        domains,
    )
    people = {(c, user): person for person in settings.people.values() for c, user in person.users.items()}
    found = []
    for row in rows:
        owner = people.get((row.connection, row.owner))
        found.append(
            Candidate(
                kind=row.object_type,
                id=row.record_id,
                email=row.email,
                phone=row.phone,
                domain=row.domain,
                first_name=str(row.fields.get("first_name") or ""),
                last_name=str(row.fields.get("last_name") or ""),
                company=str(row.fields.get("company") or row.fields.get("name") or ""),
                owner=owner.key if owner else None,
                owner_active=bool(owner and owner.active),
                open=row.open,
                connection=row.connection,
                updated_at=row.changed_at,
                mirrored=True,
            )
        )
    return found


def _known(found: Match) -> Known:
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
        "steps": [list(step) for step in decision.steps],
        "owner": decision.owner,
        "pool": decision.pool,
        "rule": decision.rule,
    }
