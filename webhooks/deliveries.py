"""A request becomes a delivery: raw bytes, the query, and the headers worth keeping."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import request

from connector.model.delivery import SECRETIVE, Delivery
from connector.model.identity import new_id
from connector.model.text import clean
from webhooks.edge import edge

# Never authorization, cookies or keys (requirement I4).
_KEPT = frozenset(("content-type", "idempotency-key", "origin", "referer", "user-agent"))
_MOST_HEADER = 2_000
# Letters that stand for themselves in a path (RFC 3986, section 3.3).
_IN_PATH = "/-._~!$&'()*+,;=:@"


def delivery_of(source: str, body: bytes, also: frozenset[str] = frozenset()) -> Delivery:
    """Build the delivery of the current request; `also` names headers this source is known by."""
    environ = request.environ
    return Delivery(
        id=new_id(),
        source=source,
        received_at=datetime.now(UTC),
        content_type=clean(environ.get("CONTENT_TYPE", "")),
        body=body,
        headers=kept_headers(environ, also),
        query=request.args.to_dict() if environ.get("QUERY_STRING") else {},
        remote_ip=environ.get("REMOTE_ADDR"),
        url=public_address(edge().keeper.doors().settings.public_url, environ),
        presented=_presented(environ),
    )


def public_address(public_url: str, environ: Mapping[str, Any]) -> str:
    """Return the address the sender used, for those who sign it: behind a proxy neither scheme nor host is known."""
    path = quote(environ.get("PATH_INFO", "").encode("latin-1"), safe=_IN_PATH)
    query = environ.get("QUERY_STRING", "")
    return f"{public_url}{path}?{query}" if query else f"{public_url}{path}"


def kept_headers(environ: Mapping[str, Any], also: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the allow-listed headers of a WSGI environment under lower-case names, and those in `also`."""
    kept = {name: value[:_MOST_HEADER] for key, value in environ.items() if (name := _kept_name(key))}
    for name in also:
        value = environ.get("HTTP_" + name.upper().replace("-", "_"))
        if value:
            kept[name] = value[:_MOST_HEADER]
    return kept


def _presented(environ: Mapping[str, Any]) -> str:
    """Return the shared secret a tool shows: `X-Hearback-Secret`, or a bearer token."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    shown = environ.get("HTTP_X_HEARBACK_SECRET", "")
    return shown.strip() or (token.strip() if scheme.lower() == "bearer" else "")


@lru_cache(maxsize=1024)
def _kept_name(key: str) -> str:
    """Return the name of a header worth keeping, "" for anything else in a WSGI environment.

    Every sender has its own names for signatures and their times, so those are known by their words.
    """
    if not key.startswith("HTTP_") and key != "CONTENT_TYPE":
        return ""
    name = key.removeprefix("HTTP_").replace("_", "-").lower()
    signing = "signature" in name or "timestamp" in name or name.startswith("webhook-")
    secretive = any(word in name for word in SECRETIVE)
    return name if name in _KEPT or (signing and not secretive) else ""
