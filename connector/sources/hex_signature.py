"""HMAC-SHA256 in lower-case hex, as several vendors sign: one check, and which step failed (requirements I13, I14)."""

from collections.abc import Callable, Sequence

import orjson

from connector.errors import WebhookRejected
from connector.signatures import Encoding, hmac_sha256_matches


def check_hex(
    secrets: Sequence[str],
    body: bytes,
    given: str | None,
    *,
    prefix: str = "",
    signed: Callable[[bytes], bytes] = bytes,
) -> None:
    """Compare a header with the HMAC of `signed(body)`; `prefix` stands before the digest and is not signed.

    Raises:
        WebhookRejected: with the failing step.
    """
    if not any(secrets):
        raise WebhookRejected("no secret configured")
    if given is None:
        raise WebhookRejected("header missing")
    if not given.startswith(prefix):
        raise WebhookRejected("wrong encoding")
    digest = given.removeprefix(prefix)
    if not hmac_sha256_matches(secrets, signed(body), digest, Encoding.HEX):
        raise WebhookRejected(_failing_step(secrets, body, digest, signed))


def _failing_step(secrets: Sequence[str], body: bytes, digest: str, signed: Callable[[bytes], bytes]) -> str:
    if hmac_sha256_matches(secrets, signed(body), digest, Encoding.BASE64):
        return "wrong encoding"
    try:
        minified = orjson.dumps(orjson.loads(body))
    except ValueError:
        return "wrong secret"
    if hmac_sha256_matches(secrets, signed(minified), digest, Encoding.HEX):
        return "body re-serialised"
    return "wrong secret"
