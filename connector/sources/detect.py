"""Whose shape a delivery has (requirement I3): the path token chooses the source, a likeness only warns.

A sender is one line of `SIGNS`. It is known by a header, or by names that must all be there: of the fields of a form,
of the keys of a JSON object with those one level below (`data.fields`), or of the first object of a list (`[].id`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from connector.model.delivery import Delivery
from connector.sources.bodies import dotted
from connector.sources.keys import Pairs, content_of


@dataclass(frozen=True, slots=True)
class Sign:
    """What gives a sender away. `kind` is the kind of source that reads it, `label` what people call it."""

    kind: str
    label: str
    header: str = ""
    #: Any of these; all names of one must be there.
    names: tuple[frozenset[str], ...] = ()


def _sign(kind: str, label: str, *names: tuple[str, ...], header: str = "") -> Sign:
    return Sign(kind, label, header, tuple(map(frozenset, names)))


SIGNS: tuple[Sign, ...] = (
    _sign("calendly", "Calendly", ("event", "payload.uri", "payload.email"), header="calendly-webhook-signature"),
    _sign("cards", "an imported response card", ("house", "batch", "record", "key_code", "values")),
    _sign("contact_form_7", "Contact Form 7", ("your-name", "your-email"), ("_wpcf7",)),
    _sign("elementor", "Elementor", ("form.id", "form.name"), ("form_id", "form_name", "Powered by")),
    _sign("fillout", "Fillout", ("formId", "submission.submissionId", "submission.questions")),
    _sign("google_ads", "a Google Ads lead form", ("lead_id", "user_column_data")),
    _sign("gravity_forms", "Gravity Forms", ("form_id", "source_url", "date_created", "is_starred")),
    _sign("hubspot_app", "a HubSpot app", ("[].subscriptionId", "[].portalId", "[].objectId")),
    _sign("hubspot_form", "a HubSpot form", ("fields", "context.pageUri"), ("fields", "context.hutk")),
    _sign("hubspot_workflow", "a HubSpot workflow", ("vid", "portal-id", "properties")),
    _sign("jotform", "Jotform", ("formID", "submissionID", "rawRequest")),
    _sign("linkedin", "LinkedIn", ("leadGenFormResponse", "leadAction"), header="x-li-signature"),
    _sign("meta", "Meta lead ads", ("object", "entry"), header="x-hub-signature-256"),
    _sign("netlify", "Netlify Forms", ("form_name", "site_url", "human_fields", "data")),
    _sign("tally", "Tally", ("eventType", "data.responseId", "data.fields"), header="tally-signature"),
    _sign("typeform", "Typeform", ("event_type", "form_response"), header="typeform-signature"),
    _sign("unbounce", "Unbounce", ("page_id", "data.json")),
    _sign("web_to_lead", "Salesforce Web-to-Lead", ("oid", "retURL")),
    _sign("webflow", "Webflow", ("triggerType", "payload.siteId"), header="x-webflow-signature"),
    _sign("wufoo", "Wufoo", ("EntryId", "HandshakeKey"), ("EntryId", "DateCreated", "Field1")),
)

#: Kinds that read whatever has names and values, a vendor's too.
GENERIC = frozenset(("form", "json", "standard_webhooks", "wpforms"))


def looks_like(delivery: Delivery) -> Sign | None:
    """Return the sender whose shape this is, None when it is nobody's we know."""
    names = frozenset(_names(delivery))
    for sign in SIGNS:
        if any(wanted <= names for wanted in sign.names):
            return sign
    return next((sign for sign in SIGNS if sign.header and sign.header in delivery.headers), None)


def likeness(delivery: Delivery, kind: str, kinds: Collection[str]) -> str:
    """Say that a delivery does not look like its source's kind, "" when it does or nothing is known of it.

    `kinds` are those that can be read here; a generic kind is told of a better one only if there is one.
    """
    sign = looks_like(delivery)
    if sign is None or sign.kind == kind or (kind in GENERIC and sign.kind not in kinds):
        return ""
    advice = f"set kind: {sign.kind}" if sign.kind in kinds else "no kind here reads it"
    return f"it looks like {sign.label}, and the source is set to {kind}: {advice} if that is where it comes from"


def _names(delivery: Delivery) -> Iterator[str]:
    content = _content(delivery)
    if isinstance(content, list):
        first = content[0] if content and isinstance(content[0], dict) else {}
        yield from (f"[].{name}" for name in first)
    elif isinstance(content, dict):
        for name, value in content.items():
            yield dotted(name)
            if isinstance(value, dict):
                yield from (f"{name}.{inner}" for inner in value)


def _content(delivery: Delivery) -> Any:
    content = content_of(delivery)
    return dict(content) if isinstance(content, Pairs) else content
