"""LinkedIn Lead Sync: the hook names one answer, which is fetched together with its form.

Format, signature and challenge: LinkedIn's "Lead Sync" and "Webhook validation"; the second fetch uses field
projection, which puts the form's questions beside the answers.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import orjson

from connector.adapters.http import Answer
from connector.errors import (
    ConnectorError,
    PermissionDenied,
    RecordNotFound,
    UnreadableDelivery,
    WebhookRejected,
)
from connector.model.delivery import Delivery
from connector.model.lead import Consent, Submission, Withdrawal
from connector.signatures import Encoding, hmac_sha256
from connector.sources import documents, fetching
from connector.sources.base import Handshake, Keys, Reading, Source
from connector.sources.bodies import Pair
from connector.sources.hex_signature import check_hex
from connector.sources.placing import JOINER, key_text, place

HEADER = "x-li-signature"
ORIGIN = "https://api.linkedin.com"
# Signed before the body, and not sent.
_SIGNED_PREFIX = b"hmacsha256="
_URN = "urn:li:leadGenFormResponse:"
_LEAD = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FIELDS = (
    "owner,leadType,versionedLeadGenFormUrn,id,submittedAt,testLead,formResponse,leadMetadata,"
    "form:(hiddenFields,creationLocale,name,id,content)"
)
_STATUS: Mapping[int, type[ConnectorError]] = {403: PermissionDenied, 404: RecordNotFound, 410: RecordNotFound}
# What a predefined question asks for, where our own names for it differ.
_PREDEFINED: Mapping[str, str] = {
    "WORK_EMAIL": "email",
    "WORK_PHONE_NUMBER": "phone",
    "PHONE_NUMBER": "phone",
    "COMPANY_NAME": "company",
    "ZIP_CODE": "postal_code",
    "POSTAL_CODE": "postal_code",
    "STATE": "region",
    "COMPANY_SIZE": "custom.company_size",
}


def refusal(answer: Answer) -> ConnectorError | None:
    """Return the error an answer stands for, None for a document."""
    if answer.ok:
        return None
    kind = _STATUS.get(answer.status)
    # 426: the version below is no longer served.
    return kind(f"status {answer.status}", status=answer.status) if kind else answer.unreadable("an error")


class LinkedInSource(Source):
    """Reads `LEAD_ACTION` notices: a created answer is a lead, a deleted one an erasure notice (I18)."""

    kind: ClassVar[str] = "linkedin"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("access_token",)
    api: ClassVar[fetching.Api | None] = fetching.Api(
        ORIGIN, refusal, {"LinkedIn-Version": "202609", "X-Restli-Protocol-Version": "2.0.0"}
    )

    def challenge(self, query: Mapping[str, str], keys: Keys) -> Handshake | None:
        """Sign the challenge code with the secret of the application that asks."""
        code = query.get("challengeCode")
        if code is None:
            return None
        secret = keys.applications.get(query.get("applicationId", "")) or next(iter(keys.secrets), "")
        if not secret:
            raise WebhookRejected("no secret configured")
        signed = hmac_sha256(secret, code.encode("utf-8", "surrogatepass"), Encoding.HEX)
        answer = {"challengeCode": code, "challengeResponse": signed}
        return Handshake(orjson.dumps(answer).decode(), "application/json")

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the hex HMAC of the prefix and the raw body."""
        given = delivery.headers.get(HEADER)
        check_hex(secrets, delivery.body, given, signed=lambda body: _SIGNED_PREFIX + body)

    def missing(self, delivery: Delivery, reading: Reading) -> Sequence[fetching.Document]:  # noqa: ARG002 - all is asked for
        """Name the answer unless it is here, or was deleted there."""
        notice = _notice(delivery)
        urn = _urn(notice)
        if notice.get("leadAction") == "DELETED" or urn in delivery.fetched:
            return ()
        return (fetching.Document(urn, f"/rest/leadFormResponses/{urn.removeprefix(_URN)}?fields={_FIELDS}"),)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission | Withdrawal]:
        """Join the fetched answers to the form's questions."""
        notice = _notice(delivery)
        key = key_text(_urn(notice)) or ""
        if notice.get("leadAction") == "DELETED":
            return [Withdrawal(key)]
        fetched = delivery.fetched.get(_urn(notice), "")
        if not fetched:
            raise UnreadableDelivery("the answer could not be fetched")
        answer = documents.object_of(fetched.encode(), "the fetched answer")
        return [_submission(key, notice, answer, reading, delivery)]


