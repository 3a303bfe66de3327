"""HubSpot app webhooks: a list of events that name contacts by their ids; what a contact says is fetched.

A contact that was created makes a lead, one deleted for privacy erases what it made, and nothing else makes anything:
a plain deletion can be undone there, and a change or a merge is of somebody who was a contact before.

Format, signature and kinds of event: HubSpot developer docs, "Webhooks API" and "Validating requests"; the fetch:
"CRM API, contacts" and "Error handling". Contacts are read one by one and not as a batch, whose answer leaves out
in silence whom it does not have.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from connector.adapters.http import Answer, retry_after
from connector.errors import ConnectorError, PermissionDenied, RecordNotFound, Unavailable, UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Ignored, Submission, Withdrawal
from connector.model.text import one_line
from connector.sources import documents, fetching, hubspot_signing
from connector.sources.base import NOTICE_PREFIX, Reading, Source
from connector.sources.bodies import MAX_FIELDS, json_document
from connector.sources.objects import Json, id_or_empty, scalar_or_empty, unix_ms
from connector.sources.placing import Placed, key_text
from connector.sources.questions import Answer as Given
from connector.sources.questions import names_of, place_answers

ORIGIN = "https://api.hubapi.com"
# Versions are named by the month they appeared in, and served for 18 months.
API_VERSION = "2026-03"
# The vendor sends up to 100 events at once.
_MOST = MAX_FIELDS
_KEY = ("subscriptionId", "objectId", "occurredAt", "eventId")
_CREATED, _ERASED = "contact.creation", "contact.privacyDeletion"
# Newer subscriptions name the kind of record beside the event: this is a contact.
_GENERIC, _CONTACT = "object.", "0-1"
_NO_LEAD: Mapping[str, str] = {
    "contact.associationChange": "a contact was linked with another record",
    "contact.deletion": "a contact was deleted, which can be undone: only a deletion for privacy erases here",
    "contact.merge": "two contacts became one",
    "contact.propertyChange": "a contact was changed",
    "contact.restore": "a deleted contact came back",
}
# All that is asked for, but for the properties the source's mapping names.
_PROPERTIES: Mapping[str, str | None] = {
    "firstname": None,
    "lastname": None,
    "email": None,
    "phone": None,
    "mobilephone": None,
    "company": None,
    "jobtitle": None,
    "address": None,
    "zip": None,
    "city": None,
    "state": None,
    "country": None,
    "industry": None,
    "message": None,
    "hs_language": "language",
}
# What a connection of ours writes on contacts it makes itself.
_OURS = "hearback_key"
_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}")
_STATUS: Mapping[int, type[ConnectorError]] = {403: PermissionDenied, 404: RecordNotFound, 410: RecordNotFound}
# Locked by many requests, or being moved to another data centre; 429 and 5xx are known everywhere.
_BUSY = (423, 477)


@dataclass(frozen=True, slots=True)
class AppEvent:
    """Something happened to a record. `key` stays the same over retries, `subject` names the record for ever.

    `record` is a contact's id where `kind` is a contact's creation or its deletion for privacy.
    """

    key: str
    kind: str
    record: str
    subject: str
    change_source: str
    occurred_at: datetime | None


def refusal(answer: Answer) -> ConnectorError | None:
    """Return the error an answer stands for, None for a document."""
    if answer.ok:
        return None
    said = f"status {answer.status}"
    if answer.status in _BUSY:
        return Unavailable(said, retry_after=retry_after(answer.headers), status=answer.status)
    kind = _STATUS.get(answer.status)
    return kind(said, status=answer.status) if kind else answer.unreadable("an error")


class HubSpotAppSource(Source):
    """Reads the events of an app of one account; a delivery may name several contacts."""

    kind: ClassVar[str] = "hubspot_app"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True
    has_old_signatures: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("access_token",)
    api: ClassVar[fetching.Api | None] = fetching.Api(ORIGIN, refusal)

    def __init__(self, *, old_signatures: bool = False) -> None:
        self._old_signatures = old_signatures

    def with_old_signatures(self) -> Self:
        """Return a reader that also accepts the signatures v1 and v2."""
        return type(self)(old_signatures=True)

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Check the signature v3, or an older one where the source accepts such."""
        hubspot_signing.check(delivery, secrets, now, old_signatures=self._old_signatures)

    def missing(self, delivery: Delivery, reading: Reading) -> Sequence[fetching.Document]:
        """Name every contact that was created and is not here yet."""
        wanted = dict.fromkeys(event.record for event in _created(events(delivery)))
        properties = ",".join([*_asked(reading.mapping), _OURS])
        path = f"/crm/objects/{API_VERSION}/contacts/{{}}?properties={properties}"
        return [fetching.Document(each, path.format(each)) for each in wanted if each not in delivery.fetched]

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission | Withdrawal | Ignored]:
        """Read the fetched contact of each creation; say what erases, and why nothing comes of the rest."""
        found = events(delivery)
        erased = dict.fromkeys(event.subject for event in found if event.kind == _ERASED)
        made = [
            _submission(event, fetched, reading, delivery)
            for event in _created(found)
            if (fetched := delivery.fetched.get(event.record))
        ]
        idle = dict.fromkeys(event.kind for event in found if event.kind not in (_CREATED, _ERASED))
        return [*map(Withdrawal, erased), *made, *(Ignored(_why_none(kind)) for kind in idle)]


