"""Typeform: signed JSON, answers joined to their questions.

Format and signature: Typeform's webhook reference, "Response payload" and "Secure your webhooks".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.signatures import Encoding
from connector.sources.base import Reading, Source
from connector.sources.bodies import Pair
from connector.sources.objects import (
    Json,
    document,
    iso_time,
    needed_object,
    object_or_empty,
    objects_in,
    scalar_or_empty,
)
from connector.sources.placing import JOINER, key_text, yes_or_no
from connector.sources.questions import Answer, names_of, place_answers, value_text
from connector.sources.signing import HmacHeader

_SIGNATURE = HmacHeader("typeform-signature", Encoding.BASE64, prefix="sha256=")
# A partial response carries the same token as the final one and gives way to it (requirement I8).
_VERSIONS: Mapping[str, int] = {"form_response_partial": 1, "form_response": 2}
_BY_TYPE: Mapping[str, str] = {"email": "email", "phone_number": "phone"}


class TypeformSource(Source):
    """Reads `form_response` and `form_response_partial` events."""

    kind: ClassVar[str] = "typeform"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002
        """Compare the base64 HMAC of the raw body; the vendor signs no time, so there is no window."""
        _SIGNATURE.check(delivery, secrets)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Join answers to questions; hidden fields are read as if they were answers."""
        event = document(delivery)
        version = _VERSIONS.get(scalar_or_empty(event.get("event_type")))
        if version is None:
            raise UnreadableDelivery("the event is not a form response")
        response = needed_object(event.get("form_response"), "form_response")
        placed = place_answers(_answers(response), reading, _hidden(response))
        placed.lead_key = key_text(scalar_or_empty(response.get("token") or response.get("response_id")))
        placed.attribute({"form_id": scalar_or_empty(response.get("form_id"))})
        placed.suspect(delivery.received_at)
        submitted = iso_time(response.get("submitted_at"))
        return [placed.submission(reading, occurred_at=submitted, version=version)]


def _answers(response: Json) -> list[Answer]:
    questions = _questions(response)
    return [_answer(given, questions) for given in objects_in(response.get("answers"))]


def _questions(response: Json) -> dict[str, Json]:
    fields = objects_in(object_or_empty(response.get("definition")).get("fields"))
    by_id = {scalar_or_empty(item.get("id")): item for item in fields}
    by_ref = {scalar_or_empty(item.get("ref")): item for item in fields}
    return by_ref | by_id


def _answer(given: Json, questions: Mapping[str, Json]) -> Answer:
    asked = object_or_empty(given.get("field"))
    question = questions.get(scalar_or_empty(asked.get("id"))) or questions.get(scalar_or_empty(asked.get("ref")), {})
    kind = scalar_or_empty(given.get("type"))
    names = names_of(asked.get("ref"), question.get("ref"), question.get("title"), asked.get("id"))
    text = _text(given.get(kind))
    return Answer(
        names or names_of(kind),
        text,
        _BY_TYPE.get(kind),
        ticked=yes_or_no(text),
        wording=next((name for name in names if " " in name), ""),
        legal=(question.get("type") or asked.get("type")) == "legal",
    )


def _text(value: Any) -> str:
    """Write a value of any answer type as text: choices by their labels."""
    if not isinstance(value, dict):
        return value_text(value)
    labels = value.get("labels") if isinstance(value.get("labels"), list) else [value.get("label")]
    chosen = [scalar_or_empty(label) for label in (*(labels or ()), value.get("other"))]
    return JOINER.join(filter(None, chosen)) or value_text(value)


def _hidden(response: Json) -> list[Pair]:
    pairs = [(name, _text(value)) for name, value in object_or_empty(response.get("hidden")).items()]
    score = object_or_empty(response.get("calculated")).get("score")
    return pairs if score is None else [*pairs, ("score", scalar_or_empty(score))]
