"""Webflow: JSON by label. Hooks made through the API are signed, those made in the dashboard are not.

Format and signature: Webflow Data API, "Form submission" and "Working with webhooks"; v1 was flat.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.signatures import Encoding
from connector.sources.base import Reading, Source
from connector.sources.objects import Json, document, iso_time, needed_object, scalar_or_empty
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers
from connector.sources.signing import HmacHeader, fresh_time

_SIGNATURE = HmacHeader("x-webflow-signature", Encoding.HEX)
_TIME = "x-webflow-timestamp"


class WebflowSource(Source):
    """Reads form submissions of both versions of the API."""

    kind: ClassVar[str] = "webflow"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True
    secret_optional: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Compare the hex HMAC of `time:body` once the source has a secret; without one the path token stands in."""
        if not any(secrets):
            return
        stamp = fresh_time(delivery, _TIME, now, per_second=1000).encode()
        _SIGNATURE.check(delivery, secrets, lambda body: stamp + b":" + body)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one submission of a delivery."""
        form = _form(document(delivery))
        answers = _answers(needed_object(form.get("data"), "the form's data"))
        placed = place_answers(answers, reading)
        placed.lead_key = placed.lead_key or key_text(scalar_or_empty(form.get("id") or form.get("_id")))
        placed.attribute(
            {"form_id": scalar_or_empty(form.get("formId")), "page_url": scalar_or_empty(form.get("pageUrl"))}
        )
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=iso_time(form.get("submittedAt") or form.get("d")))]


def _form(event: Json) -> Json:
    if "triggerType" not in event:
        return event
    if event["triggerType"] != "form_submission":
        raise UnreadableDelivery("the event is not a form submission")
    return needed_object(event.get("payload"), "payload")


def _answers(data: Json) -> list[Answer]:
    return [answer for label, value in data.items() for answer in answers_of(names_of(label), value)]
