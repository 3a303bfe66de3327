"""Unbounce: a form whose `data.json` holds the answers, each as a list. Nothing is signed.

Format: Unbounce's "Form Submission Webhook".
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source, content_key
from connector.sources.bodies import json_pairs, media_type, urlencoded_pairs
from connector.sources.documents import object_of
from connector.sources.placing import place

_MEDIA = "application/x-www-form-urlencoded"
_PAGE: Mapping[str, str] = {
    "page_url": "attribution.page_url",
    "page_id": "attribution.page_id",
    "page_name": "attribution.page_name",
    "variant": "attribution.variant",
    "ip_address": "ignore",
    "page_uuid": "ignore",
    "date_submitted": "ignore",
    "time_submitted": "ignore",
}
_BESIDE = ("page_id", "page_name", "page_url", "variant")


class UnbounceSource(Source):
    """Reads a landing page's form."""

    kind: ClassVar[str] = "unbounce"
    content_types: ClassVar[frozenset[str]] = frozenset((_MEDIA,))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: the path token stands in for the signature the vendor does not make."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read `data.json`; the page's own facts may stand there, beside it, or nowhere."""
        kind, options = media_type(delivery.content_type)
        if kind != _MEDIA:
            raise UnreadableDelivery("the content type is not that of a form")
        posted = dict(urlencoded_pairs(delivery.body, options.get("charset", "utf-8")))
        if "data.json" not in posted:
            raise UnreadableDelivery("the form has no data.json")
        answers = json_pairs(object_of(posted["data.json"].encode("utf-8", "surrogatepass"), "data.json"))
        told = dict(answers)
        beside = [(name, posted[name]) for name in _BESIDE if posted.get(name) and name not in told]
        placed = place([*answers, *beside], replace(reading, mapping={**_PAGE, **reading.mapping}))
        moment = _moment(told)
        placed.lead_key = placed.lead_key or _key(delivery, posted, timed=moment is not None)
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=moment)]


def _key(delivery: Delivery, posted: Mapping[str, str], *, timed: bool) -> str:
    """Hash page, variant and answers; without a time in them the same answers may be meant again later (I10)."""
    said = {name: posted.get(name, "") for name in ("page_id", "variant", "data.json")}
    if not timed:
        return "content:" + content_key(delivery.source, said)
    whole = "\x1f".join(said.values())
    return f"sha256:{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _moment(told: Mapping[str, str]) -> datetime | None:
    said = f"{told.get('date_submitted', '')} {told.get('time_submitted', '')}"
    try:
        return datetime.strptime(said, "%Y-%m-%d %I:%M %p UTC").replace(tzinfo=UTC)
    except ValueError:
        return None
