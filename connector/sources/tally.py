"""Tally: signed JSON with a list of fields; choices come as ids of their options.

Format and signature: Tally's help page on webhooks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.signatures import Encoding
from connector.sources.base import Reading, Source
from connector.sources.objects import Json, document, iso_time, needed_object, objects_in, scalar_or_empty
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers
from connector.sources.signing import RESERIALISED, HmacHeader

_SIGNATURE = HmacHeader("tally-signature", Encoding.BASE64)
_BY_TYPE: Mapping[str, str] = {"INPUT_EMAIL": "email", "INPUT_PHONE_NUMBER": "phone"}


class TallySource(Source):
    """Reads `FORM_RESPONSE` events."""

    kind: ClassVar[str] = "tally"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002
        """Compare the base64 HMAC of the body as sent or minified: the vendor's own example signs the latter."""
        try:
            _SIGNATURE.check(delivery, secrets)
        except WebhookRejected as err:
            if err.step != RESERIALISED:
                raise

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the answers of one response; hidden fields are among them."""
        event = document(delivery)
        if event.get("eventType") != "FORM_RESPONSE":
            raise UnreadableDelivery("the event is not a form response")
        data = needed_object(event.get("data"), "data")
        placed = place_answers(_answers(data), reading)
        placed.lead_key = placed.lead_key or key_text(scalar_or_empty(data.get("submissionId")))
        placed.attribute({"form_id": scalar_or_empty(data.get("formId"))})
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=iso_time(data.get("createdAt")))]


def _answers(data: Json) -> list[Answer]:
    answers: list[Answer] = []
    for field in objects_in(data.get("fields")):
        names = names_of(field.get("label"), field.get("key"))
        value = _chosen(field.get("value"), objects_in(field.get("options")))
        answers += answers_of(names, value, _BY_TYPE.get(scalar_or_empty(field.get("type"))))
    return answers


def _chosen(value: Any, options: list[Json]) -> Any:
    """Write the ids of chosen options as their texts; an id without an option stays."""
    texts = {scalar_or_empty(option.get("id")): option.get("text") for option in options}
    if not texts or not isinstance(value, list):
        return value
    return [texts.get(scalar_or_empty(each), each) for each in value]
