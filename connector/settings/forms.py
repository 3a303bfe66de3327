"""What keeps bots from a source's forms, checked as a whole: honeypot, form token, captcha."""

from collections.abc import Collection, Iterator

from connector.model.lead import FIELDS
from connector.settings.complaints import Complaints, suggestion
from connector.settings.organisation import DOORLESS, FILE, Organisation
from connector.settings.shapes import Fault
from connector.settings.values import Source


def check_forms(organisation: Organisation, captchas: Collection[str], complaints: Complaints) -> None:
    """Complain about what would set people aside, or nobody; an empty choice of `captchas` knows them all."""
    page = organisation.page
    if page is None:
        return
    for key, source in organisation.sources.items():
        for name, (what, why, do) in (*_honeypot(source), *_captcha(source, captchas), *_doorless(source)):
            line = page.line(("sources", key, *name.split(".")))
            complaints.add(FILE, line, f"sources.{key}.{name}: {what}", why, do)


def _honeypot(source: Source) -> Iterator[tuple[str, Fault]]:
    name = source.honeypot
    if name and (name in FIELDS or name in source.mapping):
        why = "people fill it in, and every lead would be set aside"
        yield "honeypot", (f"'{name}' is a field of the form", why, "name a field that is hidden from people")


def _captcha(source: Source, captchas: Collection[str]) -> Iterator[tuple[str, Fault]]:
    captcha = source.captcha
    if captcha is None:
        return
    if captchas and captcha.provider not in captchas:
        what = f"'{captcha.provider}' is unknown"
        yield "captcha.provider", (what, "no code here can ask it", suggestion(captcha.provider, captchas))
    if not captcha.hosts and not source.return_hosts:
        why = "a token solved on anybody's site would count"
        yield "captcha", ("has no hosts", why, "list the hosts of the pages with the form under hosts")


def _doorless(source: Source) -> Iterator[tuple[str, Fault]]:
    for name, given in (("captcha", source.captcha), ("form_token", source.form_token)):
        if given and source.kind in DOORLESS:
            why = "no page posts to it"
            yield name, (f"a source of kind {source.kind} has no form", why, "remove the line")
