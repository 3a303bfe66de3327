"""Which site a form was sent from, as its browser says."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from connector.model.signals import Signal

FORM_MEDIA = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))


def origin_signal(headers: Mapping[str, str], media: str, hosts: Collection[str]) -> Signal | None:
    """Compare Origin, else Referer, with the hosts a form may be on; without hosts there is nothing to compare.

    A browser that keeps its page to itself sends `null` or nothing. Programs that post JSON have no page.
    """
    if not hosts:
        return None
    told = headers.get("origin", "")
    if told in ("", "null"):
        told = headers.get("referer", "")
    if not told:
        return Signal.ORIGIN_UNTOLD if media in FORM_MEDIA else None
    return None if _host(told) in hosts else Signal.ORIGIN_FOREIGN


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
