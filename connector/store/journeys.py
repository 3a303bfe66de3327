"""The way of each answer to a mailing, derived from what is stored: from mailed to contacted."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connector.store.database import Transaction

# Contact is what counts as a response elsewhere too: the owner's touch, a logged call, a ticked task about the lead.
_JOURNEYS = """
SELECT a.delivery_id, a.recipient_id, s.lead_id, a.channel,
    (SELECT e.occurred_at FROM event e
     WHERE e.source = 'mailing' AND e.source_id = a.recipient_id::text AND e.type = 'mailing.sent'),
    a.answered_at, d.received_at, a.keyed_at,
    (SELECT min(c.decided_at) FROM decision c WHERE c.lead_id = s.lead_id AND c.owner IS NOT NULL),
    (SELECT min(contact.at) FROM (
        SELECT r.touched_at AS at FROM response r WHERE r.lead_id = s.lead_id
        UNION ALL
        SELECT e.occurred_at FROM lead l
            JOIN binding b ON b.connection = l.connection AND b.key = 'lead:' || l.id
            JOIN event e ON e.attributes ->> 'lead' = b.record_id AND e.attributes ? 'lead' AND e.source = b.connection
        WHERE l.id = s.lead_id AND e.type = 'call.logged'
        UNION ALL
        SELECT e.occurred_at FROM command c
            JOIN binding b ON b.connection = c.connection AND b.key = c.key
            JOIN event e ON e.source = b.connection AND e.object_type = 'task' AND e.record_id = b.record_id
        WHERE c.lead_id = s.lead_id AND c.object_type = 'task' AND split_part(c.key, ':', 1) = ANY(%s)
            AND e.type = 'task.completed'
    ) contact WHERE contact.at >= a.answered_at)
FROM card_answer a
JOIN delivery d ON d.id = a.delivery_id
LEFT JOIN submission s ON s.delivery_id = a.delivery_id AND s.position = a.position
WHERE a.campaign = %s
"""

# A subquery, so that no plan without statistics joins every recipient with every event.
_MAILED = """
SELECT s.id FROM (
    SELECT r.id::text, (SELECT e.id FROM event e
        WHERE e.source = 'mailing' AND e.source_id = r.id::text AND e.type = 'mailing.sent') AS sent
    FROM recipient r WHERE r.campaign = %s) s
WHERE s.sent IS NOT NULL
"""


class Journey(NamedTuple):
    """When what happened to one answer; None where it did not, or nobody told."""

    delivery_id: UUID
    recipient_id: UUID | None
    lead_id: UUID | None
    channel: str
    mailed_at: datetime | None
    answered_at: datetime
    received_at: datetime
    keyed_at: datetime | None
    assigned_at: datetime | None
    contacted_at: datetime | None


def of_campaign(tx: Transaction, campaign: str, tasks: Collection[str]) -> list[Journey]:
    """Return the way of every answer to a campaign; a ticked task of these kinds is a contact."""
    return [Journey(*row) for row in tx.all(_JOURNEYS, list(tasks), campaign)]


def mailed(tx: Transaction, campaign: str) -> list[str]:
    """Return the ids of the recipients whose cards went to the post."""
    return [row[0] for row in tx.all(_MAILED, campaign)]
