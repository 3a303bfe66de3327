"""A secret both sides know, shown as it is: for senders that cannot sign."""

import hmac
from collections.abc import Sequence

from connector.errors import WebhookRejected


def check_shown(secrets: Sequence[str], shown: str, *, where: str) -> None:
    """Compare in constant time with every secret; a source without one relies on its path token.

    Raises:
        WebhookRejected: with the failing step; `where` names what should have held the secret.
    """
    if not secrets:
        return
    if not shown:
        raise WebhookRejected(f"{where} missing")
    matches = False
    for secret in secrets:
        matches |= hmac.compare_digest(secret.encode(), shown.encode("utf-8", "surrogatepass")) and secret != ""
    if not matches:
        raise WebhookRejected("wrong secret")
