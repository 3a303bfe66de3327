"""Contact Form 7 through the CF7-to-Webhook plug-in: mail tags as JSON. No id, no signature, no retry."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.placing import place
from connector.sources.shared_secret import check_shown
from connector.sources.wordpress import JSON, name_submission, pairs_of

_ACCEPTANCE = re.compile(r"acceptance(-\d+)?")


class ContactForm7Source(Source):
    """Reads `{mail-tag: value or [values]}`."""

    kind: ClassVar[str] = "contact_form_7"
    content_types: ClassVar[frozenset[str]] = frozenset((JSON,))
    presents: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002 - no time is signed
        """Compare the secret header the site's owner entered, if the source has a secret."""
        check_shown(secrets, delivery.presented, where="secret header")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one submission; an acceptance box is a consent unless it is mapped elsewhere."""
        pairs = pairs_of(delivery)
        boxes = {name: "consent.acceptance" for name, _ in pairs if _ACCEPTANCE.fullmatch(name)}
        placed = place(pairs, replace(reading, mapping={**boxes, **reading.mapping}))
        name_submission(placed, delivery, "")
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]
