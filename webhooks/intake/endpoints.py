"""`/in/<token>` and the Web-to-Lead door."""

import logging
import re
from uuid import UUID

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import (
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
    UnsupportedMediaType,
)

from connector.errors import WebhookRejected
from connector.flows.accept import accept
from connector.sources.web_to_lead import WebToLeadSource
from webhooks.bodies import read_body
from webhooks.deliveries import delivery_of
from webhooks.doors import Door
from webhooks.edge import edge
from webhooks.intake.caps import check_form
from webhooks.intake.peek import peek
from webhooks.intake.returning import safe_return
from webhooks.intake.snippet import script
from webhooks.limits import FORMS, ONE_FORM, UNKNOWN_OID, Rate, network
from webhooks.pages import language
from webhooks.quarantine import keep_rejected
from webhooks.throttle import throttle

log = logging.getLogger(__name__)

routes = Blueprint("intake", __name__)

# Sent so to a source that pages post to, it comes from a browser; everybody else gets exactly 200 (I1).
_FORM_MEDIA = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))
_OID = re.compile(r"[A-Za-z0-9]{15,18}")


@routes.post("/in/<token>", provide_automatic_options=False)
def receive(token: str) -> Response:
    """Store the delivery as it came, then answer; parsing waits for a job."""
    body = read_body()
    return _take(_door(token), body)


@routes.get("/in/<token>", provide_automatic_options=False)
def challenge(token: str) -> Response:
    """Answer a vendor's handshake (requirement I15); nothing else is to be read here."""
    door = _door(token)
    try:
        answer = door.challenge(request.args.to_dict())
    except WebhookRejected as err:
        log.warning("handshake refused", extra={"source": door.source.key, "step": err.step})
        raise Forbidden("the challenge could not be verified") from err
    if answer is not None:
        log.info("handshake answered", extra={"source": door.source.key})
        return Response(answer.body, content_type=answer.content_type)
    raise MethodNotAllowed(["POST", "OPTIONS"], "this address takes POST only: send the form there")


@routes.get("/in/<token>/form.js")
def form_script(token: str) -> Response:
    """Hand out the snippet that a page with a form of ours may load."""
    door = _door(token)
    if not door.reader.from_pages:
        raise NotFound("this source has no forms on pages")
    return script(door.source.key)


@routes.route("/in/<token>", methods=["OPTIONS"], provide_automatic_options=False)
def preflight(token: str) -> Response:
    """Tell a browser whether a script of another site may post here (requirement I29)."""
    door = _door(token)
    origin = _allowed_origin(door)
    if not origin:
        raise Forbidden("this origin is not among the source's return_hosts")
    return Response(
        status=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        },
    )


@routes.post("/servlet/servlet.WebToLead")
def web_to_lead() -> Response:
    """Take what a generated Web-to-Lead form posts; its `oid` chooses the source."""
    body = read_body()
    if request.mimetype not in WebToLeadSource.content_types:
        raise UnsupportedMediaType("a Web-to-Lead form is sent as application/x-www-form-urlencoded")
    oid = peek(body, "oid")
    door = edge().keeper.doors().by_oid(oid)
    return _take(door, body) if door else _keep_unknown(oid, body)


def _door(token: str) -> Door:
    door = edge().keeper.doors().by_token(token)
    if door is None:
        raise NotFound("no source has this address: check the token after /in/")
    return door


def _take(door: Door, body: bytes) -> Response:
    if request.mimetype not in door.reader.content_types:
        accepted = ", ".join(sorted(door.reader.content_types))
        raise UnsupportedMediaType(f"this source does not read that content type: send one of {accepted}")
    from_page = door.reader.from_pages and request.mimetype in _FORM_MEDIA
    if door.reader.from_pages:
        _limit_page(door)
    if from_page:
        check_form(body)
    delivery = delivery_of(door.source.key, body, door.key_headers)
    verified = door.check(delivery)
    if verified.startswith("no:"):
        keep_rejected(delivery, verified.removeprefix("no:"))
        raise Unauthorized("the delivery could not be verified")
    receipt = accept(edge().services, delivery, verified=verified)
    response = _acknowledge(door, receipt, body) if from_page else _confirm(door, receipt)
    origin = _allowed_origin(door)
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"
    return response


def _keep_unknown(oid: str, body: bytes) -> Response:
    """Keep a post under an oid nobody configured; the visitor sees what all see (requirement I26)."""
    _limit(UNKNOWN_OID, "unknown")
    check_form(body)
    name = oid if _OID.fullmatch(oid) else ""
    delivery = delivery_of(f"oid:{name}", body)
    reason = f"oid {name or '(none)'} belongs to no source: add it to one, then replay"
    receipt = accept(edge().services, delivery, suspect=reason)
    return _json(receipt) if _wants_json() else _see_other(_thanks())


def _limit_page(door: Door) -> None:
    """Limit what browsers send by their network; what programs send, who share addresses, by the form alone (I25)."""
    if request.mimetype in _FORM_MEDIA or "HTTP_ORIGIN" in request.environ:
        _limit(FORMS, "network")
    who = door.source.key if network(request.remote_addr or "") else ""
    throttle(ONE_FORM, "form", who, "too many posts to this form")


def _limit(rate: Rate, name: str) -> None:
    throttle(rate, name, network(request.remote_addr or ""), "too many posts from this network")


def _confirm(door: Door, receipt: UUID) -> Response:
    if door.reader.from_pages and _wants_json():
        return _json(receipt)
    return Response(f"ok {receipt}\n", mimetype="text/plain")


def _acknowledge(door: Door, receipt: UUID, body: bytes) -> Response:
    if _wants_json():
        return _json(receipt)
    asked = peek(body, "retURL")
    back = safe_return(asked, door.source.return_hosts)
    if asked and back is None:
        log.info("return address refused", extra={"receipt": str(receipt), "source": door.source.key})
    return _see_other(back or _thanks())


def _wants_json() -> bool:
    return "application/json" in request.environ.get("HTTP_ACCEPT", "")


def _json(receipt: UUID) -> Response:
    return Response(orjson.dumps({"receipt": receipt}), mimetype="application/json")


def _see_other(address: str) -> Response:
    return Response(status=303, headers={"Location": address}, mimetype="text/plain")


def _thanks() -> str:
    return f"{request.root_path}/thanks?lang={language()}"


def _allowed_origin(door: Door) -> str:
    origin = request.environ.get("HTTP_ORIGIN", "")
    return origin if origin and safe_return(origin, door.source.return_hosts) else ""
