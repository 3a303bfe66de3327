"""Same person or company? With reasons. Pure: the records to compare with come in as arguments.

An empty key matches nothing, and nothing is searched by substring (requirement R20).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rapidfuzz import fuzz

from connector.model.lead import Lead
from connector.model.text import fold
from connector.normalize.company import is_free_mail

#: How alike two names must be to be one person's, of 100.
NAMES_AGREE = 90.0


class Verdict(StrEnum):
    """How sure we are that we know this person or company."""

    EXACT = "exact"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


class Candidate(NamedTuple):
    """A record that may be the same person or company; values normalised as a lead's are.

    `owner` is a person's key. `mirrored` marks a lead born in a CRM: its owner counts, but a submission
    is never attached to it. `open` matters for leads only.
    """

    kind: str
    id: str
    email: str = ""
    phone: str = ""
    domain: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    owner: str | None = None
    owner_active: bool = False
    open: bool = True
    connection: str | None = None
    updated_at: datetime | None = None
    mirrored: bool = False
    #: Of the response card by which it was found.
    token: str = ""


class Match(NamedTuple):
    """What we know of the person. `reasons` hold codes, record kinds and ids only (promise P4).

    `attach_to` is our open lead this submission belongs to, `owner` the person who keeps the lead.
    """

    verdict: Verdict
    attach_to: str | None = None
    owner: str | None = None
    kind: str | None = None
    record: str | None = None
    connection: str | None = None
    reasons: tuple[str, ...] = ()


#: Of a lead that shares nothing with any record.
NOBODY = Match(Verdict.NONE)


class _Tie(StrEnum):
    """Why a candidate may be the same; the value is the reason's code."""

    TOKEN = "token_matches"  # noqa: S105 (a reason's code)
    EMAIL = "email_matches"
    PHONE = "phone_matches"
    PHONE_ONLY = "phone_matches_name_differs"
    DOMAIN = "domain_matches"
    COMPANY = "company_name_matches"


_SURE = frozenset((_Tie.TOKEN, _Tie.EMAIL, _Tie.PHONE, _Tie.DOMAIN))
_Tied = tuple[_Tie, Candidate]


def person_keys(lead: Lead) -> tuple[tuple[str, str], ...]:
    """Return the keys that identify a person, sorted, as the store locks them."""
    keys = (("email", lead.email), ("phone", lead.phone), ("token", lead.token))
    return tuple((kind, value) for kind, value in keys if value)


def match(
    lead: Lead, candidates: Iterable[Candidate], *, order: Sequence[str] = ("lead", "contact", "account")
) -> Match:
    """Compare a lead with the records found for it.

    The first kind in `order` with one active owner decides who keeps the lead; several owners, none or an
    inactive one fall through with a reason (requirement R21). An e-mail outweighs a phone number, and the token of a
    response card both: it and its page are one answer (C16), also where they name two people (C7).
    """
    tied = [(tie, each) for each in _latest_first(candidates) if (tie := _tie(lead, each))]
    if not tied:
        return NOBODY
    sure = _firmest_first([pair for pair in tied if pair[0] in _SURE])
    reasons = [f"{tie}:{each.kind}:{each.id}" for tie, each in tied]
    attached = next((each for _, each in sure if each.kind == "lead" and each.open and not each.mirrored), None)
    reasons += _other_people(sure)
    keeper, ambiguous = _keeper(sure, order, reasons)
    known = keeper or attached or next((each for _, each in sure), None)
    return Match(
        verdict=_verdict(known=known, unsettled=ambiguous and not (keeper or attached), tied=tied),
        attach_to=attached.id if attached else None,
        owner=keeper.owner if keeper else None,
        kind=known.kind if known else None,
        record=known.id if known else None,
        connection=known.connection if known else None,
        reasons=tuple(reasons),
    )


def _verdict(*, known: Candidate | None, unsettled: bool, tied: Sequence[_Tied]) -> Verdict:
    if unsettled:
        return Verdict.AMBIGUOUS
    if known:
        return Verdict.EXACT
    return Verdict.LIKELY if tied else Verdict.NONE


def _latest_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Order by last change, then id, so that the store's order of rows never decides."""
    by_id = sorted(candidates, key=lambda each: (each.kind, each.id))
    return sorted(by_id, key=_changed, reverse=True)


def _changed(candidate: Candidate) -> float:
    return candidate.updated_at.timestamp() if candidate.updated_at else 0.0


def _firmest_first(sure: Sequence[_Tied]) -> list[_Tied]:
    return sorted(sure, key=lambda pair: (pair[0] is not _Tie.TOKEN, pair[0] is not _Tie.EMAIL))


def _tie(lead: Lead, candidate: Candidate) -> _Tie | None:
    return _company_tie(lead, candidate) if candidate.kind == "account" else _person_tie(lead, candidate)


