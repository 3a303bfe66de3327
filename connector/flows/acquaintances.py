"""Whom a batch of leads may turn out to be: our leads, and the records the CRMs are mirrored with."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from connector.flows.read import Prepared
from connector.matching import Candidate
from connector.settings.values import Settings
from connector.store import Transaction, leads, mirror
from connector.store.leads import LeadRow

#: How many earlier leads of the same company matching looks at.
SAME_COMPANY = 3


class Acquaintances:
    """Everybody a batch may turn out to be, found by the keys they share."""

    def __init__(self) -> None:
        self._leads: dict[UUID, Candidate] = {}
        # By kind as well, so that a company's many leads do not crowd out its account.
        self._by: dict[tuple[str, str], dict[str, list[Candidate]]] = defaultdict(dict)

    def add(self, candidate: Candidate) -> None:
        """Take in a candidate; leads are found by the person keys they hold, the rest by their values."""
        if candidate.kind == "lead" and not candidate.mirrored:
            self._leads[UUID(candidate.id)] = candidate
        else:
            self._index(candidate, "email", "phone")
        self._index(candidate, "domain")

    def of(self, p: Prepared, owners: Mapping[tuple[str, str], UUID]) -> list[Candidate]:
        """Return whom this lead shares a key with, each once."""
        found = [
            self._found_by(key, owner) for key in p.keys if (owner := owners[key]) is not p.id and owner in self._leads
        ]
        for name in ("email", "phone", "domain"):
            for kind in self._by.get((name, getattr(p.lead, name)), {}).values():
                found.extend(kind)
        return list({(c.kind, c.connection, c.id): c for c in found}.values())

    def _found_by(self, key: tuple[str, str], owner: UUID) -> Candidate:
        """Return who holds a key; a lead may hold the tokens of several cards and remembers one."""
        kind, value = key
        candidate = self._leads[owner]
        return candidate._replace(token=value) if kind == "token" else candidate

    def is_open(self, lead: UUID) -> bool:
        """Tell whether a lead is known and still open."""
        return lead in self._leads and self._leads[lead].open

    def _index(self, candidate: Candidate, *names: str) -> None:
        for name in names:
            value = getattr(candidate, name)
            if value:
                kinds = self._by[name, value]
                # The newest few of a company say who looks after it; more would only cost time.
                kinds[candidate.kind] = [*kinds.get(candidate.kind, [])[-(SAME_COMPANY - 1) :], candidate]


def acquaintances(
    tx: Transaction, settings: Settings, prepared: Sequence[Prepared], elsewhere: Mapping[tuple[str, str], UUID]
) -> Acquaintances:
    """Load whom these leads share a key with: `elsewhere` says which keys belong to stored leads."""
    known = Acquaintances()
    domains = sorted({p.lead.domain for p in prepared if p.lead.domain})
    rows = {row.id: row for row in leads.by_domains(tx, domains)}
    rows |= leads.by_ids(tx, list(set(elsewhere.values())))
    for row in sorted(rows.values(), key=lambda row: row.created_at):
        known.add(_candidate(settings, row))
    for candidate in _mirror_candidates(tx, settings, prepared, domains):
        known.add(candidate)
    return known


def moved_keys(
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


def as_candidate(p: Prepared) -> Candidate:
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
