"""Vendors for the tests of sources: what the settings say of them, and a server that keeps their answers."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from connector.adapters.testing import Reply, ScriptedCrm
from connector.adapters.testing.scripted import Seen

ENVIRON = {
    "META_TOKEN": "meta-door",
    "META_SECRET": "test-secret",
    "META_VERIFY": "verify-me",
    "META_ACCESS": "page-token-1",
    "LI_TOKEN": "linkedin-door",
    "LI_SECRET": "test-secret",
    "LI_CHILD": "child-secret",
    "LI_ACCESS": "member-token-1",
    "HUBSPOT_TOKEN": "hubspot-door",
    "HUBSPOT_SECRET": "test-secret",
    "HUBSPOT_ACCESS": "app-token-1",
    "CALENDLY_TOKEN": "calendly-door",
    "CALENDLY_SECRET": "test-secret",
    "ELEMENTOR_TOKEN": "elementor-door",
    "GRAVITY_TOKEN": "gravity-door",
    "GRAVITY_SECRET": "test-secret",
    "CF7_TOKEN": "cf7-door",
    "CF7_SECRET": "test-secret",
    "WPFORMS_TOKEN": "wpforms-door",
    "WPFORMS_SECRET": "test-secret",
    "UNBOUNCE_TOKEN": "unbounce-door",
    "WUFOO_TOKEN": "wufoo-door",
    "WUFOO_SECRET": "test-secret",
    "JSON_TOKEN": "json-door",
    "JSON_SECRET": "test-secret",
}
SOURCES = """\
sources:
  meta:
    kind: meta
    token: ${META_TOKEN}
    secrets: ["${META_SECRET}"]
    verify_token: ${META_VERIFY}
    access_token: ${META_ACCESS}
  linkedin:
    kind: linkedin
    token: ${LI_TOKEN}
    secrets: ["${LI_SECRET}"]
    applications: {"77": "${LI_CHILD}"}
    access_token: ${LI_ACCESS}
  hubspot:
    kind: hubspot_app
    token: ${HUBSPOT_TOKEN}
    secrets: ["${HUBSPOT_SECRET}"]
    access_token: ${HUBSPOT_ACCESS}
    mapping: {best_time: custom.best_time, budget: custom.budget, mobilephone: ignore}
  calendly:
    kind: calendly
    token: ${CALENDLY_TOKEN}
    secrets: ["${CALENDLY_SECRET}"]
  elementor:
    kind: elementor
    token: ${ELEMENTOR_TOKEN}
  gravity:
    kind: gravity_forms
    token: ${GRAVITY_TOKEN}
    secrets: ["${GRAVITY_SECRET}"]
    mapping: {"2": email, "3": phone, "7": custom.note}
  cf7:
    kind: contact_form_7
    token: ${CF7_TOKEN}
    secrets: ["${CF7_SECRET}"]
  wpforms:
    kind: wpforms
    token: ${WPFORMS_TOKEN}
    secrets: ["${WPFORMS_SECRET}"]
  unbounce:
    kind: unbounce
    token: ${UNBOUNCE_TOKEN}
  wufoo:
    kind: wufoo
    token: ${WUFOO_TOKEN}
    secrets: ["${WUFOO_SECRET}"]
    mapping: {Field1: first_name, Field2: last_name, Field3: email}
  tool:
    kind: json
    token: ${JSON_TOKEN}
    secrets: ["${JSON_SECRET}"]
