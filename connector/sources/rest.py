"""What is left of a delivery when somebody in it was erased: the others, as they were read, in one form for all kinds.

So no kind needs a way of its own to forget a part of what was sent.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, NamedTuple

from connector.model.lead import Consent, Submission
from connector.model.signals import Signal
from connector.sources.base import Reading
from connector.sources.placing import Placed

_NAMES = tuple(each.name for each in fields(Submission))


class Part(NamedTuple):
    """One lead of a delivery: its place there, the key it is known by, and what was said."""

    position: int
    key: str
    submission: Submission


class Rest(NamedTuple):
    """What is left: leads, and the keys of a vendor's notices of erasure that nobody has heeded yet."""

    parts: tuple[Part, ...]
    notices: tuple[str, ...] = ()


def write(rest: Rest) -> bytes:
    """Return what is left as the body of a delivery."""
    parts = [{"position": each.position, "key": each.key, **_document(each.submission)} for each in rest.parts]
    return json.dumps({"leads": parts, "notices": rest.notices}).encode()


def read(body: bytes, reading: Reading) -> Rest:
    """Return what `write` made; what had no place is placed by the mapping of today, as it would be in a replay."""
    document = json.loads(body)
    parts = tuple(
        Part(each["position"], each["key"], _mapped(_submission(each), reading)) for each in document["leads"]
    )
    return Rest(parts, tuple(document["notices"]))


def _document(submission: Submission) -> dict[str, Any]:
    values = {name: getattr(submission, name) for name in _NAMES}
    return {name: _plain(value) for name, value in values.items() if value not in (None, "")}


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return dict(value)
        case Consent():
            return asdict(value)
        case datetime():
            return value.isoformat()
        case frozenset():
            return sorted(value)
        case tuple():
            return [_plain(each) for each in value]
    return value


def _submission(said: Mapping[str, Any]) -> Submission:
    values = {name: value for name, value in said.items() if name in _NAMES}
    made = {name: read_one(values[name]) for name, read_one in _READERS.items() if name in values}
    return Submission(**{**values, **made})


_READERS: Mapping[str, Any] = {
    "consents": lambda said: tuple(Consent(**each) for each in said),
    "occurred_at": datetime.fromisoformat,
    "keyed_at": datetime.fromisoformat,
    "suspicions": tuple,
    "defaulted": frozenset,
    "signals": lambda said: tuple(map(Signal, said)),
    "also_keys": tuple,
}


def _mapped(submission: Submission, reading: Reading) -> Submission:
    known = {name: target for name in submission.extra if (target := reading.mapping.get(name))}
    if not known:
        return submission
    placed = Placed(
        dict(submission.fields),
        {name: value for name, value in submission.extra.items() if name not in known},
        dict(submission.attribution),
        list(submission.consents),
    )
    for name, target in known.items():
        placed.put(name, target, [submission.extra[name]])
    return replace(
        submission,
        fields=placed.fields,
        extra=placed.extra,
        attribution=placed.attribution,
        consents=tuple(placed.consents),
    )
