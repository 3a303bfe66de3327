"""Typeform: signed JSON, answers joined to their questions.

Format and signature: Typeform's webhook reference, "Response payload" and "Secure your webhooks".
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import orjson

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.delivery import Delivery
from connector.model.lead import Consent, Submission
from connector.signatures import Encoding, hmac_sha256_matches
from connector.sources.aliases import target_of
from connector.sources.base import Reading, Source
from connector.sources.bodies import json_document, scalar_text, within_caps
from connector.sources.placing import JOINER, Placed, key_text, place, yes_or_no

HEADER = "typeform-signature"
_PREFIX = "sha256="
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
        given = delivery.headers.get(HEADER)
        if not any(secrets):
            raise WebhookRejected("no secret configured")
        if given is None:
            raise WebhookRejected("header missing")
        if not given.startswith(_PREFIX):
            raise WebhookRejected("wrong encoding")
        if not hmac_sha256_matches(secrets, delivery.body, given.removeprefix(_PREFIX), Encoding.BASE64):
            raise WebhookRejected(_failing_step(secrets, delivery.body, given.removeprefix(_PREFIX)))

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Join answers to questions; hidden fields are read as if they were answers."""
        event = _object(json_document(delivery.body), "the body")
        version = _VERSIONS.get(scalar_or_empty(event.get("event_type")))
        if version is None:
            raise UnreadableDelivery("the event is not a form response")
        response = _object(event.get("form_response"), "form_response")
        questions = _questions(response)
        placed, consents = _read_answers(response, questions, reading)
        placed.consents += consents
        placed.lead_key = key_text(scalar_or_empty(response.get("token") or response.get("response_id")))
        if form := key_text(scalar_or_empty(response.get("form_id"))):
            placed.attribution.setdefault("form_id", form)
        placed.suspect(delivery.received_at)
        submitted = _time(response.get("submitted_at"))
        return [placed.submission(reading, occurred_at=submitted, version=version)]


def _failing_step(secrets: Sequence[str], body: bytes, given: str) -> str:
    """Tell the operator what went wrong: digest in hex, body re-written on the way, or another secret."""
    if hmac_sha256_matches(secrets, body, given, Encoding.HEX):
        return "wrong encoding"
    try:
        minified = orjson.dumps(orjson.loads(body))
    except ValueError:
        return "wrong secret"
    if hmac_sha256_matches(secrets, minified, given, Encoding.BASE64):
        return "body re-serialised"
    return "wrong secret"


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableDelivery(f"{what} is not a JSON object")
    return value


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def scalar_or_empty(value: Any) -> str:
    """Write a JSON scalar as text; anything else as nothing."""
    return "" if isinstance(value, dict | list) else scalar_text(value)


def _time(value: Any) -> datetime | None:
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else None


class Question:
    """What the form's definition and the answer itself say of a question."""

    __slots__ = ("names", "type")

    def __init__(self, definition: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        self.type = scalar_or_empty(definition.get("type") or asked.get("type"))
        #: By what an admin may call it, most stable first: reference, title, id.
        self.names = [
            name
            for source, key in ((asked, "ref"), (definition, "ref"), (definition, "title"), (asked, "id"))
            if (name := scalar_or_empty(source.get(key)).strip())
        ]

    def target(self, answer_type: str, mapping: Mapping[str, str]) -> tuple[str, str | None]:
        """Return the name to file the answer under, and where it goes."""
        for name in self.names:
            if name in mapping:
                return name, mapping[name]
        for name in self.names:
            if target := target_of(name):
                return name, target
        return (self.names or [answer_type])[0], _BY_TYPE.get(answer_type)


def _questions(response: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    definition = response.get("definition")
    fields = _objects(definition.get("fields")) if isinstance(definition, dict) else []
    by_id = {scalar_or_empty(item.get("id")): item for item in fields}
    by_ref = {scalar_or_empty(item.get("ref")): item for item in fields}
    return by_ref | by_id


def _read_answers(
    response: Mapping[str, Any], questions: Mapping[str, dict[str, Any]], reading: Reading
) -> tuple[Placed, list[Consent]]:
    pairs: list[tuple[str, str]] = []
    mapping = dict(reading.mapping)
    consents: list[Consent] = []
    for answer in _objects(response.get("answers")):
        question = _question(answer, questions)
        kind = scalar_or_empty(answer.get("type"))
        name, target = question.target(kind, reading.mapping)
        text = _answer_text(answer.get(kind))
        if question.type == "legal" and (given := yes_or_no(text)) is not None:
            consents.append(_consent(name, target, given, question))
            continue
        pairs.append((name, text))
        if target:
            mapping[name] = target
    pairs += _hidden(response)
    if consents and not pairs:
        return Placed(), consents
    return place(pairs, Reading(mapping=mapping, honeypot=reading.honeypot)), consents


def _question(answer: Mapping[str, Any], questions: Mapping[str, dict[str, Any]]) -> Question:
    asked = answer.get("field")
    asked = asked if isinstance(asked, dict) else {}
    by_id = questions.get(scalar_or_empty(asked.get("id")))
    return Question(by_id or questions.get(scalar_or_empty(asked.get("ref")), {}), asked)


def _consent(name: str, target: str | None, given: bool, question: Question) -> Consent:
    purpose = (target or "").removeprefix("consent.") if (target or "").startswith("consent.") else name
    title = next((text for text in question.names if " " in text), "")
    [(purpose, title)] = within_caps([(purpose, title)])
    return Consent(purpose, given, title)


def _answer_text(value: Any) -> str:
    """Write a value of any answer type as text; what has no plain form stays JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, dict):
        return JOINER.join(map(scalar_or_empty, value)) if isinstance(value, list) else scalar_text(value)
    labels = value.get("labels") if isinstance(value.get("labels"), list) else [value.get("label")]
    chosen = [scalar_or_empty(label) for label in (*(labels or ()), value.get("other"))]
    return JOINER.join(filter(None, chosen)) or json.dumps(value, default=str, ensure_ascii=False)


def _hidden(response: Mapping[str, Any]) -> list[tuple[str, str]]:
    hidden = response.get("hidden")
    calculated = response.get("calculated")
    named = hidden.items() if isinstance(hidden, dict) else ()
    pairs = [(name, _answer_text(value)) for name, value in named]
    if isinstance(calculated, dict) and calculated.get("score") is not None:
        pairs.append(("score", scalar_or_empty(calculated["score"])))
    return pairs
