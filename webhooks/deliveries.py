"""A request becomes a delivery: raw bytes, the query, and the headers worth keeping."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flask import request

from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.model.text import clean

# Never authorization, cookies or keys (requirement I4).
_KEPT = frozenset(("content-type", "idempotency-key", "origin", "referer", "user-agent"))
_SECRETIVE = ("authorization", "cookie", "api-key", "apikey", "password")
_MOST_HEADER = 2_000


def delivery_of(source: str, body: bytes) -> Delivery:
    """Build the delivery of the current request."""
    return Delivery(
        id=new_id(),
        source=source,
        received_at=datetime.now(UTC),
        content_type=clean(request.headers.get("Content-Type", "")),
        body=body,
        headers=kept_headers(request.headers),
        query=request.args.to_dict() if request.query_string else {},
        remote_ip=request.remote_addr,
    )


def kept_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the allow-listed headers under lower-case names; of a repeated one the first.

    Every sender has its own names for signatures and their times, so those are known by their words.
    """
    kept: dict[str, str] = {}
    for given, value in headers:
        name = given.lower()
        if name in _KEPT or _signs(name):
            kept.setdefault(name, value[:_MOST_HEADER])
    return kept


def _signs(name: str) -> bool:
    signing = "signature" in name or "timestamp" in name or name.startswith("webhook-")
    return signing and not any(word in name for word in _SECRETIVE)
