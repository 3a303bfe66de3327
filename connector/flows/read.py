"""From stored bytes to normalised leads: parse and normalise, one delivery at a time, without side effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from connector.errors import UnreadableDelivery
from connector.flows.signals import captcha_token, signals_of
from connector.matching import person_keys
from connector.model.delivery import AT_ONCE, Delivery
from connector.model.identity import new_id
from connector.model.lead import Ignored, Lead, Submission, Withdrawal
from connector.model.signals import Signal
from connector.normalize import normalize
from connector.screening.score import Verdict, judge
from connector.services import Services
from connector.settings.values import Settings, Source
from connector.sources.base import CONTENT_PREFIX, Reading, content_key, submissions_in
from connector.sources.base import Source as Reader
from connector.sources.keys import expressed_key
from connector.sources.registry import source_for
from connector.sources.rest import Part
from connector.sources.rest import read as read_rest
from connector.store.deliveries import StoredDelivery

#: Equal content from a source without ids counts as one submission within this time (I10).
CONTENT_WINDOW = timedelta(minutes=10)
#: By which channel a kind of source answers a mailing.
CHANNELS: Mapping[str, str] = MappingProxyType({"cards": "card", "card_page": "page"})


class Origin(NamedTuple):
    """What a request says of where it came from."""

    ip: str = ""
    user_agent: str = ""
    page: str = ""
    #: The client's own name of the request.
    idempotency_key: str = ""


class Prepared(NamedTuple):
    """One lead of a delivery, ready to be matched. `id` is the lead it becomes unless the person is known."""

    delivery: StoredDelivery
    position: int
    submission: Submission
    lead: Lead
    key: str
    keys: tuple[tuple[str, str], ...]
    id: UUID
    #: Its batch is to be handed out at once.
    at_once: bool = False
    #: What speaks against it so far; nothing does once a person has released it.
    signals: tuple[Signal, ...] = ()
    #: The captcha's token that is still to be verified, "" without one.
    captcha: str = ""
    #: `card` or `page` where it answers a mailing.
    channel: str = ""
    #: When the person said it. An undated card is older than any wish to be forgotten.
    spoke_at: datetime = datetime.min.replace(tzinfo=UTC)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Aside:
    """A delivery that needs a person, with the reason in plain words, and what could be read of it."""

    delivery: StoredDelivery
    reason: str
    verdict: Verdict | None = None
    prepared: tuple[Prepared, ...] = ()
    #: Notices of erasure wait for nobody.
    withdrawn: tuple["Withdrawn", ...] = ()


@dataclass(frozen=True, slots=True)
class Unfetched:
    """A delivery that can be read once its vendor was asked for what it names; its notices of erasure do not wait."""

    delivery: StoredDelivery
    withdrawn: tuple["Withdrawn", ...] = ()


def head_of(delivery: Delivery) -> dict[str, dict[str, str]]:
    """Return what is sealed with a body: all of a delivery that its row does not hold."""
    head = {
        "headers": dict(delivery.headers),
        "query": dict(delivery.query),
        "from": {"ip": delivery.remote_ip or ""},
        "to": {"url": delivery.url},
    }
    if delivery.fetched:
        head["fetched"] = dict(delivery.fetched)
    if delivery.rest:
        head["rest"] = {}
    return head


class Withdrawn(NamedTuple):
    """A vendor's notice in a delivery: the submission that came under this key must be erased."""

    delivery: StoredDelivery
    source: str
    key: str


def open_delivery(services: Services, stored: StoredDelivery) -> Delivery:
    """Decrypt a stored delivery.

    Raises:
        UnreadableDelivery: its body is gone (retention).
    """
    if stored.sealed is None:
        raise UnreadableDelivery("the body is past its retention time")
    head, body = services.vault.open(stored.id, stored.sealed)
    return Delivery(
        id=stored.id,
        source=stored.source,
        received_at=stored.received_at,
        content_type=stored.content_type,
        body=body,
        headers=head["headers"],
        query=head["query"],
        remote_ip=head.get("from", {}).get("ip") or None,
        url=head.get("to", {}).get("url", ""),
        fetched=head.get("fetched", {}),
        rest="rest" in head,
    )


