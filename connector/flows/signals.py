"""What can be seen of a submission and its sender without asking anybody."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from connector.model.delivery import Delivery
from connector.model.lead import Lead, Submission
from connector.model.signals import Signal
from connector.screening import form_token
from connector.screening.content import content_signals
from connector.screening.origin import origin_signal
from connector.services import Services
from connector.settings.values import Settings, Source
from connector.sources.bodies import media_type
from connector.sources.captcha import PROVIDERS
from connector.sources.registry import source_for

#: What the key of form tokens is derived for.
TOKEN_KEY = "form token"  # noqa: S105 (a purpose, not a secret)
# Kinds that nobody posts to without a key of ours.
_KNOWN_SENDERS = ("api", "cards")


def signals_of(
    services: Services, settings: Settings, source: Source, delivery: Delivery, submission: Submission, lead: Lead
) -> tuple[Signal, ...]:
    """Return what speaks against a submission; programs with a key and mail houses are not looked at."""
    if source.kind in _KNOWN_SENDERS:
        return ()
    found = [*submission.signals, *content_signals(submission.fields, lead)]
    if source_for(source.kind).from_pages:
        found.extend(_page_signals(services, settings, source, delivery, submission))
    return tuple(dict.fromkeys(found))


def captcha_token(source: Source, submission: Submission) -> str:
    """Return the token the source's captcha left, "" when there is none to verify."""
    if source.captcha is None:
        return ""
    return submission.captcha.get(PROVIDERS[source.captcha.provider].field, "")


def page_hosts(settings: Settings, source: Source) -> frozenset[str]:
    """Return the hosts a source's form may be on: those it may return to, and our own."""
    if not source.return_hosts:
        return frozenset()
    return frozenset((*source.return_hosts, urlsplit(settings.public_url).hostname or ""))


def _page_signals(
    services: Services, settings: Settings, source: Source, delivery: Delivery, submission: Submission
) -> Iterator[Signal]:
    if submission.form_token:
        keys = services.vault.keys(TOKEN_KEY)
        judged = form_token.token_signal(keys, source.key, submission.form_token, delivery.received_at)
    else:
        judged = Signal.TOKEN_MISSING if source.form_token else None
    if judged:
        yield judged
    media, _ = media_type(delivery.content_type)
    if foreign := origin_signal(delivery.headers, media, page_hosts(settings, source)):
        yield foreign
    if source.captcha and not captcha_token(source, submission):
        yield Signal.CAPTCHA_MISSING
