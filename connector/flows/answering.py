"""Answers to a mailing: whose card it was, what they left out because we know it, and that they answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from connector.flows.mailing import fields_of
from connector.flows.read import Aside, Prepared, said_anew
from connector.model.lead import Submission
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, card_answers, recipients
from connector.store.card_answers import CardAnswer

_NAMES = ("first_name", "last_name")


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a card was mailed to."""

    id: UUID
    campaign: str
    fields: Mapping[str, str]


Mailed = Mapping[str, Addressee]


def mailed(services: Services, tx: Transaction, read: Sequence[Sequence[Prepared]]) -> Mailed:
    """Return whom the tokens of these answers were printed for, by token."""
    tokens = {p.submission.token for prepared in read for p in prepared if p.submission.token}
    rows = recipients.by_tokens(tx, sorted(tokens))
    return {token: Addressee(row.id, row.campaign, fields_of(services.vault, row)) for token, row in rows.items()}


def complete(settings: Settings, prepared: Sequence[Prepared], known: Mailed) -> Sequence[Prepared] | Aside:
    """Fill what an answer leaves out from what was mailed (C10); what cannot be right waits for a person.

    A person who replays it has judged it: then the token decides, and an unknown one counts for nothing.
    """
    completed = []
    for p in prepared:
        token = p.submission.token
        fault = _fault(p, known) if token and p.delivery.verified != "released" else ""
        if fault:
            return Aside(p.delivery, fault)
        if token:
            p = said_anew(p, _filled(settings, p.submission, known.get(token)), settings)  # noqa: PLW2901 (the same answer)
        completed.append(p)
    return completed


def record(tx: Transaction, settings: Settings, prepared: Sequence[Prepared], known: Mailed) -> None:
    """Note who answered which mailing, by which channel and when; tests do not count."""
    card_answers.put(
        tx,
        [
            _answer(p, known.get(p.submission.token))
            for p in prepared
            if p.channel and p.lead.campaign in settings.campaigns and not p.submission.is_test
        ],
    )


def _fault(p: Prepared, known: Mailed) -> str:
    addressee = known.get(p.submission.token)
    if addressee is None:
        return "the card's code belongs to no recipient: load the campaign's list, then replay"
    if p.submission.fields.get("campaign", addressee.campaign) != addressee.campaign:
        return "key code and code of the card belong to different campaigns; replayed, the card's code decides"
    return ""


def _filled(settings: Settings, submission: Submission, addressee: Addressee | None) -> Submission:
    if addressee is None:
        return replace(submission, token="")
    said = submission.fields
    spoken = {name: value for name, value in said.items() if name not in submission.defaulted}
    fields = {**said, **_beside(addressee.fields, spoken), **spoken, "campaign": addressee.campaign}
    attribution = dict(submission.attribution)
    if addressee.campaign in settings.campaigns:
        attribution["key_code"] = settings.campaigns[addressee.campaign].key_code
    return replace(submission, fields=fields, attribution=attribution)


def _beside(fields: Mapping[str, str], spoken: Mapping[str, str]) -> dict[str, str]:
    """Return what was mailed without a name that another way of writing it replaces."""
    hidden = {*_NAMES} if "full_name" in spoken else {"full_name"} if spoken.keys() & {*_NAMES} else set()
    return {name: value for name, value in fields.items() if name not in hidden}


def _answer(p: Prepared, addressee: Addressee | None) -> CardAnswer:
    received = p.delivery.received_at
    return CardAnswer(
        delivery_id=p.delivery.id,
        position=p.position,
        campaign=p.lead.campaign,
        recipient_id=addressee.id if addressee else None,
        channel=p.channel,
        answered_at=min(p.submission.occurred_at or received, received),
        keyed_at=p.submission.keyed_at,
    )
