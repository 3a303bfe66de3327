"""Web forms and whatever posts names and values: urlencoded, multipart, JSON (also as text/plain)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.bodies import (
    MAX_FIELDS,
    Pair,
    json_document,
    json_pairs,
    media_type,
    multipart_pairs,
    urlencoded_pairs,
)
from connector.sources.placing import key_text, place


class FormSource(Source):
    """A form on a page, or a tool that posts whatever its user named the fields."""

    kind: ClassVar[str] = "form"
    from_pages: ClassVar[bool] = True
    content_types: ClassVar[frozenset[str]] = frozenset(
        ("application/x-www-form-urlencoded", "multipart/form-data", "application/json", "text/plain")
    )

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: a page's form cannot sign; the path token and the form's own signs stand in."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one lead, or each object of a JSON list as one."""
        leads = form_pairs(delivery)
        key = key_text(delivery.headers.get("idempotency-key", "").strip('"'))
        submissions = []
        for number, pairs in enumerate(leads, start=1):
            placed = place(pairs, reading)
            if key and not placed.lead_key:
                placed.lead_key = key if len(leads) == 1 else f"{key}#{number}"
            placed.suspect(delivery.received_at)
            submissions.append(placed.submission(reading))
        return submissions


def form_pairs(delivery: Delivery) -> list[list[Pair]]:
    """Return the names and values of each lead as a mapping sees them; `UnreadableDelivery` says why not."""
    kind, options = media_type(delivery.content_type)
    charset = options.get("charset", "utf-8")
    match kind:
        case "application/x-www-form-urlencoded":
            return [urlencoded_pairs(delivery.body, charset)]
        case "multipart/form-data":
            return [multipart_pairs(delivery.body, options.get("boundary", ""))]
        case "application/json" | "text/plain":
            return _json_leads(json_document(delivery.body, charset))
    raise UnreadableDelivery("the content type is none a form is sent with")


def _json_leads(document: Any) -> list[list[Pair]]:
    objects = document if isinstance(document, list) else [document]
    if not objects or not all(isinstance(item, dict) for item in objects):
        raise UnreadableDelivery("the JSON is neither an object nor a list of objects")
    if len(objects) > MAX_FIELDS:
        raise UnreadableDelivery(f"the JSON list holds more than {MAX_FIELDS} leads")
    return [json_pairs(item) for item in objects]