def read(
    services: Services, settings: Settings, stored: StoredDelivery
) -> list[Prepared | Withdrawn | Ignored] | Aside | Unfetched:
    """Read one delivery into leads, notices of erasure and what it holds besides.

    Or say that its vendor must be asked first, or why a person must look at it.
    """
    source = source_of(settings, stored.source)
    if source is None:
        return Aside(stored, f"source {stored.source!r} is not configured any more: add it again, then replay")
    try:
        delivery = open_delivery(services, stored)
        reader, how = source_for(source.kind), reading(settings, source, delivery)
        if not delivery.rest and reader.missing(delivery, how):
            return Unfetched(stored, _notices_ahead(reader, source, stored, delivery, how))
        parsed = parse(source, delivery, how)
    except UnreadableDelivery as err:
        return Aside(stored, f"unreadable: {err}")
    prepared = _prepare(settings, source, stored, delivery, _parts(source, delivery, how, submissions_in(parsed)))
    notices = _notices(source, stored, parsed)
    ignored = [each for each in parsed if isinstance(each, Ignored)]
    if stored.verified == "released":
        return [*notices, *prepared, *ignored]
    judged = _judged(services, settings, source, delivery, prepared)
    return replace(judged, withdrawn=notices) if isinstance(judged, Aside) else [*notices, *judged, *ignored]


def prepared_of(settings: Settings, stored: StoredDelivery, delivery: Delivery) -> list[Prepared]:
    """Return the leads an open delivery tells of, without a look at what speaks against them.

    Raises:
        UnreadableDelivery: it cannot be read, or its source is not configured any more.
    """
    source = source_of(settings, stored.source)
    if source is None:
        raise UnreadableDelivery(f"source {stored.source!r} is not configured any more")
    how = reading(settings, source, delivery)
    submissions = submissions_in(parse(source, delivery, how))
    return _prepare(settings, source, stored, delivery, _parts(source, delivery, how, submissions))


def parse(source: Source, delivery: Delivery, how: Reading) -> Sequence[Submission | Withdrawal | Ignored]:
    """Return what a delivery says, or what was left of it by an erasure.

    Raises:
        UnreadableDelivery: it cannot be read, and why.
    """
    if not delivery.rest:
        return source_for(source.kind).parse(delivery, how)
    rest = read_rest(delivery.body, how)
    return [*map(Withdrawal, rest.notices), *(part.submission for part in rest.parts)]


def _parts(source: Source, delivery: Delivery, how: Reading, submissions: Sequence[Submission]) -> Sequence[Part]:
    if delivery.rest:
        return read_rest(delivery.body, how).parts
    keys = keys_of(source, delivery, submissions)
    return [Part(position, key, said) for position, (key, said) in enumerate(zip(keys, submissions, strict=True))]


def _notices(
    source: Source, stored: StoredDelivery, parsed: Sequence[Submission | Withdrawal | Ignored]
) -> tuple[Withdrawn, ...]:
    return tuple(Withdrawn(stored, source.key, each.lead_key) for each in parsed if isinstance(each, Withdrawal))


def _notices_ahead(
    reader: Reader, source: Source, stored: StoredDelivery, delivery: Delivery, how: Reading
) -> tuple[Withdrawn, ...]:
    """Return the notices of a delivery whose leads are still to be fetched."""
    try:
        return _notices(source, stored, reader.parse(delivery, how))
    except UnreadableDelivery:
        return ()


def _prepare(
    settings: Settings, source: Source, stored: StoredDelivery, delivery: Delivery, parts: Sequence[Part]
) -> list[Prepared]:
    is_card, is_test = source.kind == "cards", delivery.query.get("_test") == "1"
    said = [part._replace(submission=replace(part.submission, is_test=True)) for part in parts] if is_test else parts
    # Anybody may post a form with any query; cards come from our own command.
    at_once = is_card and AT_ONCE.items() <= delivery.query.items()
    channel, origin = CHANNELS.get(source.kind, ""), _origin(delivery)
    return [
        _prepared(stored, part, settings, source)._replace(
            at_once=at_once,
            channel=channel,
            spoke_at=_spoke_at(part.submission, stored, is_card=is_card),
            origin=origin,
        )
        for part in said
    ]


def _spoke_at(submission: Submission, stored: StoredDelivery, *, is_card: bool) -> datetime:
    if submission.occurred_at is None and is_card:
        return datetime.min.replace(tzinfo=UTC)
    return min(submission.occurred_at or stored.received_at, stored.received_at)


