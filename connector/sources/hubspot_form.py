"""The shape of HubSpot's Forms API, for pages whose script posts there: change only the address.

Format: HubSpot developer docs, "Forms API v3, submit data to a form".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from connector.model.delivery import Delivery
from connector.model.lead import Consent, Submission
from connector.sources.aliases import target_of
from connector.sources.base import Reading, Source
from connector.sources.bodies import Pair, json_pairs, within_caps
from connector.sources.objects import Json, document, object_or_empty, objects_in, scalar_or_empty, unix_ms
from connector.sources.placing import key_text
from connector.sources.questions import Answer, names_of, place_answers, value_text

_COMPANY = "0-2"
# What a company calls its own; the person's own answer comes first.
_COMPANY_NAMES: Mapping[str, str] = {"name": "company", "numberofemployees": "employees"}
_CONTEXT: Mapping[str, str] = {
    "pageUri": "page_url",
    "pageName": "page_name",
    "hutk": "hutk",
    "sfdcCampaignId": "campaign_id",
}


class HubSpotFormSource(Source):
    """Reads form submissions as scripts post them from a page."""

    kind: ClassVar[str] = "hubspot_form"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json", "text/plain"))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: a page's script cannot sign; the path token stands in."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one submission of a delivery."""
        form = document(delivery)
        context = object_or_empty(form.get("context"))
        options = object_or_empty(form.get("legalConsentOptions"))
        placed = place_answers(_answers(form), reading, _other_basis(options))
        placed.consents += _consents(options, reading.mapping)
        placed.lead_key = placed.lead_key or _key(form, context)
        placed.attribute({name: scalar_or_empty(context.get(sent)) for sent, name in _CONTEXT.items()})
        placed.name_campaign(reading)
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=unix_ms(form.get("submittedAt")))]


def _key(form: Json, context: Json) -> str | None:
    visitor, submitted = scalar_or_empty(context.get("hutk")), scalar_or_empty(form.get("submittedAt"))
    return key_text(f"{visitor}:{submitted}") if visitor and submitted else None


def _answers(form: Json) -> list[Answer]:
    fields = objects_in(form.get("fields"))
    of_company = [field for field in fields if field.get("objectTypeId") == _COMPANY]
    of_person = [field for field in fields if field.get("objectTypeId") != _COMPANY]
    return [*map(_answer, of_person), *map(_company_answer, of_company)]


def _answer(field: Json) -> Answer:
    return Answer(names_of(field.get("name")), value_text(field.get("value")))


def _company_answer(field: Json) -> Answer:
    name = scalar_or_empty(field.get("name"))
    names = names_of(f"company.{name}", f"{_COMPANY}/{name}")
    return Answer(names, value_text(field.get("value")), _COMPANY_NAMES.get(name) or target_of(name))


def _consents(options: Json, mapping: Mapping[str, str]) -> list[Consent]:
    """Return the consent to processing and one for each subscription; both can be given a purpose by mapping."""
    consent = object_or_empty(options.get("consent"))
    boxes = [("processing", consent.get("consentToProcess"), consent.get("text"))]
    for each in objects_in(consent.get("communications")):
        name = f"subscription_{scalar_or_empty(each.get('subscriptionTypeId'))}"
        boxes.append((name, each.get("value"), each.get("text")))
    texts = within_caps([(name, scalar_or_empty(text)) for name, _, text in boxes])
    return [
        Consent(purpose=_purpose(name, mapping), given=given, text=text)
        for (name, text), (_, given, _) in zip(texts, boxes, strict=True)
        if isinstance(given, bool)
    ]


def _purpose(name: str, mapping: Mapping[str, str]) -> str:
    target = mapping.get(name, "")
    return target.removeprefix("consent.") if target.startswith("consent.") else name


def _other_basis(options: Json) -> list[Pair]:
    """Keep a legitimate interest as it is: it is no consent."""
    return json_pairs({"legitimateInterest": object_or_empty(options.get("legitimateInterest"))})
