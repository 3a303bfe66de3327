"""A card keyed by hand: stored as a delivery like a mail house's, and worked the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from connector.errors import ConfigurationError
from connector.flows.accept import accept_many
from connector.model.delivery import Delivery
from connector.services import Services
from connector.sources.cards import Row, card_body

#: What stands in a mail house's place.
HOUSE = "keyed"
_KEYED = UUID("0d1a2f57-5a0e-5c3b-9c1e-5b7a6c1d8e42")


@dataclass(frozen=True, slots=True)
class KeyedCard:
    """What a keyer made of one card: `values` by canonical field, `custom.NAME` or `consent.PURPOSE`.

    `record` is the page's own number of the card in its `batch`: the same one is stored once. Only what differs from
    the recipient's data needs a value (C10).
    """

    batch: str
    record: str
    key_code: str = ""
    token: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    answered_at: datetime | None = None


def keep_card(services: Services, card: KeyedCard) -> UUID:
    """Commit a keyed card and return its receipt; keeping it again changes nothing.

    Raises:
        ConfigurationError: no source of kind `cards`.
        StoreUnavailable: nothing may be acknowledged.
    """
    source = next((each for each in services.current().settings.sources.values() if each.kind == "cards"), None)
    if source is None:
        raise ConfigurationError("no source of kind `cards` is configured: add one to hearback.yaml")
    now = datetime.now(UTC)
    answered = card.answered_at.isoformat() if card.answered_at else ""
    row = Row(card.record, 0, card.key_code, answered, dict(card.values), card.token, now.isoformat())
    receipt = uuid5(_KEYED, f"{card.batch}\n{card.record}")
    body = card_body(HOUSE, card.batch, row)
    accept_many(services, [Delivery(receipt, source.key, now, "application/json", body, {}, {})])
    return receipt
