"""`/r/<token>`: the page a response card points to. A QR code says it in capitals, so `/R/<TOKEN>` is the same."""

import re
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus

from flask import Response, request
from werkzeug.exceptions import BadRequest, TooManyRequests, UnsupportedMediaType

from connector.errors import UnreadableDelivery
from connector.flows import card_page
from connector.flows.card_page import View
from connector.model.text import clean
from connector.model.token import BadToken, read_token
from connector.sources.bodies import urlencoded_pairs
from connector.sources.card_page import PURPOSES, CardPageSource
from webhooks.bodies import FORM_CAP, read_body
from webhooks.deliveries import delivery_of
from webhooks.edge import edge
from webhooks.limits import CARD_PAGES, FORMS, Rate, network
from webhooks.pages import language, page
from webhooks.public.routes import routes
from webhooks.texts import LANGUAGES, TEXTS

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NATIVE = {"en": "English", "de": "Deutsch", "pl": "Polski"}
_LONGEST_TYPED = 40


@routes.get("/r/")
@routes.get("/R/")
def look_up_card() -> Response:
    """Ask for the code of a card, for whom no camera reads it."""
    typed = request.args.get("token", "")
    if not typed:
        return _lookup("card_lookup")
    _limit(CARD_PAGES)
    token = _token(typed)
    return _see_other(f"{request.root_path}/r/{token}?lang={language()}") if token else _unknown(typed)


@routes.get("/r/<token>")
@routes.get("/R/<token>")
def show_card(token: str) -> Response:
    """Show the form of a card. Opening it records nothing: mail scanners do it too."""
    _limit(CARD_PAGES)
    view = _view(token)
    return _form(view, _language(view), view.fields) if view else _unknown(token)


@routes.post("/r/<token>")
@routes.post("/R/<token>")
def answer_card(token: str) -> Response:
    """Store an answer, then thank. The token is the secret, so no other site can send the form."""
    body = read_body(FORM_CAP)
    if request.mimetype not in CardPageSource.content_types:
        raise UnsupportedMediaType("this form is sent as application/x-www-form-urlencoded")
    _limit(FORMS)
    view = _view(token)
    if view is None:
        return _unknown(token)
    said = _said(body)
    lang = said["language"] if said.get("language") in LANGUAGES else _language(view)
    faults = _faults(view, said)
    if faults:
        return _form(view, lang, said, faults)
    card_page.keep(
        edge().services, view, delivery_of(view.source.key, body), language=lang, texts=_consent_texts(view, lang)
    )
    return _see_other(f"{request.root_path}/thanks?lang={lang}")


def _limit(rate: Rate) -> None:
    net = network(request.remote_addr or "")
    wait = edge().limits.wait(rate, net) if net else 0
    if wait:
        raise TooManyRequests("too many requests from this network", retry_after=wait)


def _token(text: str) -> str:
    try:
        return read_token(text)
    except BadToken:
        return ""


def _view(text: str) -> View | None:
    token = _token(text)
    return card_page.find(edge().services, token) if token else None


def _language(view: View) -> str:
    """Return the language asked for, else the recipient's, else the browser's."""
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGES else view.language if view.language in LANGUAGES else language()


def _said(body: bytes) -> dict[str, str]:
    try:
        return {name: clean(value).strip() for name, value in urlencoded_pairs(body)}
    except UnreadableDelivery as err:
        raise BadRequest(str(err)) from err


def _faults(view: View, said: Mapping[str, str]) -> dict[str, str]:
    """Return what a person has to correct: field -> name of the text."""
    if said.get("email") and not _EMAIL.fullmatch(said["email"]):
        return {"email": "card_fault_email"}
    if not view.reachable and not (said.get("email") or said.get("phone")):
        return {"email": "card_fault_reach"}
    return {}


def _consent_texts(view: View, lang: str) -> dict[str, str]:
    return {purpose: TEXTS[lang][f"card_consent_{purpose}"].format(company=view.sender) for purpose in PURPOSES}


def _form(view: View, lang: str, values: Mapping[str, str], faults: Mapping[str, str] | None = None) -> Response:
    code = HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK
    return page(
        "card.html",
        code,
        lang=lang,
        languages=_NATIVE,
        view=view,
        values=values,
        faults=faults or {},
        consents=_consent_texts(view, lang),
        nonce=values.get("_nonce") or secrets.token_urlsafe(12),
        shown_at=values.get("_ts") or int(time.time()),
        honeypot=view.source.honeypot,
    )


def _unknown(typed: str) -> Response:
    return _lookup("card_unknown", typed, HTTPStatus.NOT_FOUND)


def _lookup(name: str, typed: str = "", code: HTTPStatus = HTTPStatus.OK) -> Response:
    text = clean(typed)[:_LONGEST_TYPED]
    return page("card_lookup.html", code, lang=language(), languages=_NATIVE, name=name, typed=text)


def _see_other(address: str) -> Response:
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address}, mimetype="text/plain")