def _person_tie(lead: Lead, candidate: Candidate) -> _Tie | None:
    if lead.token and lead.token == candidate.token:
        return _Tie.TOKEN
    if lead.email and lead.email == candidate.email:
        return _Tie.EMAIL
    if lead.phone and lead.phone == candidate.phone:
        # A switchboard's number is many people's.
        return _Tie.PHONE if _names_agree(lead, candidate) else _Tie.PHONE_ONLY
    return None


def _company_tie(lead: Lead, candidate: Candidate) -> _Tie | None:
    if lead.domain and lead.domain == candidate.domain and not is_free_mail(lead.domain):
        return _Tie.DOMAIN
    if lead.phone and lead.phone == candidate.phone:
        return _Tie.PHONE
    name = fold(lead.company)
    return _Tie.COMPANY if name and name == fold(candidate.company) else None


def _names_agree(lead: Lead, candidate: Candidate) -> bool:
    one = fold(f"{lead.first_name}{lead.last_name}")
    other = fold(f"{candidate.first_name}{candidate.last_name}")
    return not one or not other or fuzz.ratio(one, other) >= NAMES_AGREE


def _other_people(sure: Sequence[_Tied]) -> list[str]:
    """Name the records a phone number points to where the e-mail already points to another of their kind."""
    by_email = {each.kind for tie, each in sure if tie is _Tie.EMAIL}
    return [
        f"email_outweighs_phone:{each.kind}:{each.id}"
        for tie, each in sure
        if tie is _Tie.PHONE and each.kind in by_email
    ]


def _keeper(sure: Sequence[_Tied], order: Sequence[str], reasons: list[str]) -> tuple[Candidate | None, bool]:
    """Return the record whose owner keeps the lead, and whether owners disagreed on the way."""
    ambiguous = False
    for kind in order:
        owners = _active_owners(_strongest([pair for pair in sure if pair[1].kind == kind]), reasons)
        if len(owners) > 1:
            ambiguous = True
            reasons += [f"ambiguous_{kind}:{each.kind}:{each.id}" for each in owners.values()]
        for keeper in owners.values() if len(owners) == 1 else ():
            reasons.append(f"owner_kept:{kind}:{keeper.id}")
            return keeper, ambiguous
    return None, ambiguous


def _strongest(sure: Sequence[_Tied]) -> list[Candidate]:
    """Return the records of one kind tied by the strongest key: e-mail or domain before phone."""
    firm = [each for tie, each in sure if tie is not _Tie.PHONE]
    return firm or [each for _, each in sure]


def _active_owners(candidates: Iterable[Candidate], reasons: list[str]) -> dict[str, Candidate]:
    owners: dict[str, Candidate] = {}
    for each in candidates:
        if each.kind == "lead" and not each.open:
            reasons.append(f"closed:{each.kind}:{each.id}")
        elif each.owner is None:
            reasons.append(f"no_owner:{each.kind}:{each.id}")
        elif not each.owner_active:
            reasons.append(f"owner_inactive:{each.kind}:{each.id}")
        else:
            owners.setdefault(each.owner, each)
    return owners


_WORDS: dict[str, Callable[[str, str], str]] = {
    "token_matches": lambda kind, id_: f"it answers the same response card as {kind} {id_}",
    "email_matches": lambda kind, id_: f"the e-mail is that of {kind} {id_}",
    "phone_matches": lambda kind, id_: f"the phone number is that of {kind} {id_}",
    "phone_matches_name_differs": lambda kind, id_: (
        f"{kind} {id_} has the same phone number and another name, so it may be somebody else"
    ),
    "domain_matches": lambda kind, id_: f"the e-mail's domain is that of {kind} {id_}",
    "company_name_matches": lambda kind, id_: f"{kind} {id_} has the same company name, which alone proves nothing",
    "email_outweighs_phone": lambda kind, id_: f"the phone number points to {kind} {id_}, the e-mail weighs more",
    "closed": lambda kind, id_: f"{kind} {id_} is closed",
    "no_owner": lambda kind, id_: f"{kind} {id_} has no owner",
    "owner_inactive": lambda kind, id_: f"the owner of {kind} {id_} is no longer active",
    "owner_kept": lambda kind, id_: f"the owner of {kind} {id_} keeps the lead",
}


def say(found: Match) -> str:
    """Explain a match in words, without personal data."""
    opening = {
        Verdict.EXACT: "Known",
        Verdict.LIKELY: "Perhaps known",
        Verdict.AMBIGUOUS: "Known, with several owners",
        Verdict.NONE: "Not known",
    }[found.verdict]
    told = "; ".join(_say_reason(reason) for reason in found.reasons)
    return f"{opening}: {told}." if told else f"{opening}."


def _say_reason(reason: str) -> str:
    code, kind, id_ = reason.split(":", 2)
    if code.startswith("ambiguous_"):
        return f"{kind} {id_} has one of several owners"
    return _WORDS[code](kind, id_)
