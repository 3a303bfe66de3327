"""`/api/v1`."""

import re
from functools import cache
from uuid import UUID

import orjson
from flask import Blueprint, Response, request

from connector.errors import UnreadableDelivery
from connector.flows import reading
from connector.flows.accept import Acceptance, accept, accept_once
from connector.sources.api import InvalidLead, read_lead
from webhooks.api import views
from webhooks.api.openapi import IDEMPOTENCY_KEY, document
from webhooks.api.waiting import preferred_wait, wait_for_lead
from webhooks.bodies import JSON_CAP, read_body
from webhooks.deliveries import delivery_of
from webhooks.doors import Door
from webhooks.edge import edge
from webhooks.problems import KINDS, Problem

routes = Blueprint("api", __name__)

_BEARER = "bearer "
_SIGNATURE = "webhook-signature"
_KEY = re.compile(IDEMPOTENCY_KEY)


@routes.post("/api/v1/leads")
def post_lead() -> Response:
    """Take one lead; answer with its receipt, or with its owner if the sender prefers to wait."""
    body = read_body(JSON_CAP)
    signed = _is_signed()
    client = _signer(body) if signed else _client()
    door = _door()
    if request.mimetype not in door.reader.content_types:
        raise Problem("unsupported-media-type", "this address reads application/json only")
    key = _idempotency_key("webhook-id" if signed else "Idempotency-Key")
    _validate(body)
    receipt = _accept(door, body, client, key)
    wait = preferred_wait(request.headers.get("Prefer", ""))
    lead = wait_for_lead(receipt, wait) if wait else None
    if lead is None:
        return _json(views.accepted(receipt), 202)
    answer = _json(views.decided(receipt, lead), 201)
    answer.headers["Location"] = f"{views.LEADS}{lead.lead.id}"
    answer.headers["Preference-Applied"] = f"wait={wait}"
    return answer


@routes.get("/api/v1/receipts/<uuid:receipt>")
def get_receipt(receipt: UUID) -> Response:
    """Say what became of a delivery."""
    _client()
    row = reading.receipt(edge().services, receipt)
    if row is None:
        raise Problem("not-found", "no delivery has this receipt")
    return _json(views.receipt(row))


@routes.get("/api/v1/leads/<uuid:lead>")
def get_lead(lead: UUID) -> Response:
    """Say who owns a lead."""
    _client()
    view = reading.lead(edge().services, lead)
    if view is None:
        raise Problem("not-found", "no lead has this id")
    return _json(views.lead(view))


@routes.get("/api/v1/leads/<uuid:lead>/decision")
def get_decision(lead: UUID) -> Response:
    """Say why: the newest decision on a lead, with everybody who was passed over."""
    _client()
    view = reading.decision(edge().services, lead)
    if view is None:
        raise Problem("not-found", "there is no decision on a lead with this id")
    return _json(views.decision(view))


@routes.get("/api/v1/openapi.json")
def openapi() -> Response:
    """Describe all this to a machine."""
    return Response(_description(), mimetype="application/json")


@routes.get("/problems/<name>")
def explain_problem(name: str) -> Response:
    """Tell a person what a problem document's `type` means."""
    kind = KINDS.get(name)
    text = f"{kind.title} ({kind.status})\n\n{kind.action}\n" if kind else "There is no problem of this name.\n"
    return Response(text, 200 if kind else 404, mimetype="text/plain")


@cache
def _description() -> bytes:
    return orjson.dumps(document())


def _client() -> str:
    given = request.headers.get("Authorization", "")
    named = given[len(_BEARER) :].strip() if given[: len(_BEARER)].lower() == _BEARER else ""
    client = edge().keeper.doors().client(named) if named else None
    if client is None:
        raise Problem("unauthorized", "the bearer key is missing or not known")
    return client


def _is_signed() -> bool:
    return "Authorization" not in request.headers and _SIGNATURE in request.headers


def _signer(body: bytes) -> str:
    """Return the program that signed the body; its message id then makes repeating safe."""
    client = edge().keeper.doors().signer(delivery_of("", body))
    if client is None:
        raise Problem("unauthorized", "no program of api_keys with `signs: true` signed this")
    return client


def _door() -> Door:
    door = edge().keeper.doors().api
    if door is None:
        raise Problem("not-found", "no source of kind api is configured: add one to hearback.yaml")
    return door


def _idempotency_key(header: str) -> str | None:
    """Return the key, bare or as the quoted string the draft standard asks for; None without the header."""
    given = request.headers.get(header)
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise Problem("invalid-idempotency-key")
    quoted = len(given) > 2 and given[0] == given[-1] == '"'  # noqa: PLR2004 (two quotes around something)
    return given[1:-1] if quoted else given


def _validate(body: bytes) -> None:
    try:
        read_lead(body)
    except InvalidLead as err:
        raise Problem("invalid-lead", str(err), errors=err.faults) from err
    except UnreadableDelivery as err:
        raise Problem("invalid-json", str(err)) from err


def _accept(door: Door, body: bytes, client: str, key: str | None) -> UUID:
    delivery = delivery_of(door.source.key, body, door.key_headers)
    if key is None:
        return accept(edge().services, delivery, verified="yes")
    accepted = accept_once(edge().services, delivery, client=client, key=key)
    if accepted.acceptance is Acceptance.MISMATCH:
        raise Problem("idempotency-key-reused")
    if accepted.receipt is None:
        raise Problem("request-in-flight")
    return accepted.receipt


def _json(content: object, code: int = 200) -> Response:
    return Response(orjson.dumps(content), code, mimetype="application/json")
