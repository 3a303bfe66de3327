"""Whom a mailing goes to: a token each, name and address sealed."""

from collections.abc import Collection, Sequence
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

# Who was erased meanwhile is not marked again.
_MARK = """
INSERT INTO recipient_mark (mark, recipient_id)
SELECT n.mark, n.id FROM unnest(%s::bytea[], %s::uuid[]) AS n (mark, id)
JOIN recipient r ON r.id = n.id AND r.sealed IS NOT NULL
ORDER BY n.mark, n.id
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


def mark(tx: Transaction, rows: Sequence[tuple[bytes, UUID]]) -> None:
    """Note keyed hashes by which stored recipients are found again."""
    if rows:
        tx.run(_MARK, *(list(column) for column in zip(*rows, strict=True)))


def stored(tx: Transaction, ids: Collection[UUID]) -> set[UUID]:
    """Return which of these recipients are stored, the erased among them."""
    return {row[0] for row in tx.all("SELECT id FROM recipient WHERE id = ANY(%s)", list(ids))}


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


def by_ids(tx: Transaction, ids: Collection[UUID]) -> list[Recipient]:
    """Return recipients in order of their ids."""
    rows = tx.all(f"SELECT {_ROW} FROM recipient r WHERE r.id = ANY(%s) ORDER BY r.id", list(ids))  # noqa: S608 (constants only)
    return [_recipient(row) for row in rows]


def by_marks(tx: Transaction, marks: Sequence[bytes]) -> set[UUID]:
    """Return the recipients that hold one of these marks."""
    rows = tx.all("SELECT recipient_id FROM recipient_mark WHERE mark = ANY(%s)", list(marks))
    return {row[0] for row in rows}


def to_send(tx: Transaction, campaign: str, at: datetime, after: str, limit: int) -> list[Recipient]:
    """Return who was sent nothing yet, or at this very instant, by reference from `after` on; the erased never."""
    rows = tx.all(
        f"SELECT {_ROW} FROM recipient r WHERE r.campaign = %s AND r.erased_at IS NULL AND r.reference > %s "  # noqa: S608 (constants only)
        f"AND coalesce({_SENT_AT} = %s, true) ORDER BY r.reference LIMIT %s",
        campaign,
        after,
        at,
        limit,
    )
    return [_recipient(row) for row in rows]


def sent(tx: Transaction, campaign: str) -> dict[datetime, int]:
    """Count a campaign's recipients, but the erased, by the instant they were sent their card, if they were."""
    rows = tx.all(
        f"SELECT at, count(*) FROM (SELECT {_SENT_AT} AS at FROM recipient r "  # noqa: S608 (constants only)
        "WHERE r.campaign = %s AND r.erased_at IS NULL) s WHERE at IS NOT NULL GROUP BY at ORDER BY at",
        campaign,
    )
    return dict(rows)


def count(tx: Transaction, campaign: str) -> int:
    """Count a campaign's recipients, but the erased."""
    row = tx.one("SELECT count(*) FROM recipient WHERE campaign = %s AND erased_at IS NULL", campaign)
    return row[0] if row else 0


def _recipient(row: tuple[Any, ...]) -> Recipient:
    name, token, campaign, reference, sealed = row
    return Recipient(name, token, campaign, reference, None if sealed is None else bytes(sealed))
