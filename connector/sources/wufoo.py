"""Wufoo: fields by number, the shared key in the body.

Format: Wufoo's "WebHooks"; with "Include Field and Form Structures" the questions come along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.aliases import target_of
from connector.sources.base import Reading, Source
from connector.sources.bodies import Pair, media_type, urlencoded_pairs
from connector.sources.documents import Document, object_of, objects, text
from connector.sources.placing import key_text, place
from connector.sources.shared_secret import check_shown
from connector.sources.wordpress import name_submission

_MEDIA = "application/x-www-form-urlencoded"
KEY = "HandshakeKey"
# The date has the account's time zone, which the body does not tell.
_OWN = dict.fromkeys(
    (KEY, "CreatedBy", "DateCreated", "EntryId", "IP", "FieldStructure", "FormStructure", "CompleteSubmission"),
    "ignore",
)


class WufooSource(Source):
    """Reads one entry of one form."""

    kind: ClassVar[str] = "wufoo"
    content_types: ClassVar[frozenset[str]] = frozenset((_MEDIA,))
    presents: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the handshake key in the body, if the source has a secret."""
        if secrets:
            check_shown(secrets, _handshake_key(delivery), where="handshake key")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read the entry; where the structures are sent, names stand for numbers."""
        posted = _pairs(delivery)
        told = dict(posted)
        structure = _structure(told, "FieldStructure")
        pairs, mapping = _named([p for p in posted if p[0] not in _OWN], _titles(structure), reading)
        placed = place(pairs, replace(reading, mapping={**mapping, **reading.mapping}))
        form = key_text(text(_structure(told, "FormStructure"), "Hash", "Url")) or ""
        entry = told.get("EntryId", "").strip()
        if entry:
            placed.lead_key = placed.lead_key or key_text(f"{form}:{entry}")
        if form:
            placed.attribution.setdefault("form_id", form)
        name_submission(placed, delivery, form)
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]


def _handshake_key(delivery: Delivery) -> str:
    try:
        return next((value for name, value in _pairs(delivery) if name == KEY), "")
    except UnreadableDelivery:
        return ""


def _pairs(delivery: Delivery) -> list[Pair]:
    kind, options = media_type(delivery.content_type)
    if kind != _MEDIA:
        raise UnreadableDelivery("the content type is not that of a form")
    return urlencoded_pairs(delivery.body, options.get("charset", "utf-8"))


def _structure(told: Mapping[str, str], name: str) -> Document:
    posted = told.get(name, "").strip()
    return object_of(posted.encode("utf-8", "surrogatepass"), name) if posted else {}


def _titles(structure: Document) -> dict[str, list[str]]:
    """Return what each field may be called, by its number: its own label, then the question it belongs to."""
    found: dict[str, list[str]] = {}
    for field in objects(structure, "Fields"):
        title = text(field, "Title")
        found[text(field, "ID")] = [title]
        for part in objects(field, "SubFields"):
            label = text(part, "Label")
            found[text(part, "ID")] = [f"{label} {title}", label, title]
    return found


def _named(pairs: list[Pair], titles: Mapping[str, list[str]], reading: Reading) -> tuple[list[Pair], dict[str, str]]:
    named: list[Pair] = []
    mapping: dict[str, str] = {}
    for number, value in pairs:
        names = [number, *filter(None, titles.get(number, ()))]
        known = [name for name in names if name in reading.mapping] or [name for name in names[1:] if target_of(name)]
        name = next(iter(known), names[min(1, len(names) - 1)])
        named.append((name, value))
        if known and (target := reading.mapping.get(name) or target_of(name)):
            mapping[name] = target
    return named, mapping
