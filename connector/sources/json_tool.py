"""Automation tools (Zapier, Make, n8n): any JSON, mostly flat. People replay their runs by hand."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.form import FormSource
from connector.sources.shared_secret import check_shown

_FORM = FormSource()


class JsonSource(Source):
    """Reads an object as a lead, a list as several; the `Idempotency-Key` header tells a repeated run."""

    kind: ClassVar[str] = "json"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json", "application/x-www-form-urlencoded"))
    presents: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("secrets",)

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the bearer token or secret header, which is never stored."""
        check_shown(secrets, delivery.presented, where="bearer token or secret header")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read names and values like those of any form."""
        return _FORM.parse(delivery, reading)
