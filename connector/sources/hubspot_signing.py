"""HubSpot's request signatures: v3, and by choice the older v1 and v2.

Source of the rules: HubSpot developer docs, "Validating requests".
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from connector.errors import WebhookRejected
from connector.model.delivery import Delivery
from connector.signatures import Encoding
from connector.sources.signing import NO_SECRET, WRONG_SECRET, HmacHeader, fresh_time, header

_V3 = HmacHeader("x-hubspot-signature-v3", Encoding.BASE64)
_TIME = "x-hubspot-request-timestamp"
_OLD = "x-hubspot-signature"
_OLD_VERSION = "x-hubspot-signature-version"
_METHOD = b"POST"
# The only escapes the vendor undoes in an address before it signs it; the others stay as sent.
_UNDONE = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def check(delivery: Delivery, secrets: Sequence[str], now: datetime, *, old_signatures: bool) -> None:
    """Raise `WebhookRejected` unless the app's secret signed method, public address, body and time.

    v1 and v2 hold no time and no HMAC: whoever has seen one can send it again for ever.
    """
    if not any(secrets):
        raise WebhookRejected(NO_SECRET)
    if _V3.name in delivery.headers or not old_signatures:
        _check_v3(delivery, secrets, now)
    else:
        _check_old(delivery, secrets)


def _check_v3(delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
    header(delivery, _V3.name)
    stamp = fresh_time(delivery, _TIME, now, per_second=1000).encode()
    before = _METHOD + signed_address(delivery.url).encode()
    try:
        _V3.check(delivery, secrets, lambda body: before + body + stamp)
    except WebhookRejected as err:
        if err.step == WRONG_SECRET:
            raise WebhookRejected("wrong secret, or public_url is not the address the sender uses") from err
        raise


def signed_address(url: str) -> str:
    """Undo the escapes the vendor undoes."""
    return _UNDONE.sub(lambda found: chr(int(found[0][1:], 16)), url)


def _check_old(delivery: Delivery, secrets: Sequence[str]) -> None:
    given = header(delivery, _OLD).encode("utf-8", "surrogatepass")
    match header(delivery, _OLD_VERSION).lower():
        case "v1":
            message = delivery.body
        case "v2":
            message = _METHOD + delivery.url.encode() + delivery.body
        case _:
            raise WebhookRejected("signature version unknown")
    fits = [hmac.compare_digest(_digest(secret, message), given) for secret in secrets if secret]
    if not any(fits):
        raise WebhookRejected(WRONG_SECRET)


def _digest(secret: str, message: bytes) -> bytes:
    return hashlib.sha256(secret.encode() + message).hexdigest().encode()
