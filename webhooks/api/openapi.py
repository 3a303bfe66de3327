"""The API as an OpenAPI 3.1 document."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from connector.model.lead import FIELDS
from connector.sources.api import MOST_PURPOSE
from connector.sources.bodies import MAX_VALUE_BYTES
from webhooks.problems import KINDS, MEDIA_TYPE

Json = dict[str, Any]

_UUID: Json = {"type": "string", "format": "uuid"}
_TIME: Json = {"type": "string", "format": "date-time"}
#: Visible ASCII, with blanks inside; HTTP itself strips those around it.
IDEMPOTENCY_KEY = "[!-~](?:[ -~]{0,253}[!-~])?"
# At least one character that is neither a blank nor stripped as invisible.
_VISIBLE = r"[^\s\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"


def document() -> Json:
    """Describe every route under /api/v1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hearback",
            "version": version("hearback-connector"),
            "description": "Post leads; ask what became of them, who owns them and why. A program configured to sign "
            "posts leads without the bearer key, with the headers of Standard Webhooks 1.0.0.",
        },
        "security": [{"apiKey": []}],
        "paths": {
            "/api/v1/leads": {"post": _post_lead()},
            "/api/v1/receipts/{receipt}": {
                "get": _get("Receipt", "getReceipt", "receipt", "Say what became of a delivery")
            },
            "/api/v1/leads/{lead}": {"get": _get("Lead", "getLead", "lead", "Say who owns a lead")},
            "/api/v1/leads/{lead}/decision": {
                "get": _get("Decision", "getDecision", "lead", "Say why this owner: the newest decision in full")
            },
        },
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _post_lead() -> Json:
    return {
        "operationId": "postLead",
        "summary": "Take one lead",
        "parameters": [
            _header(
                "Idempotency-Key",
                "Makes repeating safe: the same key and body give the same receipt. Bare or in double quotes.",
                {"maxLength": 255, "pattern": f"^{IDEMPOTENCY_KEY}$"},
            ),
            _header("Prefer", "`wait=SECONDS` (1 to 30) holds the answer until the lead has an owner.", {}),
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("NewLead")}}},
        "responses": {
            "201": _answer("Decided: the lead with its owner and the reason", "Decided"),
            "202": _answer("Stored: the receipt to ask with", "Accepted"),
            **_problems((400, 401, 404, 409, 413, 415, 422, 503)),
        },
    }


def _header(name: str, description: str, shape: Json) -> Json:
    schema = {"type": "string", **shape}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _get(schema: str, operation: str, parameter: str, summary: str) -> Json:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": [{"name": parameter, "in": "path", "required": True, "schema": _UUID}],
        "responses": {"200": _answer(summary, schema), **_problems((401, 404, 503))},
    }


def _answer(description: str, schema: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _problems(codes: Iterable[int]) -> Json:
    titles = {code: " / ".join(kind.title for kind in KINDS.values() if kind.status == code) for code in codes}
    content = {MEDIA_TYPE: {"schema": _ref("Problem")}}
    return {str(code): {"description": title, "content": content} for code, title in titles.items()}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> Json:
    return {
        "NewLead": _new_lead(),
        "Accepted": _object({"receipt": _UUID, "status_url": {"type": "string"}}),
        "Decided": _object({"receipt": _UUID, "status_url": {"type": "string"}, "lead": _ref("Lead")}),
        "Receipt": _receipt(),
        "Lead": _lead(),
        "Decision": _decision(),
        "Problem": _problem(),
    }


def _new_lead() -> Json:
    text = {"type": ["string", "null"]}
    texts = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    consent = _object(
        {
            "purpose": {"type": "string", "pattern": _VISIBLE, "maxLength": MOST_PURPOSE},
            "given": {"type": "boolean"},
            "text": {"type": "string"},
        },
        optional=("text",),
    )
    properties: Json = dict.fromkeys(FIELDS, text) | {
        "employees": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1},
        "external_id": {"type": ["string", "integer", "null"], "description": "The sender's own id of the lead."},
        "occurred_at": {"type": ["string", "null"], "format": "date-time"},
        "test": {"type": "boolean", "description": "Goes the whole way except into the CRM."},
        "custom": texts,
        "attribution": texts,
        "consents": {"type": ["array", "null"], "items": consent},
    }
    named = [
        {"required": [name], "properties": {name: {"type": "string", "pattern": _VISIBLE}}}
        for name in ("email", "phone", "last_name", "full_name", "company")
    ]
    return {
        "type": "object",
        "properties": properties,
        "anyOf": named,
        "description": "Other fields are kept as custom ones. Control characters and invisible marks are removed; "
        f"what is left of a text has at most {MAX_VALUE_BYTES} bytes in UTF-8.",
    }


def _receipt() -> Json:
    return _object(
        {
            "receipt": _UUID,
            "source": {"type": "string"},
            "received_at": _TIME,
            "state": {"enum": ["stored", "waiting", "quarantined", "done"]},
            "fate": {"enum": ["leads", "updated", "duplicate", "applied", "rejected", "erased", None]},
            "reason": {"type": "string"},
            "first": _or_null(_UUID) | {"description": "For a duplicate: the receipt it repeats."},
            "test": {"type": "boolean"},
            "leads": {"type": "array", "items": _object({"id": _UUID, "url": {"type": "string"}})},
        }
    )


def _lead() -> Json:
    return _object(
        {
            "id": _UUID,
            "url": {"type": "string"},
            "decision_url": {"type": "string"},
            "receipt": _UUID,
            "created_at": _TIME,
            "source": {"type": "string"},
            "test": {"type": "boolean"},
            "status": {"enum": ["held", "assigned", "closed"]},
            "owner": {"anyOf": [_object({"key": {"type": "string"}, "name": {"type": "string"}}), {"type": "null"}]},
            "pool": {"type": ["string", "null"]},
            "connection": {"type": ["string", "null"]},
            "record": {"type": ["string", "null"], "description": "The lead's id in the CRM, once it is there."},
            "reason": {"type": "string"},
            "assigned_at": _or_null(_TIME),
            "held_until": _or_null(_TIME),
        }
    )


def _decision() -> Json:
    return _object(
        {
            "lead": _UUID,
            "number": {"type": "integer"},
            "decided_at": _TIME,
            "outcome": {"type": "string"},
            "owner": {"type": ["string", "null"]},
            "rule_set": {"type": "string"},
            "sha256": {"type": "string", "description": "Of the record as canonical JSON."},
            "record": {"type": "object"},
            "explanation": {"type": "array", "items": {"type": "string"}},
        }
    )


def _problem() -> Json:
    faults = {
        "type": "array",
        "items": _object({"field": {"type": "string"}, "message": {"type": "string"}}),
    }
    return _object(
        {
            "type": {"enum": [f"/problems/{name}" for name in KINDS]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "action": {"type": "string", "description": "What to do now."},
            "errors": faults,
        },
        optional=("errors",),
    )


def _object(properties: Json, *, optional: Iterable[str] = ()) -> Json:
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _or_null(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}
