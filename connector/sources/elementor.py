"""Elementor Pro forms: "advanced data" on (fields by id) or off (values by label). Nothing is signed, nothing retried.

Format: Elementor's "Webhook" action, both settings of "Advanced Data".
"""

import re
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
from connector.sources.placing import key_text, place
from connector.sources.shared_secret import check_shown
from connector.sources.wordpress import FORM, name_submission

_FIELD = re.compile(r"fields\[([^\]]*)\]\[(id|type|title|value)\]")
_META = re.compile(r"meta\[([^\]]*)\]\[value\]")
# What the plug-in adds to a flat body. A site in another language writes some of these labels in its own.
_FLAT: Mapping[str, str] = {
    "Page URL": "attribution.page_url",
    "form_id": "attribution.form_id",
    "form_name": "attribution.form_name",
    "Date": "ignore",
    "Time": "ignore",
    "User Agent": "ignore",
    "Remote IP": "ignore",
    "Powered by": "ignore",
}
_BY_TYPE: Mapping[str, str] = {"email": "email", "tel": "phone", "acceptance": "consent.acceptance"}


class ElementorSource(Source):
    """Reads what the form widget's webhook action posts."""

    kind: ClassVar[str] = "elementor"
    content_types: ClassVar[frozenset[str]] = frozenset((FORM,))
    presents: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare a secret header if the source has a secret; the widget itself can send none."""
        check_shown(secrets, delivery.presented, where="secret header")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one submission; its key is what was said in this form, for the times have minute precision only."""
        kind, options = media_type(delivery.content_type)
        if kind != FORM:
            raise UnreadableDelivery("the content type is not that of a form")
        pairs = urlencoded_pairs(delivery.body, options.get("charset", "utf-8"), most=_MOST)
        advanced = any(_FIELD.fullmatch(name) for name, _ in pairs)
        named, mapping = _advanced(pairs, reading) if advanced else (pairs, {**_FLAT, **reading.mapping})
        placed = place(named, replace(reading, mapping=mapping))
        name_submission(placed, delivery, placed.attribution.get("form_id", ""))
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]


# Six values describe each field.
_MOST = 1_200


def _advanced(pairs: list[Pair], reading: Reading) -> tuple[list[Pair], dict[str, str]]:
    """Return the values by field id, with the form's own facts, and where each goes."""
    told: dict[str, dict[str, str]] = {}
    named: list[Pair] = []
    mapping = {"page_url": "attribution.page_url", "form_id": "attribution.form_id"}
    mapping |= {"form_name": "attribution.form_name", **reading.mapping}
    for name, value in pairs:
        if found := _FIELD.fullmatch(name):
            told.setdefault(found[1], {})[found[2]] = value
        elif (meta := _META.fullmatch(name)) and meta[1] == "page_url":
            named.append(("page_url", value))
        elif name in ("form[id]", "form[name]"):
            named.append((name.replace("[", "_").removesuffix("]"), value))
        elif name.startswith("_"):
            named.append((name, value))
    for id_, about in told.items():
        name, target = _place_of(id_, about, reading.mapping)
        named.append((name, about.get("value", "")))
        if target:
            mapping[name] = target
    return named, mapping


def _place_of(id_: str, about: Mapping[str, str], mapping: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the name a field goes by and its target: as mapped, by id, by title, by type."""
    names = [name for name in (id_, about.get("title", "").strip()) if name]
    for name in names:
        if name in mapping:
            return name, mapping[name]
    for name in names:
        if target := target_of(name):
            return name, target
    generated = re.fullmatch(r"field_[0-9a-f]+", id_)
    name = key_text(names[-1] if generated and names else id_) or "field"
    return name, _BY_TYPE.get(about.get("type", ""))
