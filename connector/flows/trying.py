"""How a captured body would be read by a configured source. Nothing is stored, nothing is asked of a CRM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.errors import ConfigurationError, UnreadableDelivery, WebhookRejected
from connector.flows.read import keys_of, reading, unreachable
from connector.model.delivery import Delivery
from connector.model.lead import FIELDS, Consent, Ignored, Lead, Submission, Withdrawal
from connector.normalize import normalize
from connector.screening.score import judge
from connector.settings.secrets import read_secret
from connector.settings.values import Settings, Source
from connector.sources.base import submissions_in
from connector.sources.detect import likeness
from connector.sources.registry import SOURCES, source_for


@dataclass(frozen=True, slots=True)
class TriedField:
    """One field of a lead: as the sender wrote it, and as it would be stored."""

    field: str
    raw: str
    normalised: str


@dataclass(frozen=True, slots=True)
class TriedLead:
    """One lead of a body. `outcome` says what would become of it before it is compared with what is stored."""

    outcome: str
    dedupe_key: str
    version: int
    is_test: bool
    occurred_at: datetime | None
    fields: tuple[TriedField, ...]
    extra: Mapping[str, str]
    attribution: Mapping[str, str]
    consents: tuple[Consent, ...]
    suspicions: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a body would be taken: whether it is authentic, whose shape it has, its leads or why there are none."""

    source: str
    kind: str
    content_type: str
    verified: str
    warnings: tuple[str, ...]
    unreadable: str
    #: Documents that would be fetched from the vendor first.
    unfetched: tuple[str, ...]
    #: What else the body holds: notices of erasure, and why other things make no lead.
    besides: tuple[str, ...]
    leads: tuple[TriedLead, ...]


def attempt(settings: Settings, source: Source, delivery: Delivery, environ: Mapping[str, str]) -> Trial:
    """Read a delivery as the door and the worker would; `environ` holds the secrets as far as they are set here."""
    unfetched, found, unreadable = _read(settings, source, delivery)
    submissions = submissions_in(found)
    keys = keys_of(source, delivery, submissions)
    return Trial(
        source=source.key,
        kind=source.kind,
        content_type=delivery.content_type,
        verified=_verified(source, delivery, environ),
        warnings=tuple(filter(None, (likeness(delivery, source.kind, SOURCES), _refused_type(source, delivery)))),
        unreadable=unreadable,
        unfetched=unfetched,
        besides=tuple(filter(None, map(_beside, found))),
        leads=tuple(_lead(settings, source, each, key) for each, key in zip(submissions, keys, strict=True)),
    )


def _refused_type(source: Source, delivery: Delivery) -> str:
    accepted = source_for(source.kind).content_types
    given = delivery.content_type.partition(";")[0].strip().lower()
    if given in accepted:
        return ""
    return f"the door would answer 415: {given or 'no content type'} is none of {', '.join(sorted(accepted))}"


def _verified(source: Source, delivery: Delivery, environ: Mapping[str, str]) -> str:
    reader = source_for(source.kind)
    secrets, unset = [], []
    for name in source.secrets:
        try:
            secrets.append(read_secret(name, environ))
        except ConfigurationError:
            unset.append(name)
    if unset and not secrets:
        return f"not checked: {', '.join(unset)} is not set here"
    try:
        reader.verify(delivery, secrets, datetime.now(UTC))
    except WebhookRejected as err:
        return f"no: {err.step}"
    return "yes" if reader.signed else "nothing to check: this kind carries no signature"


def _read(
    settings: Settings, source: Source, delivery: Delivery
) -> tuple[tuple[str, ...], Sequence[Submission | Withdrawal | Ignored], str]:
    """Return what would be fetched first, what is read of the body alone, and why it cannot be read."""
    reader, unfetched = source_for(source.kind), tuple[str, ...]()
    try:
        how = reading(settings, source, delivery)
        unfetched = tuple(document.name for document in reader.missing(delivery, how))
        return unfetched, reader.parse(delivery, how), ""
    except UnreadableDelivery as err:
        # Without what is fetched there may be nothing to read.
        return unfetched, (), "" if unfetched else str(err)


def _beside(said: Submission | Withdrawal | Ignored) -> str:
    match said:
        case Withdrawal():
            return f"a notice of erasure: whatever came under {said.lead_key} would be erased"
        case Ignored():
            return said.reason
        case _:
            return ""


def _lead(settings: Settings, source: Source, submission: Submission, key: str) -> TriedLead:
    lead = normalize(submission, source=source.key, default_country=settings.country)
    return TriedLead(
        outcome=_outcome(submission, lead),
        dedupe_key=key,
        version=submission.version,
        is_test=submission.is_test,
        occurred_at=submission.occurred_at,
        fields=tuple(_fields(submission, lead)),
        extra=submission.extra,
        attribution=submission.attribution,
        consents=submission.consents,
        suspicions=(*submission.suspicions, *submission.signals),
        notes=lead.notes,
    )


def _outcome(submission: Submission, lead: Lead) -> str:
    verdict = judge(submission.signals, submission.suspicions)
    if verdict.quarantined:
        return f"set aside for a person: {verdict.reason}"
    if reason := unreachable(lead):
        return f"rejected: {reason}"
    return "a lead"


def _fields(submission: Submission, lead: Lead) -> list[TriedField]:
    shown = [(name, submission.fields.get(name, ""), _text(getattr(lead, name, ""))) for name in (*FIELDS, "domain")]
    return [TriedField(*each) for each in shown if any(each[1:])]


def _text(value: Any) -> str:
    return "" if value is None else str(value)
