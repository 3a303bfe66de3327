"""The page a response card points to: what its form posts, beside what the page itself knew (C10, C16)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.model.lead import Consent, Submission
from connector.model.token import BadToken, read_token
from connector.sources.base import Reading, Source
from connector.sources.bodies import urlencoded_pairs
from connector.sources.placing import place

TOKEN, LANGUAGE = "token", "language"
#: In the query: the text beside a purpose's box, and what was mailed of the address.
TEXT, MAILED = "consent.", "mailed."
#: The boxes of the page.
PURPOSES = ("email", "phone")
_BOXES = {f"consent_{purpose}": f"consent.{purpose}" for purpose in PURPOSES}


def page_query(token: str, language: str, texts: Mapping[str, str], address: Mapping[str, str]) -> dict[str, str]:
    """Write what the page knew as the query of its delivery; the body stays the raw bytes of the form (I4)."""
    beside = {f"{TEXT}{purpose}": text for purpose, text in texts.items()}
    return {TOKEN: token, LANGUAGE: language, **beside, **{f"{MAILED}{name}": text for name, text in address.items()}}


class CardPageSource(Source):
    """Reads the deliveries of `/r/<token>`."""

    kind: ClassVar[str] = "card_page"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/x-www-form-urlencoded",))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept: the token, which stands on the card alone, is the right to post."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read one answer; a box nobody ticked says nothing, one that was comes with the text beside it."""
        pairs = urlencoded_pairs(delivery.body)
        placed = place(pairs, replace(reading, mapping={**_BOXES, **reading.mapping}))
        for name, text in delivery.query.items():
            if name.startswith(MAILED):
                placed.fields.setdefault(name.removeprefix(MAILED), text)
        placed.consents = [_with_text(each, delivery.query) for each in placed.consents]
        try:
            placed.token = read_token(delivery.query.get(TOKEN, ""))
        except BadToken as err:
            raise UnreadableDelivery("the answer names no card") from err
        placed.suspect(delivery.received_at)
        return [placed.submission(reading)]


def _with_text(consent: Consent, query: Mapping[str, str]) -> Consent:
    return Consent(consent.purpose, consent.given, query.get(f"{TEXT}{consent.purpose}", ""))
