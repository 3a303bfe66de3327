"""Standard Webhooks 1.0.0: any event whose data names a person, signed as the standard says.

The library holds the standard's scheme; the clock comes from the caller, so its own reading of the time is not used.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from standardwebhooks import Webhook

from connector.errors import WebhookRejected
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.signatures import unix_time
from connector.sources.base import Reading, Source
from connector.sources.bodies import json_pairs
from connector.sources.objects import document, iso_time, scalar_or_empty
from connector.sources.placing import key_text, place
from connector.sources.signing import NO_SECRET, WRONG_ENCODING, WRONG_SECRET, fresh_time, header

_ID = "webhook-id"
_TIME = "webhook-timestamp"
_SIGNATURE = "webhook-signature"
_SYMMETRIC = "v1,"
_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64


def check(delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
    """Raise `WebhookRejected` unless one of the secrets (`whsec_...`) signed id, time and body.

    A sender that exchanges its secret writes several signatures; one of them must fit.
    """
    if not any(secrets):
        raise WebhookRejected(NO_SECRET)
    signers = [_signer(secret) for secret in secrets if secret]
    name = header(delivery, _ID)
    time = unix_time(fresh_time(delivery, _TIME, now))
    given = [each.encode("utf-8", "surrogatepass") for each in header(delivery, _SIGNATURE).split()]
    if not any(each.startswith(_SYMMETRIC.encode()) for each in given):
        raise WebhookRejected(WRONG_ENCODING)
    try:
        body = delivery.body.decode()
    except UnicodeDecodeError as err:
        raise WebhookRejected("body is not UTF-8") from err
    assert time is not None  # fresh_time has read it
    expected = [signer.sign(name, time, body).encode() for signer in signers]
    fits = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(fits):
        raise WebhookRejected(WRONG_SECRET)


def _signer(secret: str) -> Webhook:
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise WebhookRejected("the secret is not whsec_ and the base64 of 24 to 64 bytes")
    return Webhook(key)


class StandardWebhooksSource(Source):
    """Reads events `{type, timestamp, data}`; `data`, or a body without it, is read by names like a form."""

    kind: ClassVar[str] = "standard_webhooks"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Check the signature as the standard says."""
        check(delivery, secrets, now)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one lead of an event; its id stays the same over retries."""
        event = document(delivery)
        data = event.get("data")
        placed = place(json_pairs(data if isinstance(data, dict) else event), reading)
        placed.lead_key = placed.lead_key or key_text(delivery.headers.get(_ID, ""))
        placed.attribute({"event_type": scalar_or_empty(event.get("type"))})
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=iso_time(event.get("timestamp")))]
