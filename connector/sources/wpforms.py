"""WPForms webhooks: whatever names the site's owner gave the fields, as JSON or as a form."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.placing import place
from connector.sources.shared_secret import check_shown
from connector.sources.wordpress import FORM, JSON, name_submission, pairs_of


class WpFormsSource(Source):
    """Reads one submission with names of the owner's choice."""

    kind: ClassVar[str] = "wpforms"
    content_types: ClassVar[frozenset[str]] = frozenset((FORM, JSON))
    presents: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the secret header, if the source has a secret."""
        check_shown(secrets, delivery.presented, where="secret header")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read names and values; the key is what was said, unless a field is mapped to `lead_key`."""
        placed = place(pairs_of(delivery), reading)
        name_submission(placed, delivery, "")
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]
