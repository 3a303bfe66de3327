"""The section `response` of routing.yaml: how soon an owner answers, and what happens if not."""

from datetime import timedelta
from typing import Any

from marshmallow import fields

from connector.settings import texts
from connector.settings.complaints import Complaints
from connector.settings.pages import Page
from connector.settings.shapes import Listing, Shape, Text, Whole, text_of
from connector.settings.values import Response

SECTION = "response"
_MINUTE = timedelta(minutes=1)
_HUNDRED = 100
_DEFAULTS = Response(due=0)
_ACCEPT_DUE = timedelta(hours=1)


class _YesNo(fields.Field[bool]):
    """yes, no, true or false."""

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> bool:
        return value if isinstance(value, bool) else texts.yes_no(text_of(value))


class _Moves(Whole):
    """A count, or `off` for no limit."""

    def _deserialize(self, value: Any, *context: Any, **options: Any) -> int | None:  # type: ignore[override] # off is None
        return None if value == "off" else super()._deserialize(value, *context, **options)


class ResponseShape(Shape):
    """What may stand in the section."""

    due = Text(texts.hold, required=True)
    remind_at = Listing(Whole(1), load_default=_DEFAULTS.remind_at)
    max_moves = _Moves(1, load_default=_DEFAULTS.max_moves)
    accept = _YesNo(load_default=False)
    accept_due = Text(texts.hold, load_default=None)


def response_of(data: dict[str, Any] | None, page: Page, complaints: Complaints) -> Response | None:
    """Return the section as it was read, None without one; complain about what does not go together."""
    if not data or "due" not in data:
        return None
    _check(data, page, complaints)
    accept_due = (data.get("accept_due") or _ACCEPT_DUE) if data.get("accept") else None
    return Response(
        due=data["due"] // _MINUTE,
        remind_at=data.get("remind_at", ()),
        max_moves=data.get("max_moves"),
        accept_due=accept_due // _MINUTE if accept_due else None,
    )


def _check(data: dict[str, Any], page: Page, complaints: Complaints) -> None:
    def add(name: str, *parts: str) -> None:
        what, why, do = parts
        complaints.add(page.file, page.line((SECTION, name)), f"{SECTION}.{name}: {what}", why, do)

    percents = data.get("remind_at", ())
    if list(percents) != sorted(set(percents)) or any(percent >= _HUNDRED for percent in percents):
        what = f"{list(percents)} is no ascending list of percentages below 100"
        add("remind_at", what, "reminders come in this order, before the due time", "write it like [50, 80]")
    accept_due = data.get("accept_due")
    if accept_due and not data.get("accept"):
        add("accept_due", "stands without accept", "nobody has to accept, so nothing reads it", "add accept: yes")
    elif (accept_due or _ACCEPT_DUE) > data["due"] and data.get("accept"):
        name = "accept_due" if accept_due else "accept"
        add(name, "accepting is due after the response", "it would never be waited for", "make accept_due shorter")
