"""Lists of questions and answers -> a placed lead: what the form builders have in common."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import UnreadableDelivery
from connector.model.lead import Consent
from connector.model.text import clean
from connector.sources.aliases import target_of
from connector.sources.base import Reading
from connector.sources.bodies import MAX_NAME, Pair, json_pairs, scalar_text, within_caps
from connector.sources.objects import scalar_or_empty
from connector.sources.placing import JOINER, Placed, place

_CONSENT = "consent."
_PLACES = ("street", "postal_code", "city", "region", "country")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, with every name an admin may call its question by, most telling first.

    `guess` is where the question's type alone leads. `ticked` says whether a box is ticked: where the answer
    leads to a consent it counts, with `wording`, the text beside the box. A `legal` question asks for a
    consent and for nothing else.
    """

    names: tuple[str, ...]
    text: str
    guess: str | None = None
    ticked: bool | None = None
    wording: str = ""
    legal: bool = False

    def aim(self, mapping: Mapping[str, str]) -> tuple[str, str | None]:
        """Return the name to file the answer under, and where it goes."""
        for name in self.names:
            if name in mapping:
                return name, mapping[name]
        for name in self.names:
            if target := target_of(name):
                return name, target
        return self.names[0] if self.names else "answer", self.guess


def names_of(*given: Any) -> tuple[str, ...]:
    """Return what was given as names of a question: a long one is cut, for it must not cost the lead (I16)."""
    texts = (clean(scalar_or_empty(each)).strip()[:MAX_NAME].strip() for each in given)
    return tuple(dict.fromkeys(filter(None, texts)))


def answers_of(names: tuple[str, ...], value: Any, guess: str | None = None) -> list[Answer]:
    """Return the answer a JSON value is; an object becomes one answer for each of its parts."""
    if not isinstance(value, dict):
        text = value_text(value)
        ticked = value if isinstance(value, bool) else bool(value) if isinstance(value, list) else None
        beside = text if isinstance(value, list) else ""
        return [Answer(names, text, guess, ticked, beside or (names[0] if names else ""))]
    parts = json_pairs(value)
    return [Answer(names_of(*(f"{name}.{part}" for name in names)), text, _place(part)) for part, text in parts]


def _place(part: str) -> str | None:
    """Return where a part of an address goes; other parts may be about anybody."""
    target = target_of(part)
    return target if target in _PLACES else None


def value_text(value: Any) -> str:
    """Write the value of an answer as text; what has no plain form stays JSON."""
    if isinstance(value, list):
        return JOINER.join(filter(None, map(_item_text, value)))
    return _item_text(value)


def _item_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, dict | list):
        return scalar_text(value)
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except RecursionError as err:
        raise UnreadableDelivery("the JSON is nested too deeply") from err


def place_answers(answers: Iterable[Answer], reading: Reading, more: Iterable[Pair] = ()) -> Placed:
    """Put every answer where the mapping, one of its names or its type says; `more` are plain names and values."""
    pairs: list[Pair] = []
    targets: dict[str, str | None] = {}
    consents: list[Consent] = []
    for answer in answers:
        name, target = answer.aim(reading.mapping)
        if answer.ticked is not None and (answer.legal or (target or "").startswith(_CONSENT)):
            consents.append(_consent(answer, name, target or ""))
            continue
        name = _own_name(name, target, answer.names, targets)
        targets[name] = target
        pairs.append((name, answer.text))
    pairs += more
    mapping = {**reading.mapping, **{name: target for name, target in targets.items() if target}}
    placed = Placed() if consents and not pairs else place(pairs, Reading(mapping=mapping, honeypot=reading.honeypot))
    placed.consents += consents
    return placed


def _own_name(name: str, target: str | None, names: Iterable[str], targets: Mapping[str, str | None]) -> str:
    """Return a name no answer with another target has: two questions may be worded alike."""
    for each in (name, *names):
        if targets.get(each, target) == target:
            return each
    return f"{name[: MAX_NAME - 10]} {len(targets)}"


def _consent(answer: Answer, name: str, target: str) -> Consent:
    purpose = target.removeprefix(_CONSENT) if target.startswith(_CONSENT) else name
    [(purpose, wording)] = within_caps([(purpose, answer.wording)])
    return Consent(purpose=purpose, given=bool(answer.ticked), text=wording)
