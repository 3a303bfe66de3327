"""Signature headers: one check for every sender that signs with HMAC-SHA256 (requirements I13, I14).

The step named by `WebhookRejected` is for the operator: no secret configured, header missing, wrong encoding,
time unreadable, time stale, body re-serialised, wrong secret.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.errors import WebhookRejected
from connector.model.delivery import Delivery
from connector.signatures import Encoding, hmac_sha256_matches, unix_time, within

NO_SECRET = "no secret configured"  # noqa: S105 (the name of a step)
HEADER_MISSING = "header missing"
WRONG_ENCODING = "wrong encoding"
TIME_STALE = "time stale"
RESERIALISED = "body re-serialised"
WRONG_SECRET = "wrong secret"  # noqa: S105 (the name of a step)

Frame = Callable[[bytes], bytes]


def header(delivery: Delivery, name: str) -> str:
    """Return a header that must be there."""
    given = delivery.headers.get(name)
    if not given:
        raise WebhookRejected(HEADER_MISSING)
    return given


def fresh_time(delivery: Delivery, name: str, now: datetime, *, per_second: int = 1) -> str:
    """Return the signed Unix time of a header as it was sent, once it lies within the tolerance of `now`."""
    given = header(delivery, name)
    stamp = unix_time(given, per_second=per_second)
    if stamp is None:
        raise WebhookRejected("time unreadable")
    if not within(now, stamp):
        raise WebhookRejected(TIME_STALE)
    return given


def _bare(body: bytes) -> bytes:
    return body


@dataclass(frozen=True, slots=True)
class HmacHeader:
    """How one sender signs: the header, the digest's encoding, and what stands before it."""

    name: str
    encoding: Encoding
    prefix: str = ""

    def check(self, delivery: Delivery, secrets: Sequence[str], frame: Frame = _bare) -> None:
        """Raise `WebhookRejected` unless one of the secrets signed what `frame` makes of the raw body."""
        if not any(secrets):
            raise WebhookRejected(NO_SECRET)
        given = header(delivery, self.name)
        if not given.startswith(self.prefix):
            raise WebhookRejected(WRONG_ENCODING)
        digest = given.removeprefix(self.prefix)
        if not hmac_sha256_matches(secrets, frame(delivery.body), digest, self.encoding):
            raise WebhookRejected(self._failing_step(secrets, delivery.body, digest, frame))

    def _failing_step(self, secrets: Sequence[str], body: bytes, digest: str, frame: Frame) -> str:
        other = Encoding.HEX if self.encoding is Encoding.BASE64 else Encoding.BASE64
        if hmac_sha256_matches(secrets, frame(body), digest, other):
            return WRONG_ENCODING
        rewritten = minified(body)
        if rewritten is not None and hmac_sha256_matches(secrets, frame(rewritten), digest, self.encoding):
            return RESERIALISED
        return WRONG_SECRET


def minified(body: bytes) -> bytes | None:
    """Write JSON as a browser's JSON.stringify does, keys in the order sent; None when it is no JSON."""
    try:
        text = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None
