"""Follow-up plans as they run: sales, steps, the ladder's rungs, evidence, debts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from connector.model.followup import StepProgress, StepState
from connector.store import leads
from connector.store.database import Transaction
from connector.store.events import Event
from connector.store.leads import LeadRow
from connector.store.mirror import MirrorRow

_EVENT = "type, source, source_id, object_type, record_id, occurred_at, attributes"


@dataclass(frozen=True, slots=True)
class Sale:
    """A won deal; `counters` are open mandatory and overdue steps as last written to the CRM."""

    connection: str
    deal: str
    correlation: UUID
    lead_id: UUID | None
    counters: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class News:
    """An event of a deal that is not taken in yet; `step` is set if it concerns a step's task."""

    type: str
    step: UUID | None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A running plan, pinned to its version in the configuration it started under."""

    id: UUID
    plan_key: str
    plan_version: int
    configuration: str
    owner: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of a running plan. `owners` are all who ever had it; `rungs_done` those of the due in force."""

    id: UUID
    plan: UUID
    key: str
    first_owner: str
    owner: str
    state: StepState
    activated_at: datetime | None
    due_original: datetime | None
    due: datetime | None
    done_at: datetime | None
    overdue_at: datetime | None
    owners: frozenset[str]
    rungs_done: frozenset[int]


def note(tx: Transaction, connection: str, deal: str, type_: str, step: UUID | None) -> None:
    """Remember that something happened to a deal; touches no row anybody else may hold."""
    tx.run(
        "INSERT INTO deal_news (connection, deal, type, step_id) VALUES (%s, %s, %s, %s)", connection, deal, type_, step
    )


def deals_with_news(tx: Transaction, limit: int) -> list[tuple[str, str]]:
    """Return deals whose events wait to be taken in, oldest first."""
    rows = tx.all("SELECT connection, deal FROM deal_news GROUP BY connection, deal ORDER BY min(id) LIMIT %s", limit)
    return [(row[0], row[1]) for row in rows]


def deals_with_due_rungs(tx: Transaction, limit: int) -> list[tuple[str, str]]:
    """Return deals with a step whose next rung is due, longest due first."""
    rows = tx.all(
        "SELECT p.connection, p.deal FROM step_instance s JOIN plan_instance p ON p.id = s.plan_instance "
        "WHERE s.next_rung_at <= %s GROUP BY p.connection, p.deal ORDER BY min(s.next_rung_at) LIMIT %s",
        tx.now(),
        limit,
    )
    return [(row[0], row[1]) for row in rows]


def lock_sale(tx: Transaction, connection: str, deal: str) -> Sale | None:
    """Wait for a deal's row and lock it; None if the deal is no sale."""
    row = tx.one(
        "SELECT connection, deal, correlation, lead_id, open_mandatory, overdue FROM sale "
        "WHERE connection = %s AND deal = %s FOR UPDATE",
        connection,
        deal,
    )
    return Sale(row[0], row[1], row[2], row[3], (row[4], row[5])) if row else None


def open_sale(tx: Transaction, sale: Sale) -> Sale:
    """Store a sale if it is new, and lock it."""
    tx.run(
        "INSERT INTO sale (connection, deal, correlation, lead_id) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        sale.connection,
        sale.deal,
        sale.correlation,
        sale.lead_id,
    )
    locked = lock_sale(tx, sale.connection, sale.deal)
    assert locked is not None
    return locked


def came_from(tx: Transaction, sale: Sale, lead: LeadRow) -> Sale:
    """Remember which lead a locked sale came from; what follows stands in the lead's story."""
    tx.run(
        "UPDATE sale SET lead_id = %s, correlation = %s WHERE connection = %s AND deal = %s",
        lead.id,
        lead.correlation,
        sale.connection,
        sale.deal,
    )
    return replace(sale, lead_id=lead.id, correlation=lead.correlation)


def write_counters(tx: Transaction, sale: Sale, open_mandatory: int, overdue: int) -> None:
    """Remember which counters the CRM was last told."""
    tx.run(
        "UPDATE sale SET open_mandatory = %s, overdue = %s WHERE connection = %s AND deal = %s",
        open_mandatory,
        overdue,
        sale.connection,
        sale.deal,
    )


def take_news(tx: Transaction, connection: str, deal: str) -> list[News]:
    """Take what happened to a deal off the list; read the events after this, never before."""
    rows = tx.all(
        "DELETE FROM deal_news WHERE connection = %s AND deal = %s RETURNING id, type, step_id", connection, deal
    )
    return [News(row[1], row[2]) for row in sorted(rows)]


