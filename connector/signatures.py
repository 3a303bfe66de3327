"""HMAC schemes, time windows, secret rotation. Pure: the clock comes in as an argument."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

#: How far a signed timestamp may lie from our clock, in both directions (requirement I13).
TOLERANCE = timedelta(minutes=5)

# Longer than any date datetime can hold; stops absurd digit strings before int() sees them.
_MOST_DIGITS = 16


class Encoding(StrEnum):
    """How a vendor writes a digest; only the documented one is accepted."""

    HEX = "hex"
    BASE64 = "base64"


def hmac_sha256(secret: str, message: bytes, encoding: Encoding) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of `message` as text; hex is lower case, base64 padded."""
    digest = hmac.digest(secret.encode(), message, hashlib.sha256)
    return digest.hex() if encoding is Encoding.HEX else base64.b64encode(digest).decode("ascii")


def hmac_sha256_matches(secrets: Sequence[str], message: bytes, given: str, encoding: Encoding) -> bool:
    """Say whether any of the active secrets signed the message, in constant time.

    Every secret is tried, so that the time taken does not tell which one fits; an empty one fits nothing.
    """
    written = given.encode("utf-8", "surrogatepass")
    matches = False
    for secret in secrets:
        expected = hmac_sha256(secret, message, encoding).encode()
        matches |= hmac.compare_digest(expected, written) and secret != ""
    return matches


def within(now: datetime, stamp: datetime, tolerance: timedelta = TOLERANCE) -> bool:
    """Say whether `stamp` lies no further than `tolerance` from `now`, earlier or later."""
    return abs(now - stamp) <= tolerance


def unix_time(text: str, *, per_second: int = 1) -> datetime | None:
    """Read a Unix timestamp in seconds, or in milliseconds with `per_second=1000`; None when it is none."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        return None
    try:
        return datetime.fromtimestamp(int(text) / per_second, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


def parse_pairs(header: str) -> dict[str, tuple[str, ...]]:
    """Read `t=1,v1=a,v1=b` as names with all their values in order; a part without `=` is left out."""
    found: dict[str, tuple[str, ...]] = {}
    for part in header.split(","):
        name, equals, value = part.strip().partition("=")
        if equals and name:
            found[name] = (*found.get(name, ()), value)
    return found


def standard_webhook_headers(secret: str, number: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that sign a webhook of ours (Standard Webhooks 1.0.0).

    Raises:
        ValueError: the secret is not `whsec_` and base64.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    stamp = str(int(at.timestamp()))
    digest = hmac.digest(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode("ascii")
    return {"webhook-id": number, "webhook-timestamp": stamp, "webhook-signature": signature}
