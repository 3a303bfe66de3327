"""Calendly: a booked meeting is a lead; a cancellation and another time are news of the same one (I8, I18).

Format and signature: Calendly's "Webhook Payload" and "Webhook Signatures".
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.signatures import parse_pairs, unix_time, within
from connector.sources import documents
from connector.sources.base import Reading, Source
from connector.sources.bodies import Pair, within_caps
from connector.sources.hex_signature import check_hex
from connector.sources.placing import key_text, place

HEADER = "calendly-webhook-signature"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Another time is a cancellation and a booking, sent together: the booking has the last word of the two.
_RANKS = {"rescheduled": 0, "booked": 1, "canceled": 2}


class CalendlySource(Source):
    """Reads invitees and routing forms."""

    kind: ClassVar[str] = "calendly"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Compare the hex HMAC of time and raw body; the time must be near ours."""
        given = delivery.headers.get(HEADER)
        if not any(secrets):
            raise WebhookRejected("no secret configured")
        if given is None:
            raise WebhookRejected("header missing")
        parts = parse_pairs(given)
        stamp, digests = next(iter(parts.get("t", ())), ""), parts.get("v1", ())
        moment = unix_time(stamp)
        if moment is None or not digests:
            raise WebhookRejected("wrong encoding")
        if not within(now, moment):
            raise WebhookRejected("time stale")
        prefix = stamp.encode() + b"."
        check_hex(secrets, delivery.body, digests[0], signed=lambda body: prefix + body)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one event; the first booking of a chain of new times gives the lead its key."""
        event = documents.object_of(delivery.body)
        payload = documents.inner(event, "payload")
        status = _status(event, payload)
        placed = place(_pairs(payload), reading)
        placed.lead_key = key_text(documents.text(payload, "old_invitee", "uri"))
        if placed.lead_key is None:
            raise UnreadableDelivery("the event names no invitee")
        for name, value in _tracking(payload):
            placed.attribution.setdefault(name, value)
        if status:
            placed.put_extra("meeting", [status])
        placed.suspect(delivery.received_at)
        moment = documents.instant(documents.text(event, "created_at"))
        also = key_text(documents.text(payload, "uri"))
        return [
            placed.submission(
                reading,
                occurred_at=moment,
                version=_version(moment or delivery.received_at, status),
                also_keys=(also,) if also and also != placed.lead_key else (),
            )
        ]


def _status(event: documents.Document, payload: documents.Document) -> str:
    match event.get("event"):
        case "invitee.created":
            return "booked"
        case "invitee.canceled":
            return "rescheduled" if payload.get("rescheduled") is True else "canceled"
        case "routing_form_submission.created":
            return ""
    raise UnreadableDelivery("the event is neither a booking, a cancellation nor a routing form")


def _version(moment: datetime, status: str) -> int:
    """Order the events of one lead by their time, and those of one instant by what they mean."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 4 + _RANKS.get(status, 1)


def _pairs(payload: documents.Document) -> list[Pair]:
    pairs = [(name, documents.text(payload, name)) for name in ("email", "name", "first_name", "last_name", "timezone")]
    pairs.append(("phone", documents.text(payload, "text_reminder_number")))
    pairs.append(("meeting_at", documents.text(documents.inner(payload, "scheduled_event"), "start_time")))
    pairs.append(("cancel_reason", documents.text(documents.inner(payload, "cancellation"), "reason")))
    asked = documents.objects(payload, "questions_and_answers")
    return pairs + [(documents.text(each, "question"), documents.text(each, "answer")) for each in asked]


def _tracking(payload: documents.Document) -> list[Pair]:
    tracking = documents.inner(payload, "tracking")
    return within_caps([(name, value) for name in sorted(tracking) if (value := documents.text(tracking, name))])