def events(delivery: Delivery) -> list[AppEvent]:
    """Return the events in the order sent, each once; a retry differs in `attemptNumber` only.

    `eventId` alone does not tell events apart: the key is the four values of `_KEY` (requirement I9).
    """
    listed = json_document(delivery.body)
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise UnreadableDelivery("the body is not a list of events")
    if len(listed) > _MOST:
        raise UnreadableDelivery(f"the list holds more than {_MOST} events")
    found = {(event.key, event.kind): event for event in map(_event, listed)}
    return list(found.values())


def _event(item: Json) -> AppEvent:
    kind, record = _kind(item), id_or_empty(item.get("objectId"))
    # It becomes a part of the vendor's address. Some other kinds of event have no objectId.
    if kind in (_CREATED, _ERASED) and not (record.isascii() and record.isdigit()):
        raise UnreadableDelivery("an event names no contact: its objectId is no number")
    key = ":".join(id_or_empty(item.get(name)) for name in _KEY)
    subject = f"{NOTICE_PREFIX}contact:{id_or_empty(item.get('portalId'))}:{record}"
    return AppEvent(
        key=key_text(key) or "",
        kind=kind,
        record=record,
        subject=key_text(subject) or "",
        change_source=one_line(scalar_or_empty(item.get("changeSource"))),
        occurred_at=unix_ms(item.get("occurredAt")),
    )


def _kind(item: Json) -> str:
    kind = one_line(scalar_or_empty(item.get("subscriptionType")))
    if not kind:
        raise UnreadableDelivery("an event names no subscriptionType")
    if kind.startswith(_GENERIC) and item.get("objectTypeId") == _CONTACT:
        return f"contact.{kind.removeprefix(_GENERIC)}"
    return kind


def _created(found: Iterable[AppEvent]) -> list[AppEvent]:
    """Return the creations, but for contacts that are to be erased by the same delivery."""
    found = list(found)
    erased = {event.subject for event in found if event.kind == _ERASED}
    return [event for event in found if event.kind == _CREATED and event.subject not in erased]


def _why_none(kind: str) -> str:
    what = _NO_LEAD.get(kind, "no contact was created")
    return f"nothing to do here: {what} ({kind[:60]}); only {_CREATED} makes a lead"


def _asked(mapping: Mapping[str, str]) -> list[str]:
    """Return the properties to read: ours and the mapping's, no others, so that no more is known than is used."""
    named = dict.fromkeys([*_PROPERTIES, *filter(_PROPERTY.fullmatch, mapping)])
    return [name for name in named if mapping.get(name) != "ignore"]


def _submission(event: AppEvent, fetched: str, reading: Reading, delivery: Delivery) -> Submission | Ignored:
    """Read a contact; one that a connection of ours made of a lead is no other lead (P9)."""
    contact = documents.object_of(fetched.encode(), "the fetched contact")
    properties = documents.inner(contact, "properties")
    if documents.text(properties, _OURS):
        return Ignored("nothing to do here: Hearback made this contact itself, of a lead it had")
    answers = [
        Given(names_of(name), text, _PROPERTIES.get(name))
        for name in _asked(reading.mapping)
        if (text := documents.text(properties, name))
    ]
    # A contact with nothing in it must not keep the others of its delivery from being read.
    placed = place_answers(answers, reading) if answers else Placed()
    placed.lead_key = event.key
    placed.attribute({"change_source": event.change_source})
    placed.suspect(delivery.received_at)
    return placed.submission(reading, occurred_at=event.occurred_at, notice_key=event.subject)