def drop_news(tx: Transaction, connection: str, deal: str, up_to: int) -> None:
    """Forget events of a deal that is no sale; a later sale reads them all again."""
    tx.run("DELETE FROM deal_news WHERE connection = %s AND deal = %s AND id <= %s", connection, deal, up_to)


def newest_news(tx: Transaction, connection: str, deal: str) -> int:
    """Return the number of the latest event noted for a deal, 0 if there is none."""
    row = tx.one("SELECT coalesce(max(id), 0) FROM deal_news WHERE connection = %s AND deal = %s", connection, deal)
    return int(row[0]) if row else 0


def facts(tx: Transaction, connection: str, deal: str) -> list[Event]:
    """Return every event of a deal and of the calls linked to it, as they were recorded."""
    rows = tx.all(
        f"SELECT id, {_EVENT} FROM event WHERE source = %s AND object_type = 'deal' AND record_id = %s "  # noqa: S608
        f"UNION SELECT id, {_EVENT} FROM event WHERE source = %s AND attributes ? 'deal' "
        "AND attributes ->> 'deal' = %s AND object_type = 'call' ORDER BY id",
        connection,
        deal,
        connection,
        deal,
    )
    return [Event(*row[1:]) for row in rows]


def task_facts(tx: Transaction, connection: str, step: UUID) -> list[Event]:
    """Return every event of a step's task, as they were recorded; none before its record is known."""
    rows = tx.all(
        f"SELECT {_EVENT} FROM event WHERE source = %s AND object_type = 'task' AND record_id = "  # noqa: S608
        "(SELECT record_id FROM binding WHERE connection = %s AND key = %s) ORDER BY id",
        connection,
        connection,
        task_key(step),
    )
    return [Event(*row) for row in rows]


def plans(tx: Transaction, sale: Sale) -> list[PlanRow]:
    """Return the plans of a sale."""
    rows = tx.all(
        "SELECT id, plan_key, plan_version, configuration, owner FROM plan_instance "
        "WHERE connection = %s AND deal = %s ORDER BY plan_key",
        sale.connection,
        sale.deal,
    )
    return [PlanRow(*row) for row in rows]


def start_plan(
    tx: Transaction, sale: Sale, plan: PlanRow, started_at: datetime, steps: Sequence[tuple[UUID, str, str]]
) -> None:
    """Store a new plan with its steps, given as (id, key, owner)."""
    tx.run(
        "INSERT INTO plan_instance (id, connection, deal, plan_key, plan_version, configuration, owner, started_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        plan.id,
        sale.connection,
        sale.deal,
        plan.plan_key,
        plan.plan_version,
        plan.configuration,
        plan.owner,
        started_at,
    )
    for step, key, owner in steps:
        tx.run(
            "INSERT INTO step_instance (id, plan_instance, step_key, first_owner, owner) VALUES (%s, %s, %s, %s, %s)",
            step,
            plan.id,
            key,
            owner,
            owner,
        )


def steps(tx: Transaction, plan: UUID) -> dict[str, StepRow]:
    """Return the steps of a plan by key."""
    rows = tx.all(
        "SELECT s.id, s.plan_instance, s.step_key, s.first_owner, s.owner, s.state, s.activated_at, s.due_original, "
        "s.due_current, s.done_at, s.overdue_at, "
        "ARRAY(SELECT h.from_person FROM handover h WHERE h.step_instance = s.id), "
        "ARRAY(SELECT r.rung FROM step_rung r WHERE r.step_instance = s.id AND r.due = s.due_current) "
        "FROM step_instance s WHERE s.plan_instance = %s",
        plan,
    )
    return {row[2]: _step(row) for row in rows}


def write_step(
    tx: Transaction, step: UUID, progress: StepProgress, *, basis: str, next_rung_at: datetime | None
) -> None:
    """Record where a step stands. The original due instant is set once; a new due starts without a mark."""
    tx.run(
        "UPDATE step_instance SET state = %s, activated_at = %s, due_original = coalesce(due_original, %s), "
        "due_basis = CASE WHEN due_original IS NULL THEN %s ELSE due_basis END, "
        "overdue_at = CASE WHEN due_current IS DISTINCT FROM %s THEN NULL ELSE overdue_at END, "
        "due_current = %s, done_at = %s, refusals = %s, next_rung_at = %s WHERE id = %s",
        str(progress.state),
        progress.activated_at,
        progress.due_original,
        basis if progress.due_original else None,
        progress.due,
        progress.due,
        progress.done_at,
        progress.refusals,
        next_rung_at,
        step,
    )


