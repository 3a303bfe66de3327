"""Answers to mailings, append-only; what became of them is asked of leads, decisions and events."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction

_PUT = """
INSERT INTO card_answer (delivery_id, position, campaign, recipient_id, channel, answered_at, keyed_at)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (delivery_id uuid, position smallint, campaign text,
    recipient_id uuid, channel text, answered_at timestamptz, keyed_at timestamptz)
ON CONFLICT DO NOTHING
"""


class CardAnswer(NamedTuple):
    """One card or page that was read. `recipient_id` None: nobody could tell whose it was."""

    delivery_id: UUID
    position: int
    campaign: str
    recipient_id: UUID | None
    channel: str
    answered_at: datetime
    keyed_at: datetime | None


def put(tx: Transaction, answers: Sequence[CardAnswer]) -> None:
    """Store answers, each once."""
    if answers:
        tx.run_rows(_PUT, [answer._asdict() for answer in answers])
