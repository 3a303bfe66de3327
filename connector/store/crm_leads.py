"""Open leads that were born in a CRM, counted for each user who is one of our people: they fill caps like ours do.

The rows are locked before they are counted anew, in one order and as the last thing a transaction does, so that two
transactions see each other's changes and none waits in a circle.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple

from connector.store.database import Transaction


class User(NamedTuple):
    """A user of a CRM, and which of our people that is."""

    connection: str
    user: str
    person: str


_LOCK = """
WITH n AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (connection text, "user" text, person text))
INSERT INTO crm_open_lead (connection, user_id, person) SELECT connection, "user", person FROM n
ORDER BY "user", connection
ON CONFLICT (user_id, connection) DO UPDATE SET person = excluded.person
RETURNING connection, user_id, leads
"""

# A person counts once: in several records of the CRM, and where we know them as an open lead of the same owner.
_COUNT = """
UPDATE crm_open_lead o SET counted_at = hearback_now(), leads = (
    SELECT count(DISTINCT nullif(m.email, '')) + count(*) FILTER (WHERE m.email = '') FROM mirror_record m
    WHERE m.owner = o.user_id AND m.connection = o.connection AND m.object_type = 'lead' AND m.open AND NOT m.deleted
      AND m.owner <> ''
      AND NOT EXISTS (SELECT FROM person_key k JOIN lead l ON l.id = k.lead_id
                      WHERE k.kind = 'email' AND k.value = m.email AND l.status = 'assigned' AND l.owner = o.person))
FROM jsonb_to_recordset(%s::jsonb) AS n (connection text, "user" text)
WHERE o.user_id = n."user" AND o.connection = n.connection
RETURNING o.connection, o.user_id, o.leads
"""

_STALE = """
SELECT n.connection, n."user", n.person
FROM jsonb_to_recordset(%s::jsonb) AS n (connection text, "user" text, person text)
LEFT JOIN crm_open_lead o ON o.user_id = n."user" AND o.connection = n.connection
WHERE o.person IS DISTINCT FROM n.person OR o.counted_at < hearback_now() - %s
ORDER BY o.counted_at NULLS FIRST LIMIT %s
"""


def recount(tx: Transaction, users: Collection[User]) -> bool:
    """Count the open leads of some users anew; return whether somebody has fewer now."""
    if not users:
        return False
    rows = [user._asdict() for user in users]
    before = {(connection, user): leads for connection, user, leads in tx.all_rows(_LOCK, rows)}
    counted = tx.all_rows(_COUNT, rows)
    return any(leads < before[connection, user] for connection, user, leads in counted)


def stale(tx: Transaction, users: Sequence[User], older_than: timedelta, limit: int) -> list[User]:
    """Return users who were not counted lately, or under another name."""
    rows = tx.all_rows(_STALE, [user._asdict() for user in users], older_than, limit)
    return [User(*row) for row in rows]


def keep_only(tx: Transaction, users: Sequence[User]) -> bool:
    """Drop the counts of users who are nobody's any more; return whether there were any."""
    return (
        tx.run_rows(
            'WITH n AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n (connection text, "user" text)) '
            'DELETE FROM crm_open_lead o WHERE NOT EXISTS (SELECT FROM n WHERE n."user" = o.user_id '
            "AND n.connection = o.connection)",
            [user._asdict() for user in users],
        )
        > 0
    )


def counts(tx: Transaction, connection: str) -> dict[str, int]:
    """Return how many open leads of the CRM's own each person has who has any."""
    rows = tx.all(
        "SELECT person, sum(leads)::integer FROM crm_open_lead WHERE connection = %s AND leads > 0 "
        "GROUP BY person ORDER BY person",
        connection,
    )
    return dict(rows)