def write_evidence(tx: Transaction, connection: str, plan: UUID, used: Sequence[tuple[str, UUID]]) -> None:
    """Record which calls prove which steps of a plan, given as (call, step)."""
    tx.run("DELETE FROM evidence_use USING step_instance s WHERE s.id = step_instance AND s.plan_instance = %s", plan)
    for call, step in used:
        tx.run(
            "INSERT INTO evidence_use (connection, call_id, step_instance) VALUES (%s, %s, %s)", connection, call, step
        )


def used_elsewhere(tx: Transaction, connection: str, plan: UUID, calls: Collection[str]) -> set[str]:
    """Return the calls that prove a step of another plan."""
    rows = tx.all(
        "SELECT e.call_id FROM evidence_use e JOIN step_instance s ON s.id = e.step_instance "
        "WHERE e.connection = %s AND e.call_id = ANY(%s) AND s.plan_instance <> %s",
        connection,
        list(calls),
        plan,
    )
    return {row[0] for row in rows}


def record_rung(tx: Transaction, step: StepRow, rung: int, actions: Sequence[str], now: datetime) -> bool:
    """Record that a rung fired; False if it did before for this due instant."""
    return (
        tx.run(
            "INSERT INTO step_rung (step_instance, rung, due, actions, fired_at) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            step.id,
            rung,
            step.due,
            list(actions),
            now,
        )
        == 1
    )


def schedule_rung(tx: Transaction, step: UUID, at: datetime | None) -> None:
    """Set when the step's next rung is due."""
    tx.run("UPDATE step_instance SET next_rung_at = %s WHERE id = %s", at, step)


def mark_overdue(tx: Transaction, step: UUID, now: datetime) -> None:
    """Mark a step as overdue."""
    tx.run("UPDATE step_instance SET overdue_at = %s WHERE id = %s", now, step)


def hand_over(tx: Transaction, step: StepRow, to: str | None, reason: str, now: datetime) -> None:
    """Give a step to somebody else, or record that nobody can take it (`to` None)."""
    tx.run(
        "INSERT INTO handover (step_instance, from_person, to_person, reason, at) VALUES (%s, %s, %s, %s, %s)",
        step.id,
        step.owner,
        to,
        reason,
        now,
    )
    if to is not None:
        tx.run("UPDATE step_instance SET owner = %s WHERE id = %s", to, step.id)


def loads(tx: Transaction, people: Collection[str]) -> dict[str, int]:
    """Return how many open steps each of these people has."""
    rows = tx.all(
        "SELECT owner, count(*) FROM step_instance WHERE state = 'open' AND owner = ANY(%s) GROUP BY owner",
        list(people),
    )
    return dict.fromkeys(people, 0) | {row[0]: row[1] for row in rows}


def lead_of(tx: Transaction, deal: MirrorRow | None) -> LeadRow | None:
    """Return the lead of ours a deal came from: by its link to the lead, else by its contact's address."""
    if deal is None:
        return None
    linked = tx.one(
        "SELECT key FROM binding WHERE connection = %s AND object_type = 'lead' AND record_id = %s",
        deal.connection,
        str(deal.fields.get("lead") or ""),
    )
    found = _uuid(linked[0], "lead") if linked else None
    if found is None:
        row = tx.one(
            "SELECT k.lead_id FROM mirror_record m JOIN person_key k ON k.kind = 'email' AND k.value = m.email "
            "WHERE m.connection = %s AND m.object_type = 'contact' AND m.record_id = %s AND m.email <> ''",
            deal.connection,
            str(deal.fields.get("contact") or ""),
        )
        found = row[0] if row else None
    return leads.by_ids(tx, [found]).get(found) if found else None


def task_step(tx: Transaction, connection: str, task: str) -> tuple[UUID, str] | None:
    """Return step and deal of a CRM task we wrote for a step, None for any other task."""
    row = tx.one(
        "SELECT key FROM binding WHERE connection = %s AND object_type = 'task' AND record_id = %s", connection, task
    )
    step = _uuid(row[0], "step") if row else None
    if step is None:
        return None
    row = tx.one(
        "SELECT p.deal FROM step_instance s JOIN plan_instance p ON p.id = s.plan_instance "
        "WHERE s.id = %s AND p.connection = %s",
        step,
        connection,
    )
    return (step, row[0]) if row else None


def task_key(step: UUID) -> str:
    """Return our key of a step's task."""
    return f"step:{step}"


def _step(row: tuple[Any, ...]) -> StepRow:
    *plain, from_people, rungs = row
    plain[5] = StepState(plain[5])
    owners = frozenset([*from_people, row[3], row[4]])
    return StepRow(*(*plain, owners, frozenset(rungs)))


def _uuid(key: str, kind: str) -> UUID | None:
    found, _, rest = key.partition(":")
    try:
        return UUID(rest) if found == kind else None
    except ValueError:
        return None
