"""Cards keyed by hand: kept at once, keyed again by a second person where that was asked for, settled by a third.

A card is a delivery from its first keying on, sealed like any other; while somebody has to look at it again it is
`waiting`. What the others type is sealed with it, and nothing of it stands anywhere else (C12, C13).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import orjson

from connector.errors import ConfigurationError
from connector.flows import read
from connector.flows.accept import sealed
from connector.flows.card_page import ADDRESS, SHOWN, masked_email, masked_phone
from connector.flows.mailing import fields_of
from connector.model.delivery import Delivery
from connector.normalize.keyed import differing
from connector.services import Services
from connector.settings.organisation import CARD_BOXES, CARD_FIELDS, CARD_TEXTS
from connector.settings.values import Settings, Source
from connector.sources.cards import KEYED_HERE, SETTLED, Row, card_body
from connector.store import Transaction, deliveries, keying, recipients
from connector.store.deliveries import StoredDelivery
from connector.store.keying import Batch, Card

#: What a second person typed, among a card's documents.
SECOND = "second"
SECOND_REASON = "the card waits to be keyed by a second person: /console/cards"
SETTLE_REASON = "two people read the card differently, and a third has to settle it: /console/cards"
_KEYED = UUID("0d1a2f57-5a0e-5c3b-9c1e-5b7a6c1d8e42")


@dataclass(frozen=True, slots=True)
class Sheet:
    """How cards are keyed here: the fields in their order, and those that two people key."""

    fields: tuple[str, ...]
    twice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyedCard:
    """What a keyer made of one card: `values` by canonical field, `custom.NAME` or `consent.PURPOSE`.

    `record` is the page's own name of the card: the same one is stored once. Only what differs from the recipient's
    data needs a value (C10); "?" stands for what nobody can read. `took_ms` is how long it was on the screen.
    """

    record: str
    token: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    took_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Mailed:
    """What was mailed to a card's recipient, as far as the card shows it; the hints tell what else we have."""

    campaign: str
    fields: Mapping[str, str]
    email_hint: str
    phone_hint: str


def source_in(settings: Settings) -> Source:
    """Return the source keyed cards belong to.

    Raises:
        ConfigurationError: none is configured.
    """
    source = next((each for each in settings.sources.values() if each.kind == "cards"), None)
    if source is None:
        raise ConfigurationError("no source of kind `cards` is configured: add one to hearback.yaml")
    return source


def sheet_of(settings: Settings) -> Sheet:
    """Return what is keyed, and what of it twice."""
    policy = source_in(settings).keying
    fields = CARD_TEXTS + tuple(name for name in policy if name not in CARD_FIELDS)
    return Sheet(fields, tuple(name for name in fields + CARD_BOXES if policy.get(name) == "double"))


def mailed(services: Services, token: str) -> Mailed | None:
    """Return what was mailed with a card, None when no card bears the token."""
    with services.store.transaction() as tx:
        row = recipients.by_tokens(tx, [token]).get(token)
    if row is None:
        return None
    told, campaign = fields_of(services.vault, row), services.current().settings.campaigns.get(row.campaign)
    return Mailed(
        campaign.name if campaign else row.campaign,
        {name: told[name] for name in SHOWN + ADDRESS if told.get(name)},
        masked_email(told.get("email", "")),
        masked_phone(told.get("phone", "")),
    )


def key(services: Services, batch: Batch, keyer: UUID, card: KeyedCard) -> int:
    """Commit a card and return its number in the batch; the same one again changes nothing.

    Raises:
        ConfigurationError: no source of kind `cards`.
        StoreUnavailable: nothing may be acknowledged.
    """
    settings = services.current().settings
    twice = sheet_of(settings).twice
    delivery = _delivery(settings, batch, card)
    new = sealed(services, delivery)
    if twice:
        new = replace(new, state="waiting", reason=SECOND_REASON)
    with services.store.transaction() as tx:
        if not deliveries.put_many(tx, [new]):
            return keying.number_of(tx, delivery.id)
        number = keying.put(tx, batch.id, delivery.id, twice)
        keying.note(tx, delivery.id, "first", keyer, card.took_ms)
        tx.after_commit(lambda: services.wake("intake"))
    return number


