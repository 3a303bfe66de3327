"""JSON as senders write it: objects and lists that may be missing, scalars, times."""

from datetime import datetime
from typing import Any

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.text import clean
from connector.signatures import unix_time
from connector.sources.bodies import json_document, media_type, scalar_text

Json = dict[str, Any]


def document(delivery: Delivery) -> Json:
    """Return the JSON object a delivery's body is."""
    charset = media_type(delivery.content_type)[1].get("charset", "utf-8")
    return needed_object(json_document(delivery.body, charset), "the body")


def needed_object(value: Any, what: str) -> Json:
    """Return an object that must be there; `what` names it in the reason of `UnreadableDelivery`."""
    if not isinstance(value, dict):
        raise UnreadableDelivery(f"{what} is not a JSON object")
    return value


def object_or_empty(value: Any) -> Json:
    """Return an object, an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def objects_in(value: Any) -> list[Json]:
    """Return the objects of a list; nothing for what is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def scalar_or_empty(value: Any) -> str:
    """Write a JSON scalar as text; anything else as nothing."""
    return "" if isinstance(value, dict | list) else scalar_text(value)


def id_or_empty(value: Any) -> str:
    """Write an id as text (requirement I12); 0 and a boolean are none."""
    text = "" if isinstance(value, bool) else clean(scalar_or_empty(value)).strip()
    return "" if text == "0" else text


def iso_time(value: Any) -> datetime | None:
    """Read an ISO 8601 time with its offset; None when it is none."""
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else None


def unix_ms(value: Any) -> datetime | None:
    """Read a Unix time in milliseconds, as a number or as text; None when it is none."""
    return unix_time(scalar_or_empty(value), per_second=1000)
