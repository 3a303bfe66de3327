"""The page a response card points to: what it may show to whoever holds the card, and keeping an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from connector.flows.accept import accept
from connector.flows.mailing import fields_of
from connector.model.delivery import Delivery
from connector.normalize.language import read_language
from connector.services import Services
from connector.settings.values import Settings, Source
from connector.sources.card_page import CardPageSource, page_query
from connector.store import recipients

#: What stands on the card itself. More is not shown: who finds a card, or guesses a token, learns nothing new.
SHOWN = ("first_name", "last_name", "full_name", "company")
ADDRESS = ("street", "postal_code", "city")


@dataclass(frozen=True, slots=True)
class View:
    """What the page of a token shows. The hints tell whose address we have, and not which; "" for none.

    `reachable`: we know how to reach the recipient, so nothing needs to be filled in.
    """

    token: str
    sender: str
    campaign: str
    source: Source
    language: str
    fields: Mapping[str, str]
    email_hint: str
    phone_hint: str
    address: Mapping[str, str]

    @property
    def reachable(self) -> bool:
        """Tell whether the recipient can leave everything as it is."""
        return bool(self.email_hint or self.phone_hint or self.address)


def find(services: Services, token: str) -> View | None:
    """Return what the page of a token shows; None when no card bears it, or no source takes its answers."""
    settings = services.current().settings
    source = _source(settings)
    if source is None:
        return None
    with services.store.transaction() as tx:
        row = recipients.by_tokens(tx, [token]).get(token)
    if row is None:
        return None
    mailed = fields_of(services.vault, row)
    campaign = settings.campaigns.get(row.campaign)
    return View(
        token=token,
        sender=settings.name,
        campaign=campaign.name if campaign else "",
        source=source,
        language=read_language(mailed.get("language", "")),
        fields={name: mailed[name] for name in SHOWN if name in mailed},
        email_hint=masked_email(mailed.get("email", "")),
        phone_hint=masked_phone(mailed.get("phone", "")),
        address={name: mailed[name] for name in ADDRESS if name in mailed},
    )


def keep(services: Services, view: View, delivery: Delivery, *, language: str, texts: Mapping[str, str]) -> UUID:
    """Commit an answer to a card as a delivery and return its receipt; `texts` stood beside the boxes, by purpose.

    Raises:
        StoreUnavailable: nothing may be acknowledged.
    """
    query = page_query(view.token, language, texts, view.address)
    return accept(services, replace(delivery, source=view.source.key, query=query))


def masked_email(address: str) -> str:
    """Return what lets somebody recognise their own address: its first letter and its end."""
    name, _, domain = address.strip().rpartition("@")
    return f"{name[0]}…@….{domain.rpartition('.')[2]}" if name and domain else ""


def masked_phone(number: str) -> str:
    """Return the last two digits of a number."""
    digits = [each for each in number if each.isdigit()]
    return f"…{''.join(digits[-2:])}" if digits else ""


def _source(settings: Settings) -> Source | None:
    return next((each for each in settings.sources.values() if each.kind == CardPageSource.kind), None)
