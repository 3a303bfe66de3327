"""Jotform: multipart, with the answers as a JSON string in one part. It signs nothing.

Format: Jotform's guide "How to setup a webhook".
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.bodies import json_document, media_type, multipart_pairs
from connector.sources.objects import Json, needed_object, scalar_or_empty
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers

_QUESTION = re.compile(r"q\d+_(.+)", re.DOTALL)
# Names, addresses and phones come in parts.
_PARTS: Mapping[str, str] = {
    "first": "first_name",
    "last": "last_name",
    "addr_line1": "street",
    "city": "city",
    "state": "region",
    "postal": "postal_code",
    "country": "country",
}
_PHONE = ("country", "area", "phone")


class JotformSource(Source):
    """Reads submissions as `multipart/form-data`."""

    kind: ClassVar[str] = "jotform"
    content_types: ClassVar[frozenset[str]] = frozenset(("multipart/form-data",))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: the vendor signs nothing; the path token stands in."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one submission of a delivery."""
        _, options = media_type(delivery.content_type)
        parts = dict(multipart_pairs(delivery.body, options.get("boundary", "")))
        if "rawRequest" not in parts:
            raise UnreadableDelivery("the post has no part rawRequest")
        request = needed_object(json_document(parts["rawRequest"].encode("utf-8", "surrogatepass")), "rawRequest")
        answers = _answers(request, parts.get("pretty", ""), reading.mapping)
        placed = place_answers(answers, reading)
        placed.lead_key = placed.lead_key or key_text(parts.get("submissionID", ""))
        placed.attribute({"form_id": parts.get("formID", "")})
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]


def _answers(request: Json, pretty: str, mapping: Mapping[str, str]) -> list[Answer]:
    """Return the answers; what has no question number is noise of the form's own script."""
    answers: list[Answer] = []
    for key, value in request.items():
        if found := _QUESTION.fullmatch(key):
            names = names_of(found[1], key, _label(scalar_or_empty(value), pretty))
            answers += _answers_to(names, value, mapping)
    return answers


def _label(text: str, pretty: str) -> str:
    """Return the question that `pretty` ("Label:value, Label:value") has before an answer.

    A value may hold commas and colons too, so an answer found twice tells nothing.
    """
    pieces = f", {pretty}, ".split(f":{text}, ")
    return pieces[0].rpartition(", ")[2] if text and len(pieces) == 2 else ""  # noqa: PLR2004 (before and after)


def _answers_to(names: tuple[str, ...], value: Any, mapping: Mapping[str, str]) -> list[Answer]:
    if not isinstance(value, dict):
        return answers_of(names, value)
    if any(name in mapping for name in names):
        return [Answer(names, _joined(value, value))]
    if "phone" in value:
        return [Answer(names, _joined(value, _PHONE), "phone")]
    return [answer for part, inner in value.items() for answer in _part(names, part, inner)]


def _part(names: tuple[str, ...], part: str, value: Any) -> list[Answer]:
    return answers_of(names_of(*(f"{name}.{part}" for name in names)), value, _PARTS.get(part))


def _joined(value: Json, parts: Sequence[str] | Mapping[str, Any]) -> str:
    return " ".join(filter(None, (scalar_or_empty(value.get(part)).strip() for part in parts)))
