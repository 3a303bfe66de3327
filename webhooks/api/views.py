"""What the API shows. It says what became of a lead and why, not who the person is."""

from typing import Any
from uuid import UUID

from connector.flows.reading import DecisionView, LeadView
from connector.store.reading import DeliveryRow

RECEIPTS = "/api/v1/receipts/"
LEADS = "/api/v1/leads/"


def accepted(receipt: UUID) -> dict[str, Any]:
    """Show what a poster gets at once."""
    return {"receipt": str(receipt), "status_url": f"{RECEIPTS}{receipt}"}


def decided(receipt: UUID, view: LeadView) -> dict[str, Any]:
    """Show what a poster gets who waited for the decision."""
    return {**accepted(receipt), "lead": lead(view)}


def receipt(row: DeliveryRow) -> dict[str, Any]:
    """Show what became of a delivery."""
    return {
        "receipt": str(row.id),
        "source": row.source,
        "received_at": row.received_at.isoformat(),
        "state": row.state,
        "fate": row.fate,
        "reason": row.reason,
        "first": str(row.first) if row.first else None,
        "test": row.is_test,
        "leads": [{"id": str(lead_id), "url": f"{LEADS}{lead_id}"} for lead_id in row.leads],
    }


def lead(view: LeadView) -> dict[str, Any]:
    """Show who owns a lead and why."""
    row = view.lead
    return {
        "id": str(row.id),
        "url": f"{LEADS}{row.id}",
        "decision_url": f"{LEADS}{row.id}/decision",
        "receipt": str(row.correlation),
        "created_at": row.created_at.isoformat(),
        "source": row.source,
        "test": row.is_test,
        "status": row.status,
        "owner": {"key": row.owner, "name": view.owner_name} if row.owner else None,
        "pool": row.pool,
        "connection": row.connection,
        "record": row.record,
        "reason": row.reason,
        "assigned_at": row.assigned_at.isoformat() if row.assigned_at else None,
        "held_until": row.held_until.isoformat() if row.held_until else None,
    }


def decision(view: DecisionView) -> dict[str, Any]:
    """Show a decision with the stored record and its story."""
    return {
        "lead": str(view.lead),
        "number": view.number,
        "decided_at": view.decided_at.isoformat(),
        "outcome": view.outcome,
        "owner": view.owner,
        "rule_set": view.rule_set,
        "sha256": view.digest,
        "record": dict(view.record),
        "explanation": list(view.explanation),
    }
