"""The section `privacy` of hearback.yaml: how long the bodies of deliveries are kept."""

from collections.abc import Collection
from typing import Any

from marshmallow import fields

from connector.settings import texts
from connector.settings.complaints import Complaints, suggestion
from connector.settings.pages import Page
from connector.settings.shapes import Keyed, Shape, Text, fault
from connector.settings.values import ALL_KINDS, CRM_NEWS

FILE = "hearback.yaml"
# Requirement I32.
_LEAST, _MOST = 30, 90


def days(text: str) -> int:
    """Return how many days bodies of a kind are kept."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not _LEAST <= number <= _MOST:
        raise fault(
            f"'{text}' is no number of days from {_LEAST} to {_MOST}",
            f"senders repeat and people replay for a month, and what people sent is not kept beyond {_MOST} days",
            f"write a whole number like {_MOST}",
        )
    return number


class PrivacyShape(Shape):
    """What may stand in the section."""

    retention = Keyed(Text(days), texts.key, load_default=dict)


#: The field of the file's shape.
SECTION = fields.Nested(PrivacyShape, load_default=dict)


def retention_of(data: dict[str, Any]) -> dict[str, int]:
    """Return days by kind of source."""
    return dict(data.get("privacy", {}).get("retention", {}))


def check_retention(retention: Collection[str], kinds: Collection[str], page: Page, complaints: Complaints) -> None:
    """Complain about kinds of source that do not exist; an empty choice of `kinds` knows them all."""
    known = {*kinds, ALL_KINDS, CRM_NEWS}
    for kind in retention if kinds else ():
        if kind not in known:
            complaints.add(
                FILE,
                page.line(("privacy", "retention", kind)),
                f"privacy.retention.{kind}: no source is of this kind",
                "its days would mean nothing",
                suggestion(kind, sorted(known)),
            )
