"""Meta Lead Ads: the hook names leads, their answers are fetched from the Graph API.

Format, signature and handshake: Meta's "Webhooks for Leads" and "Graph API webhooks, getting started";
answers and errors: "Retrieving leads" and "Graph API error handling".
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import orjson

from connector.adapters.http import Answer, retry_after
from connector.errors import (
    AuthenticationError,
    ConnectorError,
    PermissionDenied,
    RateLimited,
    RecordNotFound,
    Unavailable,
    UnreadableDelivery,
    WebhookRejected,
)
from connector.model.delivery import Delivery
from connector.model.lead import Consent, Submission
from connector.sources import documents, fetching
from connector.sources.base import Handshake, Keys, Reading, Source
from connector.sources.bodies import Pair
from connector.sources.hex_signature import check_hex
from connector.sources.placing import key_text, place, yes_or_no

HEADER = "x-hub-signature-256"
ORIGIN = "https://graph.facebook.com"
# Without a version the app's own is used. Ad and campaign names would need one more permission.
_FIELDS = "created_time,form_id,field_data,custom_disclaimer_responses"
_IDS = ("page_id", "form_id", "ad_id", "adgroup_id")
_OK = 200
_PERMISSIONS = range(200, 300)
_CODES: Mapping[int, type[ConnectorError]] = {
    # Arrive as 400, as all of them do; only the code tells them apart.
    1: Unavailable,
    2: Unavailable,
    3: PermissionDenied,
    4: RateLimited,
    10: PermissionDenied,
    17: RateLimited,
    32: RateLimited,
    102: AuthenticationError,
    190: AuthenticationError,
    613: RateLimited,
    803: RecordNotFound,
    80005: RateLimited,
}
# "Does not exist, cannot be loaded due to missing permissions, or does not support this operation".
_GONE = (100, 33)
# Not documented: what the testing tool is seen to fill in.
_DUMMY = "<test lead: dummy data for"


def refusal(answer: Answer) -> ConnectorError | None:
    """Return the error a Graph answer stands for, None for a document."""
    if answer.ok:
        return None
    said = documents.inner(_body(answer), "error")
    number, subcode = _number(said, "code"), _number(said, "error_subcode")
    kind = RecordNotFound if (number, subcode) == _GONE else _CODES.get(number)
    if kind is None and number in _PERMISSIONS:
        kind = PermissionDenied
    code = str(number) if number else None
    if kind is None:
        return answer.unreadable("the answer is an error of an unknown kind")
    if issubclass(kind, RateLimited | Unavailable):
        return kind(f"error {code}", retry_after=_patience(answer), status=answer.status, code=code)
    return kind(f"error {code}", status=answer.status, code=code)


def _body(answer: Answer) -> documents.Document:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(said: documents.Document, name: str) -> int:
    value = said.get(name)
    return value if isinstance(value, int) else 0


def _patience(answer: Answer) -> timedelta | None:
    """Return how long the vendor asks to wait: its own header counts minutes, by business and kind of call."""
    try:
        usage = orjson.loads(answer.headers.get("X-Business-Use-Case-Usage", ""))
    except orjson.JSONDecodeError:
        return retry_after(answer.headers)
    calls = [call for each in usage for call in documents.objects(usage, each)] if isinstance(usage, dict) else []
    minutes = max((_number(call, "estimated_time_to_regain_access") for call in calls), default=0)
    return timedelta(minutes=min(minutes, 10_000)) if minutes > 0 else retry_after(answer.headers)


class MetaSource(Source):
    """Reads `leadgen` changes of pages; one delivery may name several leads."""

    kind: ClassVar[str] = "meta"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("access_token", "verify_token")
    api: ClassVar[fetching.Api | None] = fetching.Api(ORIGIN, refusal)

    def challenge(self, query: Mapping[str, str], keys: Keys) -> Handshake | None:
        """Give back the challenge when the verify token is the one entered at the vendor."""
        if query.get("hub.mode") != "subscribe":
            return None
        shown = query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
        if not (keys.verify_token and hmac.compare_digest(keys.verify_token.encode(), shown)):
            raise WebhookRejected("wrong verify token")
        return Handshake(query.get("hub.challenge", ""), "text/plain; charset=utf-8")

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the hex HMAC of the raw body; the older SHA-1 header is not looked at."""
        check_hex(secrets, delivery.body, delivery.headers.get(HEADER), prefix="sha256=")

    def missing(self, delivery: Delivery, reading: Reading) -> Sequence[fetching.Document]:  # noqa: ARG002 - all is asked for
        """Name every lead whose answers are not here yet."""
        wanted = [lead for lead in _changes(delivery) if lead not in delivery.fetched]
        return [fetching.Document(lead, f"/{lead}?fields={_FIELDS}") for lead in wanted]

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the fetched answers of each lead."""
        return [
            _submission(lead, change, documents.object_of(answer.encode(), "the fetched lead"), reading, delivery)
            for lead, change in _changes(delivery).items()
            if (answer := delivery.fetched.get(lead))
        ]


def _changes(delivery: Delivery) -> dict[str, documents.Document]:
    """Return what the hook says of each lead, by its id, in order; an id of 0 is none."""
    event = documents.object_of(delivery.body)
    found = {}
    for entry in documents.objects(event, "entry"):
        for change in documents.objects(entry, "changes"):
            value = documents.inner(change, "value")
            lead = documents.text(value, "leadgen_id")
            if change.get("field") == "leadgen" and lead.isascii() and lead.isdigit() and lead.strip("0"):
                found[lead] = value
    if not found:
        raise UnreadableDelivery("the event names no lead: subscribe the page to leadgen only")
    return found


def _submission(
    lead: str, change: documents.Document, answer: documents.Document, reading: Reading, delivery: Delivery
) -> Submission:
    pairs = _pairs(answer)
    placed = place(pairs, reading)
    placed.lead_key = key_text(lead)
    for name in _IDS:
        value = documents.text(change, name) or documents.text(answer, name)
        if value.strip("0"):
            placed.attribution.setdefault(name, value)
    placed.consents += _consents(answer)
    placed.is_test = placed.is_test or any(value.startswith(_DUMMY) for _, value in pairs)
    placed.suspect(delivery.received_at)
    return placed.submission(reading, occurred_at=documents.instant(documents.text(answer, "created_time")))


def _pairs(answer: documents.Document) -> list[Pair]:
    return [
        (documents.text(asked, "name"), value)
        for asked in documents.objects(answer, "field_data")
        for value in documents.texts(asked.get("values"))
    ]


def _consents(answer: documents.Document) -> list[Consent]:
    return [
        documents.consent(purpose, given)
        for box in documents.objects(answer, "custom_disclaimer_responses")
        if (purpose := key_text(documents.text(box, "checkbox_key")))
        and (given := yes_or_no(documents.text(box, "is_checked"))) is not None
    ]
