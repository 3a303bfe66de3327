"""Drop-in for Salesforce Web-to-Lead: a site changes only its form's action.

The original drops leads on a validation or duplicate rule and still looks fine; here nothing is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Consent, Submission
from connector.sources.base import Reading, Source
from connector.sources.bodies import Pair, media_type, urlencoded_pairs
from connector.sources.placing import place, yes_or_no

# What the form generator writes (names are the vendor's own, compared exactly).
_FIELDS: Mapping[str, str] = {
    "title": "job_title",
    "zip": "postal_code",
    "state": "region",
    "country_code": "country",
    "state_code": "region",
    "description": "message",
    "lead_source": "attribution.lead_source",
    "Campaign_ID": "attribution.campaign_id",
    "member_status": "attribution.member_status",
    "URL": "custom.website",
} | dict.fromkeys(
    (
        "oid",
        "orgId",
        "encoding",
        "retURL",
        "captcha_settings",
        "debug",
        "debugEmail",
        "submit",
        "external",
    ),
    "ignore",
)
# Boxes a person ticks to be left alone.
_OPT_OUTS: Mapping[str, str] = {"emailOptOut": "email", "faxOptOut": "fax", "doNotCall": "phone"}


class WebToLeadSource(Source):
    """Reads what a generated Web-to-Lead form posts."""

    kind: ClassVar[str] = "web_to_lead"
    from_pages: ClassVar[bool] = True
    content_types: ClassVar[frozenset[str]] = frozenset(("application/x-www-form-urlencoded",))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: the `oid` chose the source and is public; the door's layers judge the sender."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one lead of a form post."""
        kept, opt_outs = _split(_pairs(delivery))
        placed = place(kept, replace(reading, mapping={**_FIELDS, **reading.mapping}))
        placed.consents += opt_outs
        placed.name_campaign(reading)
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]


def _pairs(delivery: Delivery) -> list[Pair]:
    kind, options = media_type(delivery.content_type)
    if kind != "application/x-www-form-urlencoded":
        raise UnreadableDelivery("the content type is not that of a Web-to-Lead form")
    # The generated action says `?encoding=UTF-8`; the browser encodes the values so.
    return urlencoded_pairs(delivery.body, options.get("charset") or delivery.query.get("encoding", "utf-8"))


def _split(pairs: list[Pair]) -> tuple[list[Pair], list[Consent]]:
    refused = [
        Consent(purpose=_OPT_OUTS[name], given=False) for name, value in pairs if name in _OPT_OUTS and yes_or_no(value)
    ]
    return [pair for pair in pairs if pair[0] not in _OPT_OUTS], refused
