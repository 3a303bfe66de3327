"""A mailing: load whom it goes to, draw a token for each, and say what a print house puts on each card."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import orjson

from connector.errors import ConfigurationError
from connector.flows import marks
from connector.model.lead import Lead, Submission
from connector.model.token import ALPHABET, RANDOM, token_of
from connector.normalize import normalize
from connector.normalize.email import read_email
from connector.normalize.language import read_language
from connector.services import Services
from connector.settings.complaints import Complaint
from connector.settings.values import Campaign, Settings
from connector.sources.recipients import Entry, read_recipients
from connector.store import Transaction, events, recipients, suppression
from connector.store.events import Event
from connector.store.recipients import OBJECT, SENT, SOURCE, Recipient
from connector.vault import Vault

#: Ids of recipients are derived in this space, so that the same row is stored once.
RECIPIENTS = UUID("c4b7c0a6-3b1e-5f5e-8a53-0d8f1c1f6a77")
ROWS = 500
#: How many complaints about a list are kept; the rest is counted.
MOST_COMPLAINTS = 1_000
#: The longest content of a QR code of version 2-M in its alphanumeric mode (C3).
SMALL_QR = 38


@dataclass(slots=True)
class Loaded:
    """What loading did. With complaints nothing was stored; `unlisted` counts those beyond the first thousand.

    `erased` people are left out: a list says nothing new of them.
    """

    added: int = 0
    known: int = 0
    erased: int = 0
    complaints: tuple[Complaint, ...] = ()
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """What a print house needs for one card. `address` is by field name."""

    token: str
    qr: str
    key_code: str
    reference: str
    address: Mapping[str, str]


def load_recipients(
    services: Services,
    campaign: str,
    file: Path,
    *,
    encoding: str = "utf-8",
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Loaded:
    """Load a recipient list as a whole or, with any complaint, not at all.

    Running it again, also after it was killed, stores only what is missing: a recipient is known by campaign and
    own reference.

    Raises:
        ConfigurationError: no such campaign or encoding.
        UnreadableDelivery: the header.
    """
    campaign_of(services.current().settings, campaign)
    with file.open("rb") as stream:
        loaded = _checked(services, campaign, file.name, stream, encoding)
        if loaded.complaints:
            return loaded
        stream.seek(0)
        for entries in _chunks(read_recipients(stream, encoding)):
            _add(services, campaign, entries, loaded)
            progress(stream.tell())
    return loaded


def add_anonymous(services: Services, campaign: str, number: int) -> Loaded:
    """See to it that a campaign has so many anonymous cards, each with a serial number.

    Raises:
        ConfigurationError: no such campaign.
    """
    campaign_of(services.current().settings, campaign)
    loaded = Loaded()
    entries = (Entry(serial, f"serial-{serial:07}", {}) for serial in range(1, number + 1))
    for chunk in _chunks(entries):
        _add(services, campaign, chunk, loaded)
    return loaded


def send(
    services: Services, campaign: str, day: date, *, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Iterator[Card]:
    """Yield the cards that go to the post on a day, and record `mailing.sent` for each recipient, once.

    A second run with the same day yields the same cards; those of another day are never yielded again, so nobody is
    mailed twice.

    Raises:
        ConfigurationError: no such campaign, no recipients, or all of them were mailed on other days.
    """
    settings = services.current().settings
    about = campaign_of(settings, campaign)
    at = datetime.combine(day, time(), ZoneInfo(settings.timezone)).astimezone(UTC)
    with services.store.transaction() as tx:
        total, before = recipients.count(tx, campaign), recipients.sent(tx, campaign)
    others = sum(number for instant, number in before.items() if instant != at)
    if others == total:
        raise ConfigurationError(_nobody(settings, campaign, before))
    done, after = 0, ""
    while rows := _sent(services, campaign, at, after):
        for row in rows:
            yield _card(services.vault, settings, about, row)
        done, after = done + len(rows), rows[-1].reference
        progress(done, total - others)


def qr_content(public_url: str, token: str) -> str:
    """Return what the QR code of a card says: its page, in capitals, which a code holds in fewer modules (C3)."""
    return f"{public_url.rstrip('/')}/r/{token}".upper()


def campaign_of(settings: Settings, key: str) -> Campaign:
    """Return a configured campaign.

    Raises:
        ConfigurationError: there is none of that key; the message names those there are.
    """
    if key not in settings.campaigns:
        known = ", ".join(sorted(settings.campaigns)) or "none"
        raise ConfigurationError(f"no campaign is called {key!r}: hearback.yaml has {known}")
    return settings.campaigns[key]


def fields_of(vault: Vault, recipient: Recipient) -> dict[str, str]:
    """Return what was mailed to a recipient, nothing for an anonymous card or an erased person."""
    if recipient.sealed is None:
        return {}
    fields: dict[str, str] = orjson.loads(vault.open(recipient.id, recipient.sealed)[1])
    return fields


def person_in(settings: Settings, fields: Mapping[str, str]) -> Lead:
    """Return a recipient in the form in which leads are compared."""
    return normalize(Submission(fields), source=SOURCE, default_country=settings.country)


def _nobody(settings: Settings, campaign: str, before: Mapping[datetime, int]) -> str:
    if not before:
        return f"campaign {campaign!r} has no recipients: load them with `hearback cards recipients {campaign} FILE`"
    days = ", ".join(str(at.astimezone(ZoneInfo(settings.timezone)).date()) for at in before)
    return f"all recipients of {campaign!r} were mailed already ({days}): name that day to write its file again"


def _sent(services: Services, campaign: str, at: datetime, after: str) -> list[Recipient]:
    with services.store.transaction() as tx:
        rows = recipients.to_send(tx, campaign, at, after, ROWS)
        facts = [Event(SENT, SOURCE, str(row.id), OBJECT, str(row.id), at, {"campaign": campaign}) for row in rows]
        events.put_many(tx, facts)
    return rows


def _card(vault: Vault, settings: Settings, campaign: Campaign, row: Recipient) -> Card:
    qr = qr_content(settings.public_url, row.token)
    return Card(row.token, qr, campaign.key_code, row.reference, fields_of(vault, row))


def _chunks(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while chunk := list(islice(entries, ROWS)):
        yield chunk


def _checked(services: Services, campaign: str, file: str, stream: BinaryIO, encoding: str) -> Loaded:
    """Read the whole list without storing anything, so that every complaint comes at once."""
    found: list[Complaint] = []
    seen: dict[str, int] = {}
    loaded = Loaded()
    for entries in _chunks(read_recipients(stream, encoding)):
        for each in [*_faults(file, entries, seen), *_changed(services, campaign, file, entries)]:
            if len(found) < MOST_COMPLAINTS:
                found.append(each)
            else:
                loaded.unlisted += 1
    if not seen and not found:
        found.append(Complaint(file, 1, "no row follows the header", "nobody would be mailed", "add the recipients"))
    loaded.complaints = tuple(sorted(found, key=lambda each: each.line))
    return loaded


def _faults(file: str, entries: Iterable[Entry], seen: dict[str, int]) -> Iterator[Complaint]:
    for entry in entries:
        first = seen.setdefault(entry.reference, entry.line) if entry.reference else entry.line
        for what, why, do in _faults_of(entry, first):
            yield Complaint(file, entry.line, what, why, do)


def _faults_of(entry: Entry, first: int) -> Iterator[tuple[str, str, str]]:
    if entry.fault:
        yield entry.fault, "the row cannot be read", "correct it; save the file as CSV UTF-8, or name its --encoding"
        return
    fields = entry.fields
    if not entry.reference:
        yield (
            "reference: is missing",
            "the list could not be loaded twice without doubles",
            "number the rows if need be",
        )
    if first != entry.line:
        yield f"reference: line {first} has the same", "each recipient gets one card", "give each its own"
    if not any(fields.get(name) for name in ("last_name", "full_name", "company")):
        yield "neither last name nor company", "nobody would know whom the card is for", "add one"
    if not (fields.get("street") and (fields.get("postal_code") or fields.get("city"))):
        yield "street, or both postal_code and city, missing", "the card could not be delivered", "add them"
    if fields.get("email") and not read_email(fields["email"]):
        yield "email: is no e-mail address", "an answer would not reach the person", "correct it or leave it empty"
    if fields.get("language") and not read_language(fields["language"]):
        yield "language: is none we know", "the page greets in it", "write en, de or pl"


def _changed(services: Services, campaign: str, file: str, entries: Sequence[Entry]) -> Iterator[Complaint]:
    """Complain about recipients that are stored with other data: a card may have been printed for them."""
    with services.store.transaction() as tx:
        stored = recipients.known(tx, campaign, [entry.reference for entry in entries if entry.reference])
    for entry in entries:
        row = stored.get(entry.reference)
        if row and row.sealed and fields_of(services.vault, row) != entry.fields:
            what = "reference: is loaded already with other data"
            do = "give it a reference of its own, or take the row out"
            yield Complaint(file, entry.line, what, "a card may have been printed from that", do)


def _add(services: Services, campaign: str, entries: Sequence[Entry], loaded: Loaded) -> None:
    vault = services.vault
    rows = [_recipient(vault, campaign, entry) for entry in entries]
    with services.store.transaction() as tx:
        suppression.share(tx)
        settings = services.active(tx).settings
        named = {row.id: _marks(settings, entry) for row, entry in zip(rows, entries, strict=True)}
        gone = suppression.entries(tx, marks.sought(vault, chain.from_iterable(named.values())))
        kept = [row for row in rows if gone.keys().isdisjoint(marks.sought(vault, named[row.id]))]
        added = _put(tx, kept)
        recipients.mark(tx, [(mark, row.id) for row in kept for mark in marks.hashed(vault, named[row.id])])
    loaded.added += added
    loaded.known += len(kept) - added
    loaded.erased += len(rows) - len(kept)


def _marks(settings: Settings, entry: Entry) -> list[marks.Parts]:
    person = person_in(settings, entry.fields)
    return marks.of_person(person.email, person.phone, person.last_name)


def _put(tx: Transaction, rows: Sequence[Recipient]) -> int:
    added = 0
    while rows:
        added += recipients.put(tx, rows)
        there = recipients.stored(tx, [row.id for row in rows])
        rows = [row._replace(token=_drawn()) for row in rows if row.id not in there]
    return added


def _recipient(vault: Vault, campaign: str, entry: Entry) -> Recipient:
    name = uuid5(RECIPIENTS, f"{campaign}\n{entry.reference}")
    sealed = vault.seal(name, {}, orjson.dumps(entry.fields)) if entry.fields else None
    return Recipient(name, _drawn(), campaign, entry.reference, sealed)


def _drawn() -> str:
    return token_of([secrets.randbelow(len(ALPHABET)) for _ in range(RANDOM)])
