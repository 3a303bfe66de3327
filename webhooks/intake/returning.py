"""Where a browser is sent after a form post (requirement I28)."""

from collections.abc import Collection
from urllib.parse import urlsplit

from werkzeug.urls import iri_to_uri

_MOST = 2_000
_HTTPS = 443


def safe_return(address: str, hosts: Collection[str]) -> str | None:
    """Return the address if it is https on exactly one of `hosts`, else None.

    User names, other ports, backslashes, control characters and blanks are refused: browsers read them in
    more than one way.
    """
    if not address or len(address) > _MOST or not address.isprintable() or "\\" in address or " " in address:
        return None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or "@" in parts.netloc or port not in (None, _HTTPS):
        return None
    if not parts.netloc.isascii() or parts.hostname not in hosts:
        return None
    return iri_to_uri(address)
