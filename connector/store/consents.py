"""Consents as events, append-only: who, when, how, told what, withdrawn since (requirement I31)."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction


class ConsentEvent(NamedTuple):
    """What a person said to one purpose. `delivery` is the evidence, `default_state` that of the box they saw."""

    lead: UUID
    delivery: UUID
    purpose: str
    channel: str
    state: str
    lawful_basis: str
    text: str
    form_version: str
    default_state: str
    source_url: str
    occurred_at: datetime
    ip: str
    user_agent: str
    actor: str


_FIELDS = (
    "lead_id",
    "delivery_id",
    "purpose",
    "channel",
    "state",
    "lawful_basis",
    "text",
    "form_version",
    "default_state",
    "source_url",
    "occurred_at",
    "ip",
    "user_agent",
    "actor",
)
_COLUMNS = ", ".join(_FIELDS)

# A refusal after a consent takes it back.
_RECORD = f"""
INSERT INTO consent_event ({_COLUMNS}, text_hash)
SELECT {
    _COLUMNS.replace(
        " state,",
        " CASE WHEN n.state = 'refused' AND (SELECT e.state FROM consent_event e "
        "WHERE e.lead_id = n.lead_id AND e.purpose = n.purpose ORDER BY e.id DESC LIMIT 1) = 'given' "
        "THEN 'withdrawn' ELSE n.state END,",
    )
}, sha256(convert_to(n.text, 'UTF8'))
FROM ROWS FROM (jsonb_to_recordset(%s::jsonb) AS (lead_id uuid, delivery_id uuid, purpose text, channel text,
    state text, lawful_basis text, text text, form_version text, default_state text, source_url text,
    occurred_at timestamptz, ip text, user_agent text, actor text)) WITH ORDINALITY AS n ({_COLUMNS}, number)
ORDER BY number
"""  # noqa: S608 (constants only)

_SHOWN = (
    "SELECT lead_id, purpose, channel, state, lawful_basis, text, encode(text_hash, 'hex'), form_version, "
    "default_state, source_url, occurred_at, recorded_at, ip, user_agent, delivery_id, actor "
    "FROM consent_event WHERE lead_id = ANY(%s) ORDER BY id"
)
_NAMES = (
    "lead",
    "purpose",
    "channel",
    "state",
    "lawful_basis",
    "text",
    "text_hash",
    "form_version",
    "default_state",
    "source_url",
    "occurred_at",
    "recorded_at",
    "ip",
    "user_agent",
    "receipt",
    "actor",
)


def record(tx: Transaction, events: Sequence[ConsentEvent]) -> None:
    """Append what people said, in order."""
    if events:
        tx.run_rows(_RECORD, [dict(zip(_FIELDS, event, strict=True)) for event in events])


def of_leads(tx: Transaction, leads: Sequence[UUID]) -> list[dict[str, object]]:
    """Return every consent event of leads, first to last."""
    return [dict(zip(_NAMES, row, strict=True)) for row in tx.all(_SHOWN, list(leads))]
