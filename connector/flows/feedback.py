"""The survey after a delivery: invited once, answered once, the score on the deal (WB5).

The link is written to a field of the deal; from there the CRM's own mail templates can send it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from connector.followup import texts
from connector.model.crm import ObjectType
from connector.model.identity import new_id
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, commands, leads
from connector.store import feedback as surveys
from connector.store.commands import NewCommand
from connector.store.feedback import Invitation
from connector.store.followups import Sale, lock_sale
from connector.store.leads import LeadRow

#: How long an invitation may be answered.
VALID = timedelta(days=30)
#: Purposes whose consent covers being asked for an opinion.
PURPOSES = frozenset({"survey", "contact", "email"})
#: Longest text a customer may leave.
MOST_TEXT = 4_000

_TOKEN_BYTES = 32


class Outcome(StrEnum):
    """What became of an answer."""

    RECORDED = "recorded"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    ALREADY = "already"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class View:
    """What the survey page shows: `state` is open, answered or expired."""

    state: str
    company: str
    language: str
    expires_at: datetime


def invite(tx: Transaction, settings: Settings, sale: Sale, now: datetime) -> str | None:
    """Decide once per sale whether its customer is asked; return the link if so.

    Only its hash is kept of the token (B4). Without consent the invitation is suppressed, with the reason (B1).
    The caller holds the sale's lock and writes the link to the deal.
    """
    if surveys.exists(tx, sale.connection, sale.deal):
        return None
    lead = leads.by_ids(tx, [sale.lead_id]).get(sale.lead_id) if sale.lead_id else None
    reason = _reason_against(lead)
    token = None if reason else secrets.token_urlsafe(_TOKEN_BYTES)
    invitation = Invitation(
        id=new_id(),
        connection=sale.connection,
        deal=sale.deal,
        legal_basis="none" if reason else "consent",
        state="suppressed" if reason else "scheduled",
        suppressed_reason=reason,
        token_hash=_hash(token) if token else None,
        language=texts.pick([_language(lead), *settings.languages]),
        created_at=now,
        expires_at=now + VALID,
    )
    surveys.invite(tx, invitation)
    return f"{settings.public_url.rstrip('/')}/s/{token}" if token else None


def invitation(services: Services, token: str) -> View | None:
    """Return what a survey link opens, None for a link we never gave out. Records nothing (B4)."""
    with services.store.transaction() as tx:
        found = surveys.by_token(tx, _hash(token))
        if found is None:
            return None
        return View(_state(found, tx.now()), services.active(tx).settings.name, found.language, found.expires_at)


def answer(services: Services, token: str, score: int, text: str = "") -> Outcome:
    """Record the answer to a survey once, and put the score on the deal; the text stays with us (B10)."""
    if not 0 <= score <= 10:  # noqa: PLR2004 (the NPS scale)
        return Outcome.INVALID
    with services.store.transaction() as tx:
        found = surveys.by_token(tx, _hash(token), lock=True)
        if found is None:
            return Outcome.UNKNOWN
        state = _state(found, tx.now())
        if state != "open":
            return Outcome.ALREADY if state == "answered" else Outcome.EXPIRED
        surveys.answer(tx, found.id, score, text[:MOST_TEXT], tx.now())
        _write_score(tx, found, score)
        tx.after_commit(lambda: services.wake("commands"))
    return Outcome.RECORDED


def _write_score(tx: Transaction, found: Invitation, score: int) -> None:
    sale = lock_sale(tx, found.connection, found.deal)
    assert sale is not None
    commands.put(
        tx,
        [
            NewCommand(
                connection=found.connection,
                key=f"deal:{found.deal}",
                object_type=ObjectType.DEAL,
                fields={"score": score, "score_at": tx.now().isoformat()},
                purpose="feedback",
                correlation=sale.correlation,
                record=found.deal,
                lead_id=sale.lead_id,
            )
        ],
    )


def _reason_against(lead: LeadRow | None) -> str:
    """Return why nobody may be asked; empty if somebody may."""
    if lead is None:
        return "no lead of ours is behind this deal, so nobody consented"
    given = {consent["purpose"]: consent.get("given", False) for consent in lead.data.get("consents", ())}
    if any(given.get(purpose) is False for purpose in PURPOSES):
        return "the customer refused to be contacted"
    if not any(given.get(purpose) for purpose in PURPOSES):
        return "the customer did not consent to be contacted"
    return ""


def _state(found: Invitation, now: datetime) -> str:
    if found.state == "answered":
        return "answered"
    return "expired" if found.expires_at <= now else "open"


def _language(lead: LeadRow | None) -> str:
    return str(lead.data.get("language", "")) if lead else ""


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
