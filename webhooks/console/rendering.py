"""Pages of the console: one layout, the reader's language and zone, a policy that allows our own files only."""

from datetime import UTC, datetime, tzinfo
from http import HTTPStatus
from zoneinfo import ZoneInfo

from flask import Response, render_template, url_for
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from webhooks.console.guard import roles_of
from webhooks.console.sessions import signed_in
from webhooks.console.texts import TEXTS
from webhooks.edge import edge
from webhooks.pages import language

#: What the bar at the top leads to, in its order: endpoint and text; a reader sees what their role may open.
BAR = (
    ("console.overview.overview", "overview_title"),
    ("console.intake.listing", "intake_title"),
    ("console.cards.batches", "cards_title"),
)

_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_THOUSANDS = {"en": ",", "de": ".", "pl": "\u00a0"}
_FORMATS = {"en": "%d %b %Y, %H:%M", "de": "%d.%m.%Y, %H:%M", "pl": "%d.%m.%Y, %H:%M"}


#: The icon and the colour of an outcome; red is for what needs a person now.
_LOOKS = {
    "stored": ("clock", "wait"),
    "waiting": ("clock", "wait"),
    "quarantined": ("flag", "alarm"),
    "leads": ("check", "good"),
    "updated": ("check", "good"),
    "applied": ("check", "good"),
    "duplicate": ("copy", "plain"),
    "rejected": ("cross", "plain"),
    "erased": ("cross", "plain"),
    "held": ("clock", "wait"),
    "assigned": ("check", "good"),
    "closed": ("cross", "plain"),
}


def reader_language() -> str:
    """Return the language of whoever reads: the account's, before the login the browser's."""
    user = signed_in()
    return user.language if user and user.language in TEXTS else language()


def reader_zone() -> tzinfo:
    """Return the zone of whoever reads: the account's, else the organisation's."""
    user = signed_in()
    return ZoneInfo((user and user.timezone) or edge().services.current().settings.timezone)


def moment(instant: datetime) -> Markup:
    """Write an instant in the reader's zone; the exact one shows on hover."""
    here, exact = instant.astimezone(reader_zone()), instant.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S.%f}", here.strftime(_FORMATS[reader_language()])
    )


def grouped(number: int) -> str:
    """Write a whole number as the reader's language groups its digits."""
    return f"{number:,}".replace(",", _THOUSANDS[reader_language()])


def say(name: str, **values: int) -> str:
    """Return a text in the reader's language."""
    return TEXTS[reader_language()][name].format(**{key: grouped(value) for key, value in values.items()})


def page(template: str, code: int = HTTPStatus.OK, **values: object) -> Response:
    """Render a page of the console."""
    lang, user = reader_language(), signed_in()
    html = render_template(
        f"console/{template}",
        lang=lang,
        t=TEXTS[lang],
        user=user,
        bar=[(url_for(endpoint), text, endpoint) for endpoint, text in BAR if user and user.role in _allowed(endpoint)],
        moment=moment,
        looks=_LOOKS,
        grouped=grouped,
        **values,
    )
    return secured(Response(html, code, mimetype="text/html"))


def secured(response: Response) -> Response:
    """Put the console's headers on an answer."""
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def refusal(error: HTTPException) -> Response:
    """Say what was refused and what to do now."""
    texts, code = TEXTS[reader_language()], error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    name = f"error_{code}" if f"error_{code}_title" in texts else "error_400"
    response = page("message.html", code, title=texts[f"{name}_title"], text=texts[f"{name}_text"])
    for header, value in error.get_headers():
        if header.lower() not in ("content-type", "content-length"):
            response.headers[header] = value
    return response


def _allowed(endpoint: str) -> frozenset[object]:
    return frozenset(roles_of(endpoint) or ())
