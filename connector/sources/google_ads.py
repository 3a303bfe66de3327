"""Google Ads lead forms: JSON whose body carries the shared key.

Format: Google Ads Help, "Create a webhook for lead form assets", and its developer guide on lead forms.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.objects import Json, document, id_or_empty, iso_time, objects_in, scalar_or_empty
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers
from connector.sources.signing import NO_SECRET, WRONG_SECRET

_KEY = "google_key"
# An official sample spells the name Google_key; a body that was cut off is masked to its end.
_SHOWN_KEY = re.compile(rb'("google_key"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^\s,}]+)', re.IGNORECASE | re.DOTALL)
_TEST_LEAD = "TeSter-"
_ATTRIBUTION: Mapping[str, str] = {
    "gcl_id": "gclid",
    "form_id": "form_id",
    "campaign_id": "campaign_id",
    "adgroup_id": "adgroup_id",
    "creative_id": "creative_id",
    "asset_group_id": "asset_group_id",
    "lead_stage": "lead_stage",
}


class GoogleAdsSource(Source):
    """Reads leads of Google's lead forms."""

    kind: ClassVar[str] = "google_ads"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002
        """Compare the key in the body with the secrets, in constant time."""
        if not any(secrets):
            raise WebhookRejected(NO_SECRET)
        try:
            given = scalar_or_empty(_lead(delivery).get(_KEY))
        except UnreadableDelivery as err:
            raise WebhookRejected("body unreadable") from err
        if not given:
            raise WebhookRejected("google_key missing")
        written = given.encode("utf-8", "surrogatepass")
        fits = [hmac.compare_digest(secret.encode(), written) for secret in secrets if secret]
        if not any(fits):
            raise WebhookRejected(WRONG_SECRET)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one lead of a delivery."""
        lead = _lead(delivery)
        key = scalar_or_empty(lead.get("lead_id")).strip()
        placed = place_answers(_answers(lead), reading)
        placed.is_test = placed.is_test or lead.get("is_test") is True or key.startswith(_TEST_LEAD)
        # All test leads share one id, and somebody who tests twice wants to see both.
        placed.lead_key = f"test:{delivery.id}" if placed.is_test else placed.lead_key or key_text(key)
        placed.attribute({name: id_or_empty(lead.get(sent)) for sent, name in _ATTRIBUTION.items()})
        placed.name_campaign(reading)
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=iso_time(lead.get("lead_submit_time")))]

    def masked(self, body: bytes) -> bytes:
        """Hide the shared key."""
        return _SHOWN_KEY.sub(rb'\1"***"', body)


def _lead(delivery: Delivery) -> Json:
    return {name.lower(): value for name, value in document(delivery).items()}


def _answers(lead: Json) -> list[Answer]:
    answers: list[Answer] = []
    for column in objects_in(lead.get("user_column_data")):
        answers += answers_of(names_of(column.get("column_id"), column.get("column_name")), column.get("string_value"))
    return answers
