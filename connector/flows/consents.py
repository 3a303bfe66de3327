"""What people agreed to, as it was said and seen: an event for each purpose, beside the lead."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from uuid import UUID

from connector.flows.read import Prepared
from connector.model.lead import Consent
from connector.store.consents import ConsentEvent

#: Where a form tells the page it stood on, the most exact first.
_PAGES = ("page_url", "source_url", "page_uri", "url")
_DEFAULTS: Mapping[bool | None, str] = {True: "ticked", False: "unticked", None: "unknown"}


def events_of(said: Iterable[tuple[Prepared, UUID]]) -> list[ConsentEvent]:
    """Return the events of submissions and the leads they went to, in order."""
    return [_event(p, lead, consent) for p, lead in said for consent in p.submission.consents]


def _event(p: Prepared, lead: UUID, consent: Consent) -> ConsentEvent:
    return ConsentEvent(
        lead=lead,
        delivery=p.delivery.id,
        purpose=consent.purpose,
        channel=consent.channel,
        state="given" if consent.given else "refused",
        lawful_basis=consent.basis,
        text=consent.text,
        form_version=consent.form_version,
        default_state=_DEFAULTS[consent.ticked],
        source_url=consent.url or _page(p),
        occurred_at=p.submission.occurred_at or p.delivery.received_at,
        ip=truncated(p.origin.ip),
        user_agent=p.origin.user_agent,
        actor=f"person through {p.delivery.source}",
    )


def _page(p: Prepared) -> str:
    said = p.submission.attribution
    return next((said[name] for name in _PAGES if said.get(name)), p.origin.page)


def truncated(ip: str) -> str:
    """Return the network of an address (/24, IPv6: /48), "" for none: enough to say where from, not who."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    prefix = 24 if isinstance(address, IPv4Address) else 48
    return str(ip_network((address, prefix), strict=False))
