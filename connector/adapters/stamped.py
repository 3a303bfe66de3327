"""Webhooks signed as `t=SECONDS,v1=HEX`: an HMAC-SHA256 over the time, a dot and the raw body."""

from collections.abc import Sequence

from connector.errors import WebhookRejected
from connector.model.delivery import Delivery
from connector.signatures import Encoding, hmac_sha256_matches, parse_pairs, unix_time, within


def verify(delivery: Delivery, header: str, secrets: Sequence[str]) -> None:
    """Raise `WebhookRejected` unless one of the secrets signed the raw body within five minutes of its arrival."""
    pairs = parse_pairs(delivery.headers.get(header, ""))
    stamps, signatures = pairs.get("t", ()), pairs.get("v1", ())
    if len(stamps) != 1 or len(signatures) != 1:
        raise WebhookRejected("signature header missing or malformed")
    at = unix_time(stamps[0])
    if at is None or not within(delivery.received_at, at):
        raise WebhookRejected("timestamp unreadable, too old or in the future")
    signed = stamps[0].encode() + b"." + delivery.body
    if not hmac_sha256_matches(secrets, signed, signatures[0], Encoding.HEX):
        raise WebhookRejected("signature does not match")