def _delivery(settings: Settings, batch: Batch, card: KeyedCard) -> Delivery:
    now = datetime.now(UTC)
    arrived = datetime.combine(batch.received_on, time(), ZoneInfo(settings.timezone))
    row = Row(
        card.record,
        0,
        "" if card.token else batch.key_code,
        arrived.isoformat(),
        dict(card.values),
        card.token,
        now.isoformat(),
    )
    body = card_body(KEYED_HERE, batch.name, row)
    receipt = uuid5(_KEYED, f"{batch.id}\n{card.record}")
    return Delivery(receipt, source_in(settings).key, now, "application/json", body, {}, {})


def token_of(services: Services, card: Card) -> str:
    """Return the token of a card that waits, by which it is found in the stack; "" when it has none."""
    with services.store.transaction() as tx:
        opened = _opened(services, tx, card)
    token: str = orjson.loads(opened[1].body)["token"] if opened else ""
    return token


def readings(services: Services, card: Card) -> dict[str, tuple[str, str]]:
    """Return how two people read the fields of a card they do not agree on."""
    with services.store.transaction() as tx:
        opened = _opened(services, tx, card)
    if opened is None:
        return {}
    first, second = _first(opened[1]), orjson.loads(opened[1].fetched[SECOND])
    return {name: (first.get(name, ""), second.get(name, "")) for name in card.differing}


def key_again(services: Services, receipt: UUID, keyer: UUID, values: Mapping[str, str], took_ms: int | None) -> bool:
    """Compare with the first keying: equal, the card goes on its way; else a third person settles it.

    Return False when the card does not wait for this person (any more).
    """
    settings = services.current().settings
    with services.store.transaction() as tx:
        card = keying.lock(tx, receipt, "second", keyer)
        opened = _opened(services, tx, card) if card else None
        if card is None or opened is None:
            return False
        stored, delivery = opened
        typed = {name: values.get(name, "") for name in card.twice}
        unlike = differing(_first(delivery), typed, card.twice, settings.country)
        _keep(services, tx, stored, delivery, SECOND, typed)
        keying.note(tx, receipt, "second", keyer, took_ms)
        keying.move(tx, receipt, "settle" if unlike else "done", unlike)
        _go_on(services, tx, receipt, SETTLE_REASON if unlike else "")
    return True


def settle(services: Services, receipt: UUID, keyer: UUID, values: Mapping[str, str], took_ms: int | None) -> bool:
    """Let a third person's reading count where two differ; return False as `key_again` does."""
    with services.store.transaction() as tx:
        card = keying.lock(tx, receipt, "settle", keyer)
        opened = _opened(services, tx, card) if card else None
        if card is None or opened is None:
            return False
        _keep(services, tx, *opened, SETTLED, {name: values.get(name, "") for name in card.differing})
        keying.note(tx, receipt, "settle", keyer, took_ms)
        keying.move(tx, receipt, "done", card.differing)
        _go_on(services, tx, receipt, "")
    return True


def _opened(services: Services, tx: Transaction, card: Card) -> tuple[StoredDelivery, Delivery] | None:
    found = deliveries.by_ids(tx, [card.delivery])
    if not found or found[0].sealed is None:
        return None
    return found[0], read.open_delivery(services, found[0])


def _first(delivery: Delivery) -> dict[str, str]:
    values: dict[str, str] = orjson.loads(delivery.body)["values"]
    return values


def _keep(
    services: Services, tx: Transaction, stored: StoredDelivery, delivery: Delivery, name: str, typed: dict[str, str]
) -> None:
    said = replace(delivery, fetched={**delivery.fetched, name: orjson.dumps(typed).decode()})
    deliveries.reseal(tx, stored, services.vault.seal(delivery.id, read.head_of(said), delivery.body))


def _go_on(services: Services, tx: Transaction, receipt: UUID, reason: str) -> None:
    deliveries.go_on(tx, receipt, reason)
    tx.after_commit(lambda: services.wake("intake"))
