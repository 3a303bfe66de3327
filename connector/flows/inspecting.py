"""One delivery under the glass: its facts, its body without what it says, and what is read of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.flows import read
from connector.model.console import ConsoleUser
from connector.model.delivery import Delivery
from connector.model.lead import Lead
from connector.services import Services
from connector.settings.values import Settings
from connector.sources.base import CONTENT_PREFIX
from connector.sources.masking import HIDDEN, as_it_is, secretive, shape, show_body, show_pairs, show_value
from connector.store import deliveries, inbox, reading, users
from connector.store.deliveries import StoredDelivery
from connector.store.inbox import Wanted
from connector.store.reading import DeliveryRow
from connector.store.users import Deed

#: Facets of a lead that tell nobody who it is.
_OPEN = frozenset(
    ("country", "region", "industry", "employees", "product", "segment", "language", "campaign", "source")
)
_PLAIN_HEADERS = frozenset(("content-type", "origin", "user-agent"))
#: Deliveries released in one transaction.
BATCH = 500

Mask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ReadLead:
    """What is read of one lead in a delivery: the key that tells it from others, and its values."""

    key: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inspection:
    """A delivery as a person may see it. `problem` says why nothing is read of it.

    With `rest` the body is what an erasure left of it.
    """

    row: DeliveryRow
    owners: Mapping[UUID, str | None]
    deeds: tuple[Deed, ...]
    body: str | None
    headers: Mapping[str, str]
    query: Mapping[str, str]
    remote_ip: str
    leads: tuple[ReadLead, ...]
    problem: str
    rest: bool


def inspect(services: Services, receipt: UUID) -> Inspection | None:
    """Return a delivery with every value masked, None when there is no such receipt."""
    return _inspect(services, receipt, shape)


def reveal(services: Services, receipt: UUID, user: ConsoleUser) -> Inspection | None:
    """Return a delivery with what its sender wrote, and remember who asked; secrets stay hidden."""
    with services.store.transaction() as tx:
        if reading.delivery(tx, receipt) is None:
            return None
        users.note(tx, user.id, "revealed", str(receipt))
    return _inspect(services, receipt, as_it_is)


def release(services: Services, receipt: UUID, user: ConsoleUser) -> bool:
    """Send a quarantined or rejected delivery through again; return False when it is neither any more."""
    with services.store.transaction() as tx:
        if not deliveries.replay(tx, receipt):
            return False
        users.note(tx, user.id, "released", str(receipt))
        _wake(services, tx.after_commit)
    return True


def release_all(services: Services, wanted: Wanted, until: datetime, user: ConsoleUser) -> int:
    """Send quarantined deliveries through again that came until the instant they were counted; return how many.

    Each batch is a transaction of its own: done twice or cut off in the middle, none goes through twice.
    """
    count = 0
    while True:
        with services.store.transaction() as tx:
            released = inbox.release(tx, wanted, until, BATCH)
            users.note_many(tx, user.id, "released", [str(each) for each in released])
            _wake(services, tx.after_commit)
        count += len(released)
        if len(released) < BATCH:
            return count


def _wake(services: Services, after_commit: Callable[[Callable[[], None]], None]) -> None:
    after_commit(lambda: services.wake("intake"))
    after_commit(lambda: services.wake("sync"))


def _inspect(services: Services, receipt: UUID, mask: Mask) -> Inspection | None:
    with services.store.transaction() as tx:
        row = reading.delivery(tx, receipt)
        if row is None:
            return None
        stored = deliveries.stored(tx, receipt)
        owners = inbox.owners(tx, row.leads)
        deeds = tuple(users.deeds(tx, str(receipt)))
        settings = services.active(tx).settings
    secrets = _secrets(services, settings)
    leads, problem = _read(services, settings, stored, mask, secrets) if stored else ((), "")
    try:
        delivery = read.open_delivery(services, stored) if stored else None
    except (UnreadableDelivery, ConfigurationError) as err:
        delivery, problem = None, str(err)
    return Inspection(
        row=row,
        owners={lead: _name(settings, owner) for lead, owner in owners.items()},
        deeds=deeds,
        body=show_body(delivery.body, _shape(delivery), mask, secrets) if delivery else None,
        headers=_headers(delivery, mask, secrets) if delivery else {},
        query=show_pairs(delivery.query, mask, secrets) if delivery else {},
        remote_ip=(delivery.remote_ip or "") if delivery else "",
        leads=leads,
        problem=problem,
        rest=delivery is not None and delivery.rest,
    )


def _shape(delivery: Delivery) -> str:
    return "application/json" if delivery.rest else delivery.content_type


def _name(settings: Settings, owner: str | None) -> str | None:
    person = settings.people.get(owner or "")
    return person.name if person else owner


def _secrets(services: Services, settings: Settings) -> set[str]:
    """Return every secret a sender may have put into what it sent."""
    names = {name for source in settings.sources.values() for name in (*source.secrets, source.token or "")}
    names |= {client.secret for client in settings.api_keys}
    found = set()
    for name in filter(None, names):
        try:
            found.add(services.secret(name))
        except ConfigurationError:
            continue
    return found - {""}


def _headers(delivery: Delivery, mask: Mask, secrets: set[str]) -> dict[str, str]:
    shown = {}
    for name, value in delivery.headers.items():
        if secretive(name):
            shown[name] = HIDDEN
        elif name in _PLAIN_HEADERS or name.endswith("timestamp"):
            shown[name] = show_pairs({name: value}, as_it_is, secrets)[name]
        else:
            shown[name] = show_pairs({name: value}, mask, secrets)[name]
    return shown


def _read(
    services: Services, settings: Settings, stored: StoredDelivery, mask: Mask, secrets: set[str]
) -> tuple[tuple[ReadLead, ...], str]:
    if stored.source.startswith(deliveries.CRM_PREFIX):
        return (), ""
    try:
        # Released, so that what made it suspicious does not hide what is in it.
        outcome = read.read(services, settings, stored._replace(verified="released"))
    except ConfigurationError as err:
        return (), str(err)
    if isinstance(outcome, read.Aside):
        return (), outcome.reason
    if isinstance(outcome, read.Unfetched):
        return (), "the vendor keeps the lead: it is still to be fetched"
    leads = (each for each in outcome if isinstance(each, read.Prepared))
    return tuple(ReadLead(_key(each.key, mask, secrets), _values(each.lead, mask, secrets)) for each in leads), ""


def _key(key: str, mask: Mask, secrets: set[str]) -> str:
    """Return a key as it may be shown: a source may be set to make one of what a person wrote."""
    return key if key.startswith(CONTENT_PREFIX) else show_value("", key, mask, secrets)


def _values(lead: Lead, mask: Mask, secrets: set[str]) -> dict[str, str]:
    named = {each.name: getattr(lead, each.name) for each in fields(Lead)}
    values = {name: str(value) for name, value in named.items() if value and isinstance(value, str | int)}
    values |= {f"custom.{name}": value for name, value in lead.custom.items()}
    values |= {f"attribution.{name}": value for name, value in lead.attribution.items()}
    values |= {f"consent.{consent.purpose}": str(consent.given).lower() for consent in lead.consents}
    open_to_all = {name: text for name, text in values.items() if name in _OPEN or name.startswith("consent.")}
    return show_pairs(values, mask, secrets) | show_pairs(open_to_all, as_it_is, secrets)
