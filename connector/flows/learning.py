"""A mapping proposed from what a source was sent lately. Values are looked at and never shown."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.flows.read import open_delivery, reading
from connector.model.delivery import Delivery
from connector.model.text import fold
from connector.normalize.country import read_country
from connector.normalize.email import read_email
from connector.normalize.phone import read_phone
from connector.services import Services
from connector.settings.values import Settings, Source
from connector.sources.aliases import target_of
from connector.sources.base import Reading, submissions_in
from connector.sources.bodies import Pair
from connector.sources.form import FormSource, form_pairs
from connector.sources.masks import mask
from connector.sources.registry import source_for
from connector.store import deliveries

#: A value's shape speaks for a field when so many of the values have it.
MOSTLY = 0.8
#: A name longer than this is a sentence; one like an address or a phone number is an answer that was sent as a name.
_LONGEST = 120
_NO_NAME = re.compile(r"[@\n\r\t]|^[+(]?\d[\d /().-]{6,}$")
_POSTAL = re.compile(r"\d{5}(-\d{4})?|\d{2}-\d{3}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{4} ?[A-Z]{2}")
_NO_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a proposed mapping: why, how sure, how often the name had a value, and what its values look like."""

    name: str
    target: str
    sure: str
    why: str
    filled: float
    shape: str


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the last deliveries of a source teach; `left_out` counts names that are not shown."""

    source: str
    deliveries: int
    unreadable: int
    left_out: int
    lines: tuple[Line, ...]


def learn(services: Services, source: str, last: int) -> Learnt:
    """Propose a mapping for a source from its last deliveries, also those that were set aside.

    Raises:
        ConfigurationError: there is no such source.
    """
    settings = services.current().settings
    if source not in settings.sources:
        raise ConfigurationError(f"no source is called {source!r}: hearback.yaml has {', '.join(settings.sources)}")
    configured = settings.sources[source]
    with services.store.transaction() as tx:
        stored = deliveries.latest(tx, source, last)
    leads: list[list[Pair]] = []
    unreadable = 0
    for each in stored:
        try:
            leads += _said(settings, configured, open_delivery(services, each))
        except UnreadableDelivery:
            unreadable += 1
    names = _values(leads)
    shown = {name: values for name, values in names.items() if len(name) <= _LONGEST and not _NO_NAME.search(name)}
    lines = propose(shown, len(leads), configured, settings.country)
    return Learnt(source, len(stored), unreadable, len(names) - len(shown), tuple(lines))


def _said(settings: Settings, source: Source, delivery: Delivery) -> list[list[Pair]]:
    """Return names and values as a mapping sees them; what a vendor's own shape settles already is left out."""
    if delivery.rest:
        # The names its sender used are gone with whom it also spoke of.
        return []
    reader = source_for(source.kind)
    if isinstance(reader, FormSource):
        return form_pairs(delivery)
    plain = Reading(campaigns=reading(settings, source, delivery).campaigns)
    return [list(each.extra.items()) for each in submissions_in(reader.parse(delivery, plain))]


def _values(leads: Iterable[Iterable[Pair]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for pairs in leads:
        for name, value in dict(pairs).items():
            values.setdefault(name.strip(), []).append(value.strip())
    return values


def propose(values: Mapping[str, Sequence[str]], leads: int, source: Source, country: str) -> list[Line]:
    """Propose a target for each name, surest first; each field is given to one name only."""
    found = []
    for name, given in values.items():
        said = [value for value in given if value]
        if name and not name.startswith("_") and name != source.honeypot:
            sure, target, why = _target(name, said, source, country)
            found.append(Line(name, target, sure, why, len(said) / max(leads, 1), mask(said)))
    found.sort(key=lambda line: (_SURENESS.index(line.sure), -line.filled))
    return _once(found)


_SURENESS = ("set", "sure", "likely", "unknown")


def _target(name: str, said: Sequence[str], source: Source, country: str) -> tuple[str, str, str]:
    if name in source.mapping:
        return "set", source.mapping[name], "in the mapping already"
    if target := target_of(name):
        return "sure", target, "known by its name, no line needed"
    for target, why, fits in _SHAPES:
        if said and sum(fits(value, country) for value in said) >= MOSTLY * len(said):
            return "likely", target, why
    return "unknown", _custom(name), "nothing known about it"


def _once(lines: Iterable[Line]) -> list[Line]:
    """Let each target be proposed once; who comes later keeps its values under a name of its own."""
    kept, taken = [], set()
    for line in lines:
        target, why = line.target, line.why
        if target in taken and line.sure != "set" and target != "ignore":
            target, why = _custom(line.name), f"{why}; {target} is taken above"
        while target in taken and target.startswith("custom."):
            target += "_2"
        taken.add(target)
        kept.append(Line(line.name, target, line.sure, why, line.filled, line.shape))
    return kept


def _custom(name: str) -> str:
    words = [fold(word) for word in re.split(r"[\W_]+", name)]
    return "custom." + (_NO_SLUG.sub("_", "_".join(filter(None, words))).strip("_")[:40] or "field")


def _is_email(value: str, _country: str) -> bool:
    return "@" in value and bool(read_email(value))


def _is_phone(value: str, country: str) -> bool:
    digits = sum(letter.isdigit() for letter in value)
    written = value.startswith("+") or any(letter in " /-()" for letter in value)
    return digits >= len("1234567") and written and read_phone(value, country) is not None


def _is_postal(value: str, _country: str) -> bool:
    return _POSTAL.fullmatch(value) is not None


def _is_country(value: str, _country: str) -> bool:
    return bool(read_country(value))


# A postal code may be read as a short phone number, so it comes first.
_SHAPES: tuple[tuple[str, str, Callable[[str, str], bool]], ...] = (
    ("email", "its values are e-mail addresses", _is_email),
    ("postal_code", "its values look like postal codes", _is_postal),
    ("phone", "its values look like phone numbers", _is_phone),
    ("country", "its values are countries", _is_country),
)
