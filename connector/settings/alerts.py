"""The section `alerts` of hearback.yaml: who is told what needs a person, and when."""

from typing import Any
from urllib.parse import urlsplit

from marshmallow import fields

from connector.settings import texts
from connector.settings.complaints import Complaints
from connector.settings.pages import Page
from connector.settings.secrets import secret_name
from connector.settings.shapes import Listing, Shape, Text, Whole, fault
from connector.settings.values import AlertMail, Alerts, AlertWebhook

SECTION = "alerts"
_DEFAULTS = Alerts()
_MOST_PORTS = 65_535


def hook_address(text: str) -> str:
    """Return the http(s) address alerts are posted to."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise fault(
            f"'{text}' is no web address", "alerts are posted there", "write it like https://chat.example.com/in"
        )
    return text


def mail_port(text: str) -> int:
    """Return the port of a mail server."""
    if not text.isdecimal() or not 0 < int(text) <= _MOST_PORTS:
        raise fault(f"'{text}' is no port", "the mail server is reached at it", "write 587, 465 or 25")
    return int(text)


class _Mail(Shape):
    to = Listing(Text(texts.email), required=True)
    sender = Text(texts.email, required=True, data_key="from")
    host = Text(required=True)
    port = Text(mail_port, load_default=587)
    username = Text(load_default="")
    password = Text(secret_name, load_default=None)


class _Webhook(Shape):
    url = Text(hook_address, required=True)
    secret = Text(secret_name, required=True)


class AlertsShape(Shape):
    """What may stand in the section."""

    mail = fields.Nested(_Mail, load_default=None)
    webhook = fields.Nested(_Webhook, load_default=None)
    repeat = Text(texts.minutes, load_default=_DEFAULTS.repeat)
    quarantine = Whole(1, load_default=_DEFAULTS.quarantine)
    backlog = Text(texts.minutes, load_default=_DEFAULTS.backlog)


def alerts_of(data: dict[str, Any] | None, page: Page, complaints: Complaints) -> Alerts:
    """Return the section as it was read; complain about what does not go together. Parts with mistakes are left out."""
    given = dict(data or {})
    mail, webhook = given.pop("mail", None), given.pop("webhook", None)
    if mail:
        _check_mail(mail, page, complaints)
    whole = mail and {"to", "sender", "host"} <= mail.keys()
    return Alerts(
        mail=AlertMail(**mail) if whole else None,
        webhook=AlertWebhook(**webhook) if webhook and {"url", "secret"} <= webhook.keys() else None,
        **given,
    )


def _check_mail(mail: dict[str, Any], page: Page, complaints: Complaints) -> None:
    where = f"{SECTION}.mail"
    if "to" in mail and not mail["to"]:
        line = page.line((SECTION, "mail", "to"))
        complaints.add(page.file, line, f"{where}.to: is empty", "nobody would be told", "list at least one address")
    if bool(mail.get("username")) != bool(mail.get("password")):
        has, lacks = ("username", "password") if mail.get("username") else ("password", "username")
        line = page.line((SECTION, "mail", has))
        advice = f"add {lacks}, or remove {has} for a server without a login"
        complaints.add(page.file, line, f"{where}.{has}: stands without {lacks}", "a login needs both", advice)
