"""What a submission's own words and address say of it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from disposable_email_domains import blocklist

from connector.model.lead import Lead
from connector.model.signals import Signal
from connector.model.text import fold
from connector.normalize.company import is_free_mail

_LINK = re.compile(r"https?://[^\s<>\"']*|\bwww\.[a-z0-9-]+\.|\[url\b", re.IGNORECASE)
_MARKUP = re.compile(
    r"</?(?:a|b|br|div|font|h[1-6]|iframe|img|p|script|span|style)(?:\s[^<>]*)?/?>|\[/?url\b", re.IGNORECASE
)
_NAMES = ("first_name", "last_name", "full_name", "company", "job_title")
_WRITTEN = (*_NAMES, "message", "street", "city")
#: Shorter values are the same by chance: a city and a region, a name and a company.
_TELLING = 6
_OFTEN = 3
_MANY_WORDS = 12
_SHORTEST_PIECE = 3

_ROLE_WORDS = """
    abuse accounting accounts admin anfrage biuro bok buchhaltung contact einkauf faktury hello help hilfe hr info
    kontakt kundenservice mail marketing noreply office orders post postmaster praca purchasing sales sekretariat
    service sklep support team verkauf vertrieb webmaster zamowienia zentrale
"""
_ROLES = frozenset(_ROLE_WORDS.split())


def content_signals(fields: Mapping[str, str], lead: Lead) -> Iterator[Signal]:
    """Yield what speaks against the values of a submission, as sent and as normalised."""
    yield from _links(fields)
    if _MARKUP.search(fields.get("message", "")):
        yield Signal.MARKUP
    if _repeats(fields):
        yield Signal.REPEATED_TEXT
    if lead.email:
        yield from _address(lead)


def _links(fields: Mapping[str, str]) -> Iterator[Signal]:
    links = len(_LINK.findall(fields.get("message", "")))
    if links:
        yield Signal.LINK if links == 1 else Signal.LINKS
    if any(_LINK.search(fields.get(name, "")) for name in _NAMES):
        yield Signal.LINK_IN_NAME


def _repeats(fields: Mapping[str, str]) -> bool:
    """Tell whether several fields hold the same, or the message says one thing over and over."""
    values = Counter(text for name in _WRITTEN if len(text := fold(fields.get(name, ""))) >= _TELLING)
    lines = Counter(text for line in fields.get("message", "").splitlines() if len(text := fold(line)) >= _TELLING)
    words = fold_words(fields.get("message", ""))
    monotonous = len(words) >= _MANY_WORDS and len(set(words)) * _OFTEN <= len(words)
    return monotonous or any(count >= _OFTEN for count in (*values.values(), *lines.values()))


def fold_words(text: str) -> list[str]:
    """Return the words of a text, folded for comparing."""
    return [word for part in text.split() if (word := fold(part))]


def _address(lead: Lead) -> Iterator[Signal]:
    local, _, host = lead.email.rpartition("@")
    if is_disposable(host):
        yield Signal.DISPOSABLE_MAIL
    elif is_free_mail(host):
        yield Signal.FREE_MAIL
    if fold(local) in _ROLES:
        yield Signal.ROLE_ADDRESS
    elif _unlike(fold(local), lead):
        yield Signal.UNLIKE_NAME


def is_disposable(host: str) -> bool:
    """Tell whether addresses of a host live for minutes; the list is the package's own, nothing is looked up (I34)."""
    labels = host.split(".")
    return any(".".join(labels[first:]) in blocklist for first in range(len(labels)))


def _unlike(local: str, lead: Lead) -> bool:
    names = [fold(part) for name in (lead.first_name, lead.last_name) for part in re.split(r"[\s-]+", name)]
    names = [name for name in names if len(name) >= _SHORTEST_PIECE]
    initials = "".join(fold(name)[:1] for name in (lead.first_name, lead.last_name))
    company = fold(lead.company)[:_TELLING]
    if not names or local == initials:
        return False
    return not any(_shares(local, name) for name in (*names, company))


def _shares(local: str, name: str) -> bool:
    """Tell whether an address has a piece of a name; j.mueller and muellerj are both like Müller."""
    pieces = {name, name.replace("u", "ue"), name.replace("o", "oe"), name.replace("a", "ae")}
    return any(piece[:_TELLING] in local for piece in pieces if len(piece) >= _SHORTEST_PIECE) or (
        len(local) >= _SHORTEST_PIECE and local in name
    )
