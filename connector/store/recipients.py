"""Whom a mailing goes to: a token each, name and address sealed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from connector.store.database import Transaction

#: How an event about a recipient names itself.
SOURCE, OBJECT, SENT = "mailing", "recipient", "mailing.sent"

# A token drawn twice is no reason to lose its row: the caller draws again for what is not there afterwards.
_PUT = """
INSERT INTO recipient (id, token, campaign, reference, sealed)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[])
ON CONFLICT DO NOTHING
"""

_ROW = "r.id, r.token, r.campaign, r.reference, r.sealed"
_SENT_AT = (
    "(SELECT e.occurred_at FROM event e WHERE e.source = 'mailing' AND e.source_id = r.id::text "
    "AND e.type = 'mailing.sent')"
)


class Recipient(NamedTuple):
    """One card's recipient; `reference` is the sender's own name for them."""

    id: UUID
    token: str
    campaign: str
    reference: str
    sealed: bytes | None


def put(tx: Transaction, rows: Sequence[Recipient]) -> int:
    """Store recipients that are not there yet; return how many were new."""
    if not rows:
        return 0
    return tx.run(_PUT, *(list(column) for column in zip(*rows, strict=True)))


def known(tx: Transaction, campaign: str, references: Sequence[str]) -> dict[str, Recipient]:
    """Return those of a campaign's recipients that are stored, by reference."""
    rows = tx.all(
        f"SELECT {_ROW} FROM recipient r WHERE r.campaign = %s AND r.reference = ANY(%s)",  # noqa: S608 (constants only)
        campaign,
        list(references),
    )
    return {row[3]: _recipient(row) for row in rows}


def by_tokens(tx: Transaction, tokens: Sequence[str]) -> dict[str, Recipient]:
    """Return the recipients these tokens were printed for."""
    if not tokens:
        return {}
    rows = tx.all(f"SELECT {_ROW} FROM recipient r WHERE r.token = ANY(%s)", list(tokens))  # noqa: S608 (constants only)
    return {row[1]: _recipient(row) for row in rows}


def to_send(tx: Transaction, campaign: str, at: datetime, after: str, limit: int) -> list[Recipient]:
    """Return recipients who were sent nothing yet, or at this very instant, by reference from `after` on."""
    rows = tx.all(
        f"SELECT {_ROW} FROM recipient r WHERE r.campaign = %s AND r.reference > %s "  # noqa: S608 (constants only)
        f"AND coalesce({_SENT_AT} = %s, true) ORDER BY r.reference LIMIT %s",
        campaign,
        after,
        at,
        limit,
    )
    return [_recipient(row) for row in rows]


def sent(tx: Transaction, campaign: str) -> dict[datetime, int]:
    """Count a campaign's recipients by the instant they were sent their card; the others are left out."""
    rows = tx.all(
        f"SELECT at, count(*) FROM (SELECT {_SENT_AT} AS at FROM recipient r WHERE r.campaign = %s) s "  # noqa: S608 (constants only)
        "WHERE at IS NOT NULL GROUP BY at ORDER BY at",
        campaign,
    )
    return dict(rows)


def count(tx: Transaction, campaign: str) -> int:
    """Count a campaign's recipients."""
    row = tx.one("SELECT count(*) FROM recipient WHERE campaign = %s", campaign)
    return row[0] if row else 0


def _recipient(row: tuple[Any, ...]) -> Recipient:
    name, token, campaign, reference, sealed = row
    return Recipient(name, token, campaign, reference, None if sealed is None else bytes(sealed))
