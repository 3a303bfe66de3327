"""HubSpot workflow webhooks: the whole contact as JSON.

Format and signature: HubSpot knowledge base, "Use webhooks in workflows", and developer docs, "Validating requests".
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Self

from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources import hubspot_signing
from connector.sources.base import Reading, Source
from connector.sources.objects import Json, document, id_or_empty, object_or_empty, objects_in, scalar_or_empty, unix_ms
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers, value_text

# Properties the vendor reckons itself, hundreds of them: no answer of the person.
_RECKONED = "hs_"


class HubSpotWorkflowSource(Source):
    """Reads the contact a workflow sends; its newest form submission names the lead."""

    kind: ClassVar[str] = "hubspot_workflow"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True
    has_old_signatures: ClassVar[bool] = True

    def __init__(self, *, old_signatures: bool = False) -> None:
        self._old_signatures = old_signatures

    def with_old_signatures(self) -> Self:
        """Return a reader that also accepts the signatures v1 and v2."""
        return type(self)(old_signatures=True)

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Check the signature v3, or an older one where the source accepts such."""
        hubspot_signing.check(delivery, secrets, now, old_signatures=self._old_signatures)

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the one contact of a delivery."""
        contact = document(delivery)
        newest = max(objects_in(contact.get("form-submissions")), key=_sent_at, default={})
        placed = place_answers(_answers(contact, reading), reading)
        placed.lead_key = placed.lead_key or _key(contact, newest)
        placed.attribute(
            {"form_id": scalar_or_empty(newest.get("form-id")), "page_url": scalar_or_empty(newest.get("page-url"))}
        )
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=unix_ms(newest.get("timestamp")))]


def _sent_at(submission: Json) -> float:
    sent = unix_ms(submission.get("timestamp"))
    return sent.timestamp() if sent else 0


def _key(contact: Json, newest: Json) -> str | None:
    """Name the lead by contact and submission; a contact without one may come again for another reason."""
    conversion = id_or_empty(newest.get("conversion-id"))
    return key_text(f"{id_or_empty(contact.get('vid'))}:{conversion}") if conversion else None


def _answers(contact: Json, reading: Reading) -> list[Answer]:
    if "properties" not in contact:
        # A workflow may also send a flat body of its user's own making.
        return [answer for name, value in contact.items() for answer in answers_of(names_of(name), value)]
    properties = object_or_empty(contact.get("properties"))
    answers = [
        Answer(names_of(name), value_text(_value(given)))
        for name, given in properties.items()
        if not name.startswith(_RECKONED) or name in reading.mapping
    ]
    return answers + [Answer(("identity.email",), address, "email") for address in _addresses(contact, answers)]


def _value(given: Any) -> Any:
    return given.get("value") if isinstance(given, dict) else given


def _addresses(contact: Json, answers: Sequence[Answer]) -> list[str]:
    """Return the contact's e-mail address out of its identities where no property tells it."""
    if any(answer.names == ("email",) and answer.text for answer in answers):
        return []
    identities = [
        identity
        for profile in objects_in(contact.get("identity-profiles"))
        for identity in objects_in(profile.get("identities"))
    ]
    return [scalar_or_empty(each.get("value")) for each in identities if each.get("type") == "EMAIL"][:1]
