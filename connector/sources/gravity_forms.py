"""Gravity Forms webhooks: an entry with fields by number, or the names the site's owner chose ("Select fields").

Format: the add-on's "Request Body" settings and the Entry object of the plug-in's developer documentation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlsplit

from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.bodies import Pair
from connector.sources.php import strings_of
from connector.sources.placing import JOINER, key_text, place
from connector.sources.shared_secret import check_shown
from connector.sources.wordpress import FORM, JSON, name_submission, pairs_of

# The entry's own facts, which are nobody's answers.
_ENTRY: Mapping[str, str] = {
    "source_url": "attribution.page_url",
    "form_id": "attribution.form_id",
} | dict.fromkeys(
    (
        *("id", "status", "date_created", "date_updated", "ip", "user_agent", "currency", "post_id", "source_id"),
        *("is_starred", "is_read", "is_fulfilled", "created_by", "payment_status", "payment_date", "payment_amount"),
        *("payment_method", "transaction_id", "transaction_type"),
    ),
    "ignore",
)
# Inputs of a name field: prefix, first, middle, last, suffix. An address has a first and a fifth one.
_NAME_INPUTS = frozenset("23468")
_NAME: Mapping[str, str] = {"3": "first_name", "6": "last_name"}


class GravityFormsSource(Source):
    """Reads entries as JSON or as a form."""

    kind: ClassVar[str] = "gravity_forms"
    content_types: ClassVar[frozenset[str]] = frozenset((FORM, JSON))
    presents: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the secret header the site's owner entered, if the source has a secret."""
        check_shown(secrets, delivery.presented, where="secret header")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one entry; inputs of one field are joined, since nothing tells what they ask."""
        pairs = pairs_of(delivery)
        told = dict(pairs)
        answers = _inputs([pair for pair in pairs if pair[0] not in _ENTRY or pair[0] in reading.mapping], reading)
        facts = [pair for pair in pairs if pair[0] in _ENTRY and pair[0] not in reading.mapping]
        placed = place([*facts, *answers], replace(reading, mapping={**_ENTRY, **_names(answers), **reading.mapping}))
        placed.lead_key = placed.lead_key or _key(told)
        name_submission(placed, delivery, told.get("form_id", ""))
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=_created(told.get("date_created", "")))]


def _key(told: Mapping[str, str]) -> str | None:
    """Entries are counted by site, so the host is part of the key."""
    entry, form = told.get("id", "").strip(), told.get("form_id", "").strip()
    if not (entry and form):
        return None
    try:
        host = urlsplit(told.get("source_url", "")).hostname or ""
    except ValueError:
        host = ""
    return key_text(f"{host} {form}:{entry}")


def _created(said: str) -> datetime | None:
    try:
        return datetime.strptime(said, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _number(name: str) -> tuple[str, str]:
    """Split `5.1` into field and input; names that are no numbers are no inputs."""
    field, dot, part = name.partition(".")
    return (field, part) if dot and field.isdecimal() and part.isdecimal() else (name, "")


def _inputs(pairs: list[Pair], reading: Reading) -> list[Pair]:
    """Put ticked boxes of one field under its number, and lists on one line."""
    parts: dict[str, set[str]] = {}
    for name, _ in pairs:
        field, part = _number(name)
        parts.setdefault(field, set()).add(part)
    found = []
    for name, value in pairs:
        field, part = _number(name)
        listed = strings_of(value)
        text = value if listed is None else JOINER.join(listed)
        apart = not part or name in reading.mapping or _is_name(parts[field])
        found.append((name if apart else field, text))
    return found


def _is_name(parts: set[str]) -> bool:
    return {"3", "6"} <= parts <= _NAME_INPUTS


def _names(answers: list[Pair]) -> dict[str, str]:
    """Return the targets of the first name field's inputs."""
    parts: dict[str, set[str]] = {}
    for name, _ in answers:
        field, part = _number(name)
        parts.setdefault(field, set()).add(part)
    first = next((field for field, inputs in parts.items() if _is_name(inputs)), None)
    return {f"{first}.{part}": target for part, target in _NAME.items()} if first else {}
