"""Survey invitations and answers. Tokens are kept as hashes only (B4)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, or the record of why there is none (`suppressed_reason`)."""

    id: UUID
    connection: str
    deal: str
    legal_basis: str
    state: str
    suppressed_reason: str
    token_hash: bytes | None
    language: str
    created_at: datetime
    expires_at: datetime


_COLUMNS = "id, connection, deal, legal_basis, state, suppressed_reason, token_hash, language, created_at, expires_at"


def exists(tx: Transaction, connection: str, deal: str) -> bool:
    """Tell whether a deal's invitation was decided on before."""
    return tx.one("SELECT FROM survey_invitation WHERE connection = %s AND deal = %s", connection, deal) is not None


def invite(tx: Transaction, invitation: Invitation) -> None:
    """Store an invitation; the caller holds the sale's lock."""
    tx.run(
        f"INSERT INTO survey_invitation ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",  # noqa: S608
        invitation.id,
        invitation.connection,
        invitation.deal,
        invitation.legal_basis,
        invitation.state,
        invitation.suppressed_reason,
        invitation.token_hash,
        invitation.language,
        invitation.created_at,
        invitation.expires_at,
    )


def by_token(tx: Transaction, token_hash: bytes, *, lock: bool = False) -> Invitation | None:
    """Return the invitation a token opens."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM survey_invitation WHERE token_hash = %s" + (" FOR UPDATE" if lock else ""),  # noqa: S608
        token_hash,
    )
    return Invitation(*row) if row else None


def answer(tx: Transaction, invitation: UUID, score: int, text: str, now: datetime) -> None:
    """Store the one answer to an invitation; the caller holds its lock."""
    tx.run(
        "INSERT INTO survey_answer (invitation, score, text, submitted_at) VALUES (%s, %s, %s, %s)",
        invitation,
        score,
        text,
        now,
    )
    tx.run("UPDATE survey_invitation SET state = 'answered' WHERE id = %s", invitation)
