"""A sale that is being worked through: what is known of it, and how it speaks to its CRM."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.flows.staff import calendar_of, language_of, person_of
from connector.followup import Candidate
from connector.followup.tasks import Fields, Reader
from connector.model.crm import ObjectType
from connector.model.followup import Plan, Step
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, commands, followups
from connector.store.commands import NewCommand
from connector.store.debts import owed
from connector.store.events import Event
from connector.store.followups import News, Sale, StepRow
from connector.store.mirror import MirrorRow

WON = "opportunity.won"
LOST = "opportunity.lost"
DELIVERED = "order.delivered"
CALL = "call.logged"
TICKED = "task.completed"
REOPENED = "task.reopened"

#: The fields in which a CRM says when a fact happened, where it is not when the record changed.
_SAID = {CALL: "occurred_at", DELIVERED: "delivered_at"}


@dataclass(frozen=True, slots=True)
class Deal:
    """A sale that is being worked through: its row is locked, its facts are read."""

    tx: Transaction
    services: Services
    settings: Settings
    sale: Sale
    record: MirrorRow | None
    facts: Sequence[Event]
    news: Sequence[News]
    now: datetime

    def times(self, type_: str) -> tuple[datetime, ...]:
        """Return when events of a type happened, in the order they were recorded."""
        return tuple(when(fact) for fact in self.facts if fact.type == type_)

    @property
    def seller(self) -> str | None:
        """Return the person who owns the deal in the CRM, None if we do not know its user."""
        return person_of(self.settings, self.sale.connection, self.record.owner if self.record else "")

    @property
    def owner(self) -> str:
        """Return who answers for the deal's follow-up: its seller, else the fallback owner."""
        return self.seller or self.settings.rule_set.fallback

    def put(self, key: str, object_type: ObjectType, fields: Fields, purpose: str, record: str | None = None) -> None:
        """Put a command for this deal's connection."""
        command = NewCommand(
            connection=self.sale.connection,
            key=key,
            object_type=object_type,
            fields=fields,
            purpose=purpose,
            correlation=self.sale.correlation,
            record=record,
            lead_id=self.sale.lead_id,
        )
        commands.put(self.tx, [command])

    def put_on_deal(self, fields: Fields, purpose: str) -> None:
        """Put a write of fields of ours on the deal itself."""
        self.put(f"deal:{self.sale.deal}", ObjectType.DEAL, fields, purpose, self.sale.deal)

    def reader(self, person: str) -> Reader | None:
        """Return a person as a reader of tasks; None if they have no user in this CRM."""
        known = self.settings.people.get(person)
        user = known.users.get(self.sale.connection) if known else None
        if not user:
            return None
        return Reader(user, language_of(self.settings, person), calendar_of(self.settings, person).timezone)


@dataclass(frozen=True, slots=True)
class Running:
    """A step of a running plan: what the plan promises and where it stands."""

    plan: Plan
    step: Step
    row: StepRow


def when(fact: Event) -> datetime:
    """Return when a fact happened, which may be before somebody entered it into the CRM."""
    said = str(fact.attributes.get(_SAID.get(fact.type, ""), ""))
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return fact.occurred_at
    return at if at.tzinfo else fact.occurred_at


def candidates(deal: Deal, people: Sequence[str], paused_at: int | None = None) -> list[Candidate]:
    """Return people with the steps they have; who owes `paused_at` or more is paused."""
    loads, debts = followups.loads(deal.tx, people), owed(deal.tx)
    return [
        Candidate(key, loads[key], paused=paused_at is not None and debts.get(key, 0) >= paused_at) for key in people
    ]