def _origin(delivery: Delivery) -> Origin:
    said = delivery.headers
    page = said.get("referer") or said.get("origin", "")
    key = said.get("idempotency-key", "").strip('"')
    return Origin(delivery.remote_ip or "", said.get("user-agent", ""), page, key)


def _judged(
    services: Services, settings: Settings, source: Source, delivery: Delivery, prepared: list[Prepared]
) -> list[Prepared] | Aside:
    """Note what speaks against each lead; a delivery that somebody must look at goes aside at once."""
    seen = [
        p._replace(
            signals=signals_of(services, settings, source, delivery, p.submission, p.lead),
            captcha=captcha_token(source, p.submission),
        )
        for p in prepared
    ]
    obstacles = [reason for p in prepared for reason in p.submission.suspicions]
    if not obstacles:
        return seen
    verdict = judge(worst(seen), obstacles)
    return Aside(prepared[0].delivery, verdict.reason, verdict, tuple(seen))


def worst(prepared: Sequence[Prepared]) -> tuple[Signal, ...]:
    """Return the signals of the lead that most speaks against; one delivery has one fate."""
    if len(prepared) == 1:
        return prepared[0].signals
    return max((p.signals for p in prepared), key=lambda signals: judge(signals).score, default=())


def source_of(settings: Settings, name: str) -> Source | None:
    """Return the configured source, also for a post kept under an `oid:` that was configured since."""
    if not name.startswith("oid:"):
        return settings.sources.get(name)
    # An id of 18 characters is the one of 15 and a checksum of its letter case.
    oid = name.removeprefix("oid:")[:15]
    return next((source for source in settings.sources.values() if oid and source.oid[:15] == oid), None)


def reading(settings: Settings, source: Source, delivery: Delivery) -> Reading:
    """Copy what a source module may know out of the settings; a card is read by its mail house's profile.

    Raises:
        UnreadableDelivery: the profile the card was imported with is gone.
    """
    mapping, defaults = source.mapping, source.defaults
    name = delivery.query.get("profile")
    if name:
        profile = settings.card_profiles.get(name)
        if profile is None:
            raise UnreadableDelivery(f"card profile {name!r} is not configured any more: add it again, then replay")
        mapping = {**mapping, **profile.columns}
        defaults = {**defaults, **({"country": profile.country} if profile.country else {})}
    return Reading(
        mapping=mapping,
        defaults=defaults,
        honeypot=source.honeypot,
        campaign=source.campaign,
        campaigns=campaign_codes(settings),
    )


def campaign_codes(settings: Settings) -> dict[str, str]:
    """Map every code a sender may use (key code, CRM id) to our campaign."""
    codes = {campaign.key_code: key for key, campaign in settings.campaigns.items() if campaign.key_code}
    for key, campaign in settings.campaigns.items():
        codes.update(dict.fromkeys(campaign.crm_ids.values(), key))
    return codes


def _prepared(stored: StoredDelivery, part: Part, settings: Settings, source: Source) -> Prepared:
    lead = normalize(part.submission, source=source.key, default_country=settings.country)
    return Prepared(stored, part.position, part.submission, lead, part.key, person_keys(lead), new_id())


def keys_of(source: Source, delivery: Delivery, submissions: Sequence[Submission]) -> list[str]:
    """Return what each lead is known by: the source's expression, else the sender's id, else its content (I8, I10)."""
    return [
        expressed_key(source.dedupe_key, delivery, position, len(submissions))
        or submission.lead_key
        or CONTENT_PREFIX + content_key(source.key, submission.fields)
        for position, submission in enumerate(submissions)
    ]


def said_anew(p: Prepared, submission: Submission, settings: Settings) -> Prepared:
    """Return a prepared lead whose submission was completed."""
    lead = normalize(submission, source=p.lead.source, default_country=settings.country)
    return p._replace(submission=submission, lead=lead, keys=person_keys(lead))


def unreachable(lead: Lead) -> str:
    """Return why nobody could answer this person, "" when somebody can."""
    named = lead.last_name or lead.company
    if lead.email or lead.phone or (lead.street and named and (lead.postal_code or lead.city)):
        return ""
    said = "; ".join(lead.notes)
    reason = "no way to reach the person: neither e-mail nor phone nor a postal address with a name"
    return f"{reason} ({said})" if said else reason