def _notice(delivery: Delivery) -> documents.Document:
    notice = documents.object_of(delivery.body)
    if notice.get("type") != "LEAD_ACTION" or notice.get("leadAction") not in ("CREATED", "DELETED"):
        raise UnreadableDelivery("the notice is not of a lead created or deleted")
    return notice


def _urn(notice: documents.Document) -> str:
    urn = documents.text(notice, "leadGenFormResponse")
    # It becomes a part of the vendor's address.
    if not _LEAD.fullmatch(urn.removeprefix(_URN)):
        raise UnreadableDelivery("the notice names no answer")
    return urn


def _submission(
    key: str, notice: documents.Document, answer: documents.Document, reading: Reading, delivery: Delivery
) -> Submission:
    questions = _by_id(objects_of_form(answer), "questionId")
    pairs, mapping = _answers(answer, questions, reading)
    placed = place(pairs, Reading(mapping=mapping, honeypot=reading.honeypot))
    placed.lead_key = key
    placed.is_test = placed.is_test or answer.get("testLead") is True
    placed.consents += _consents(answer)
    campaign = documents.inner(answer, "leadMetadata", "sponsoredLeadMetadata")
    for name, value in (
        ("form_id", documents.text(notice, "leadGenForm")),
        ("creative_id", documents.text(documents.inner(notice, "associatedEntity"), "associatedCreative")),
        ("campaign_id", documents.text(campaign, "campaign")),
    ):
        if id_ := key_text(value):
            placed.attribution.setdefault(name, id_)
    placed.suspect(delivery.received_at)
    return placed.submission(reading, occurred_at=documents.instant(documents.text(answer, "submittedAt")))


def objects_of_form(answer: documents.Document) -> list[documents.Document]:
    """Return the questions of the form an answer was given to."""
    return documents.objects(documents.inner(answer, "form", "content"), "questions")


def _by_id(found: list[documents.Document], name: str) -> dict[str, documents.Document]:
    return {documents.text(each, name): each for each in found}


def _answers(
    answer: documents.Document, questions: Mapping[str, documents.Document], reading: Reading
) -> tuple[list[Pair], dict[str, str]]:
    pairs: list[Pair] = []
    mapping = dict(reading.mapping)
    for given in documents.objects(documents.inner(answer, "formResponse"), "answers"):
        asked = questions.get(documents.text(given, "questionId"), {})
        name, target = _name(asked, documents.text(given, "questionId"), reading.mapping)
        if target:
            mapping.setdefault(name, target)
        pairs.append((name, _said(documents.inner(given, "answerDetails"), asked)))
    hidden = documents.objects(documents.inner(answer, "form"), "hiddenFields")
    return pairs + [(documents.text(each, "name"), documents.text(each, "value")) for each in hidden], mapping


def _name(asked: documents.Document, number: str, mapping: Mapping[str, str]) -> tuple[str, str | None]:
    """Return what an answer is filed under, and where it goes when the question is one of the vendor's own."""
    names = [documents.text(asked, "name"), _localized(asked.get("question")), number]
    for name in names:
        if name in mapping:
            return name, mapping[name]
    predefined = documents.text(asked, "predefinedField")
    return (predefined or next(filter(None, names), "question")), _PREDEFINED.get(predefined)


def _localized(said: Any) -> str:
    variants = documents.inner(said, "localized") if isinstance(said, dict) else {}
    return next((text for text in documents.texts(list(variants.values())) if text), "")


def _said(details: documents.Document, asked: documents.Document) -> str:
    chosen = documents.texts(documents.inner(details, "multipleChoiceAnswer").get("options"))
    if not chosen:
        return documents.text(documents.inner(details, "textQuestionAnswer"), "answer")
    choices = documents.inner(asked, "questionDetails", "multipleChoiceQuestionDetails")
    labels = {number: _localized(each.get("text")) for number, each in _by_id(_options(choices), "id").items()}
    return JOINER.join(labels.get(number) or number for number in chosen if number)


def _options(choices: documents.Document) -> list[documents.Document]:
    return documents.objects(choices, "options")


def _consents(answer: documents.Document) -> list[Consent]:
    """Return the boxes of the form's own legal part, with the text shown where the form tells it."""
    legal = documents.inner(answer, "form", "content", "legalInfo")
    shown = _by_id(documents.objects(legal, "consents"), "id")
    return [
        documents.consent(f"linkedin_{number}", box["accepted"], _localized(shown.get(number, {}).get("text")))
        for box in documents.objects(documents.inner(answer, "formResponse"), "consentResponses")
        if isinstance(box.get("accepted"), bool) and (number := documents.text(box, "consentId"))
    ]
