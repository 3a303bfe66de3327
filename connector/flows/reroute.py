"""After a publication: open leads whose rules lead elsewhere now can be decided anew.

Each gets an ordinary decision. The turn that was charged for it before is not given back: its owner had the lead.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from connector.flows import held, nudges, route, write
from connector.flows.offers import follow, offer
from connector.model.lead import Lead
from connector.model.routing import Rule
from connector.model.ruleset_document import from_document
from connector.normalize.facets import facets_of
from connector.routing.book import Book
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Case, Result
from connector.routing.record import case_of
from connector.services import Active, Services
from connector.store import Transaction, commands, configuration, decisions, leads, ledger, open_leads, responses
from connector.store.open_leads import Decided

#: Leads decided in one transaction.
LIMIT = 200
#: Leads looked at in one transaction that decides nothing.
LOOK = 2_000


@dataclass(frozen=True, slots=True)
class Affected:
    """An open lead, and its first rule by the version of its last decision and by the one in force; None: no rule."""

    lead: UUID
    owner: str
    before: str | None
    after: str | None


class Fate(StrEnum):
    """What became of an affected lead."""

    MOVED = "moved"
    #: Its owner came out again.
    SAME = "same"
    #: It stays: nobody the rules lead to can take it now.
    NO_ROOM = "no room"
    #: It stays: whoever would take it works in another CRM.
    ELSEWHERE = "elsewhere"


def affected(services: Services) -> list[Affected]:
    """Return the open leads that the rules in force lead elsewhere than those they were last decided by.

    Leads that a person moved in the CRM stay where that person put them.
    """
    with services.store.transaction() as tx:
        ids = open_leads.by_other_rules(tx, services.active(tx).rules.rule_set.hash)
    found: list[Affected] = []
    versions = _Versions()
    for some in _slices(ids, LOOK):
        with services.store.transaction() as tx:
            look = _Look(tx, services.active(tx), versions)
            found += filter(None, map(look.affected, open_leads.with_decisions(tx, some)))
    return found


def work(services: Services, *, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Counter[Fate]:
    """Decide all affected leads anew. Interrupted, it goes on where it was: what is decided is affected no more."""
    ids = [each.lead for each in affected(services)]
    done, versions = Counter[Fate](), _Versions()
    for number, some in enumerate(_slices(ids, LIMIT)):
        done.update(_work_batch(services, some, versions))
        progress(min((number + 1) * LIMIT, len(ids)), len(ids))
    return done


def _work_batch(services: Services, ids: list[UUID], versions: "_Versions") -> list[Fate]:
    with services.store.transaction() as tx:
        active = services.active(tx)
        book = route.load_book(tx, active)
        look = _Look(tx, active, versions)
        fates = [_decide(tx, active, book, each) for each in open_leads.locked(tx, ids) if look.affected(each)]
        route.save_book(tx, book)
        tx.after_commit(lambda: services.wake("commands"))
        held.announce(services, tx)
    return fates


def _decide(tx: Transaction, active: Active, book: Book, each: Decided) -> Fate:
    """Decide a lead anew while the ledger and the lead are locked; return what became of it."""
    row = each.lead
    owner = str(row.owner)
    case = _case(tx, active, each)
    book.shift_open(owner, -1)
    previewed = route.preview(active, case, book)
    if previewed.result is Result.HELD or previewed.connection != row.connection:
        book.shift_open(owner, 1)
        return Fate.NO_ROOM if previewed.result is Result.HELD else Fate.ELSEWHERE
    decision, decision_row, reason = route.decided(active, case, book)
    decisions.insert(tx, [decision_row])
    # The new assignment counts to the rolling caps in place of the old one.
    ledger.drop_assignment(tx, row.id)
    if decision.owner == owner:
        open_leads.keep(tx, row, decision.pool)
        return Fate.SAME
    to, connection = str(decision.owner), str(decision.connection)
    leads.assign(tx, row, owner=to, connection=connection, pool=decision.pool, reason=reason, now=tx.now())
    lead = route.lead_from(row.data)
    reminded = responses.read(tx, row.id)
    respond_by = _offered(tx, active, case, to, connection)
    given = decisions.owners_of_lead(tx, row.id)
    again, before = write.again_number(given, to), write.again_number(given, owner)
    handover = write.Handover(row.id, lead, to, connection, reason, row.correlation, tx.now(), respond_by, again)
    told = nudges.taken(active.settings, row, owner, nudges.RULES_CHANGED, to, before)
    told += nudges.reminder_done(row, reminded) if reminded else []
    commands.put(tx, [*write.reassign(active.settings, handover), *told])
    return Fate.MOVED


def _offered(tx: Transaction, active: Active, case: Case, to: str, connection: str) -> datetime | None:
    """Give the new owner a due time of their own; that the rules changed is no move that counts."""
    lead = UUID(case.lead)
    offered = offer(active.settings, lead, case.assign_seq, to, tx.now(), connection)
    before = responses.read(tx, lead)
    if offered is None:
        return None
    if before is not None:
        offered = replace(follow(offered, before, pinned=False), moves=before.moves)
    responses.put(tx, offered)
    return offered.touch_due


def _case(tx: Transaction, active: Active, each: Decided) -> Case:
    row = each.lead
    return Case(
        lead=str(row.id),
        assign_seq=row.assign_seq + 1,
        at=tx.now(),
        facets=route.facets(active, route.lead_from(row.data)),
        known=case_of(json.loads(each.record)["case"]).known,
        snapshot=route.snapshot(row.data, row.salt),
    )


class _Versions:
    """Published rule sets, each made ready once."""

    def __init__(self) -> None:
        self._ready: dict[str, CompiledRules] = {}

    def of(self, tx: Transaction, digest: str) -> CompiledRules:
        if digest not in self._ready:
            document = configuration.rule_set_document(tx, digest)
            self._ready[digest] = CompiledRules(from_document(json.loads(document)))
        return self._ready[digest]


class _Look:
    """Compares where the rules of a lead's last decision, and those in force, lead it today."""

    def __init__(self, tx: Transaction, active: Active, versions: _Versions) -> None:
        self._tx = tx
        self._active = active
        self._versions = versions
        self._today = tx.now().date()

    def affected(self, each: Decided) -> Affected | None:
        rules = self._active.rules
        if each.rule_set == rules.rule_set.hash:
            return None
        lead = route.lead_from(each.lead.data)
        before = _first(self._versions.of(self._tx, each.rule_set), lead, self._today)
        after = _first(rules, lead, self._today)
        if _leads_to(before) == _leads_to(after):
            return None
        return Affected(each.lead.id, str(each.lead.owner), _key(before), _key(after))


def _first(rules: CompiledRules, lead: Lead, today: date) -> Rule | None:
    facets = facets_of(lead, rules.domain_rules(lead.domain), custom_fields=rules.custom_fields)
    return rules.first(facets, today)


def _key(rule: Rule | None) -> str | None:
    return rule.key if rule else None


def _leads_to(rule: Rule | None) -> tuple[object, ...]:
    return (rule.pool, rule.rep, rule.connection, rule.skills) if rule else ()


def _slices(ids: list[UUID], size: int) -> Iterable[list[UUID]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
