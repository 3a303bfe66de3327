"""Pages for people: one layout, three languages, no script, no cookie."""

from collections.abc import Iterable

from flask import Response, render_template, request

from webhooks.texts import LANGUAGES, TEXTS, language_of


def language() -> str:
    """Return the language of the current request: `?lang=`, else the browser's, else English."""
    environ = request.environ
    asked = request.args.get("lang", "") if environ.get("QUERY_STRING") else ""
    return asked if asked in LANGUAGES else language_of(environ.get("HTTP_ACCEPT_LANGUAGE", ""))


def page(template: str, code: int = 200, *, lang: str, form_hosts: Iterable[str] = (), **values: object) -> Response:
    """Render a page. `form_hosts` are https hosts its form may lead to besides this one."""
    html = render_template(template, lang=lang, t=TEXTS[lang], **values)
    response = Response(html, code, mimetype="text/html")
    targets = " ".join(["'self'", *(f"https://{host}" for host in form_hosts)])
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def message_page(name: str, code: int = 200, *, lang: str | None = None) -> Response:
    """Render a page that says one thing; a name without texts says what any refusal says."""
    known = lang or language()
    texts = TEXTS[known]
    if f"{name}_title" not in texts:
        name = "error_500" if code >= 500 else "error_400"  # noqa: PLR2004 (server's fault or sender's)
    return page("message.html", code, lang=known, title=texts[f"{name}_title"], text=texts[f"{name}_text"])
