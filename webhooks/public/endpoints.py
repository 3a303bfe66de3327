"""`/thanks`, `/s/<token>`, `/sample-form` and the styles they share."""

from datetime import datetime
from http import HTTPStatus

from flask import Response
from werkzeug.exceptions import BadRequest, NotFound

from connector.errors import UnreadableDelivery
from connector.flows import feedback
from connector.flows.feedback import Outcome, View
from connector.model.text import clean
from connector.settings.values import Settings, Source
from connector.sources.bodies import urlencoded_pairs
from webhooks.bodies import FORM_CAP, read_body
from webhooks.edge import edge
from webhooks.pages import language, message_page, page
from webhooks.public.routes import routes
from webhooks.texts import LANGUAGES

_ENDS = {
    Outcome.RECORDED: HTTPStatus.OK,
    Outcome.ALREADY: HTTPStatus.GONE,
    Outcome.EXPIRED: HTTPStatus.GONE,
    Outcome.UNKNOWN: HTTPStatus.NOT_FOUND,
}
_OF_STATE = {"answered": Outcome.ALREADY, "expired": Outcome.EXPIRED}


@routes.get("/thanks")
def thanks() -> Response:
    """Thank somebody who sent a form."""
    return message_page("thanks")


@routes.get("/s/<token>")
def show_survey(token: str) -> Response:
    """Show the survey. Opening a link records nothing: mail scanners do it too (requirement B4)."""
    view = feedback.invitation(edge().services, token)
    if view is None:
        return _end(Outcome.UNKNOWN, language())
    if view.state != "open":
        return _end(_OF_STATE[view.state], view.language)
    return _survey(view)


@routes.post("/s/<token>")
def answer_survey(token: str) -> Response:
    """Record an answer once. The token is the secret, so no other site can send the form."""
    fields = _fields(read_body(FORM_CAP))
    view = feedback.invitation(edge().services, token)
    if view is None:
        return _end(Outcome.UNKNOWN, language())
    if view.state != "open":
        return _end(_OF_STATE[view.state], view.language)
    score, text = _score(fields.get("score", "")), clean(fields.get("text", "")).strip()
    if score is None:
        return _survey(view, text=text, missing=True)
    return _end(feedback.answer(edge().services, token, score, text), view.language)


@routes.get("/sample-form")
def sample_form() -> Response:
    """Show, in a demo, the form an admin would put on a website."""
    services = edge().services
    if services.environ.get("HEARBACK_DEMO") != "1":
        raise NotFound("the sample form is shown in a demo only")
    settings = edge().keeper.doors().settings
    source = next((source for source in settings.sources.values() if source.kind == "form" and source.token), None)
    if source is None or source.token is None:
        raise NotFound("no source of kind form is configured")
    return page(
        "sample_form.html",
        lang=language(),
        form_hosts=source.return_hosts,
        action=f"/in/{services.secret(source.token)}",
        honeypot=source.honeypot,
        consent=_consent_name(source),
        products=_products(settings),
        back=f"{settings.public_url}/thanks",
    )


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(urlencoded_pairs(body))
    except UnreadableDelivery as err:
        raise BadRequest(str(err)) from err


def _score(text: str) -> int | None:
    return int(text) if text in {str(score) for score in range(11)} else None


def _survey(view: View, *, text: str = "", missing: bool = False) -> Response:
    lang = _known(view.language)
    code = HTTPStatus.UNPROCESSABLE_ENTITY if missing else HTTPStatus.OK
    day = _day(view.expires_at, lang)
    return page("survey.html", code, lang=lang, company=view.company, day=day, text=text, missing=missing)


def _end(outcome: Outcome, lang: str) -> Response:
    return message_page(f"survey_{outcome}", _ENDS[outcome], lang=_known(lang))


def _known(lang: str) -> str:
    return lang if lang in LANGUAGES else language()


def _day(instant: datetime, lang: str) -> str:
    return instant.strftime("%d.%m.%Y") if lang in ("de", "pl") else f"{instant:%B} {instant.day}, {instant.year}"


def _consent_name(source: Source) -> str:
    return next((name for name, target in source.mapping.items() if target.startswith("consent.")), "")


def _products(settings: Settings) -> list[str]:
    return sorted({campaign.product for campaign in settings.campaigns.values() if campaign.product})