"""


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def leadgen(*leads: int | str, page: int = 70001) -> bytes:
    changes = [
        {"field": "leadgen", "value": {"leadgen_id": lead, "page_id": page, "form_id": 80001, "created_time": 1}}
        for lead in leads
    ]
    return compact({"object": "page", "entry": [{"id": str(page), "time": 1, "changes": changes}]})


def lead_action(number: str = "501-1", action: str = "CREATED", **more: Any) -> bytes:
    notice = {
        "type": "LEAD_ACTION",
        "leadGenFormResponse": f"urn:li:leadGenFormResponse:{number}",
        "owner": {"sponsoredAccount": "urn:li:sponsoredAccount:1"},
        "associatedEntity": {"associatedCreative": "urn:li:sponsoredCreative:8"},
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:31,1)",
        "leadType": "SPONSORED",
        "leadAction": action,
        "occurredAt": 1789560000000,
    }
    return compact({**notice, **more})


def app_event(contact: int | str, kind: str = "contact.creation", **more: Any) -> dict[str, Any]:
    """One event of a HubSpot app; every one here has the same eventId, which tells nothing apart."""
    event = {"eventId": 7, "subscriptionId": 6001, "portalId": 3003, "appId": 7001, "occurredAt": 1789560000101}
    event |= {"subscriptionType": kind, "attemptNumber": 0, "objectId": contact}
    return {**event, "changeSource": "FORM", "changeFlag": "NEW", **more}


def app_events(*contacts: int | str) -> bytes:
    return compact([app_event(contact) for contact in contacts])


def app_contact(number: int | str, **properties: str | None) -> dict[str, Any]:
    """A contact as HubSpot answers: all values are text or null, and some properties come unasked."""
    known = {"firstname": "Nora", "lastname": "Feld", "email": f"nora.{number}@feld.example", "phone": None}
    known |= {"company": "Feld GmbH", "zip": "10115", "city": "Berlin", "country": "Germany", **properties}
    own = {"createdate": "2026-09-16T12:00:00.101Z", "lastmodifieddate": "2026-09-16T12:00:01Z"}
    at = {"createdAt": "2026-09-16T12:00:00.101Z", "updatedAt": "2026-09-16T12:00:01Z", "archived": False}
    return {"id": str(number), "properties": {**known, **own, "hs_object_id": str(number)}, **at}


def graph_lead(number: int | str, **fields: str) -> dict[str, Any]:
    asked = {"full_name": "Nora Feld", "email": f"nora.{number}@feld.example", **fields}
    return {
        "id": str(number),
        "created_time": "2026-09-16T12:00:00+0000",
        "form_id": "80001",
        "field_data": [{"name": name, "values": [value]} for name, value in asked.items()],
    }


def member_lead(number: str = "501-1", *, test: bool = False) -> dict[str, Any]:
    def question(id_: int, name: str, predefined: str | None, details: dict[str, Any]) -> dict[str, Any]:
        asked = {"questionId": id_, "name": name, "question": {"localized": {"en_US": name}}}
        return {**asked, "questionDetails": details, **({"predefinedField": predefined} if predefined else {})}

    options = [
        {"id": 1, "text": {"localized": {"en_US": "This year"}}},
        {"id": 2, "text": {"localized": {"en": "Now"}}},
    ]
    consent = {"id": 42, "text": {"localized": {"en_US": "You may write to me."}}}
    text = {"textQuestionDetails": {}}
    return {
        "id": number,
        "testLead": test,
        "submittedAt": 1789560000000,
        "leadMetadata": {"sponsoredLeadMetadata": {"campaign": "urn:li:sponsoredCampaign:99"}},
        "formResponse": {
            "consentResponses": [{"accepted": True, "consentId": 42}],
            "answers": [
                {"questionId": 1, "answerDetails": {"textQuestionAnswer": {"answer": "Jane"}}},
                {"questionId": 2, "answerDetails": {"textQuestionAnswer": {"answer": f"jane.{number}@acme.example"}}},
                {"questionId": 3, "answerDetails": {"multipleChoiceAnswer": {"options": [2]}}},
            ],
        },
        "form": {
            "hiddenFields": [{"name": "utm_source", "value": "li"}],
            "content": {
                "questions": [
                    question(1, "First name", "FIRST_NAME", text),
                    question(2, "Work e-mail", "WORK_EMAIL", text),
                    question(3, "When?", None, {"multipleChoiceQuestionDetails": {"options": options}}),
                ],
                "legalInfo": {"consents": [consent]},
            },
        },
    }


class Vendors(ScriptedCrm):
    """Keeps leads by id, as all such vendors do; replies given come first, then whatever `leads` holds."""

    def __init__(self, *replies: Reply, leads: Mapping[str, Any] | None = None) -> None:
        self.leads: dict[str, Any] = dict(leads or {})
        super().__init__(*replies, otherwise=self._look_up)

    def then(self, *replies: Reply) -> None:
        """Answer the next requests so."""
        self._replies.extend(replies)

    @property
    def asked(self) -> list[str]:
        return [lead_of(seen) for seen in self.seen]

    def _look_up(self, seen: Seen) -> Reply:
        found = self.leads.get(lead_of(seen))
        if found is not None:
            return Reply(200, found)
        if seen.path.startswith("/crm/"):
            return Reply(404, {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "secret detail"})
        if seen.path.startswith("/rest/"):
            return Reply(404, {"status": 404, "code": "RESOURCE_NOT_FOUND"})
        return graph_error(100, subcode=33)


def lead_of(seen: Seen) -> str:
    return unquote(urlsplit(seen.path).path.rsplit("/", 1)[-1])


def graph_error(code: int, *, subcode: int = 0, status: int = 400, **headers: str) -> Reply:
    error = {"message": "secret detail of page-token-1", "type": "OAuthException", "code": code}
    return Reply(status, {"error": {**error, "error_subcode": subcode}}, headers=headers)
