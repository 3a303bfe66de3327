"""Fillout: JSON with questions, calculations and URL parameters. It signs nothing.

Format: Fillout's help page on webhooks and its REST API, "Get all submissions".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.objects import Json, document, iso_time, needed_object, objects_in, scalar_or_empty
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers

_LISTS = ("questions", "urlParameters", "calculations")
_BY_TYPE: Mapping[str, str] = {"EmailInput": "email", "PhoneNumber": "phone"}


class FilloutSource(Source):
    """Reads submissions; an edited one comes again under its id and is an update (requirement I8)."""

    kind: ClassVar[str] = "fillout"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: the vendor documents no signature; the path token stands in."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one submission of a delivery."""
        event = document(delivery)
        submission = needed_object(event.get("submission"), "submission")
        placed = place_answers(_answers(submission), reading)
        placed.lead_key = placed.lead_key or key_text(scalar_or_empty(submission.get("submissionId")))
        placed.attribute({"form_id": scalar_or_empty(event.get("formId"))})
        placed.suspect(delivery.received_at)
        submitted = iso_time(submission.get("submissionTime"))
        version = _version(iso_time(submission.get("lastUpdatedAt")) or submitted)
        return [placed.submission(reading, occurred_at=submitted, version=version)]


def _version(updated: datetime | None) -> int:
    return max(1, round(updated.timestamp() * 1000)) if updated else 1


def _answers(submission: Json) -> list[Answer]:
    answers: list[Answer] = []
    for name in _LISTS:
        for item in objects_in(submission.get(name)):
            names = names_of(item.get("name"), item.get("id"))
            answers += answers_of(names, item.get("value"), _BY_TYPE.get(scalar_or_empty(item.get("type"))))
    return answers
