"""One HTTP request (or one row of a batch file) as it was received, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

#: What the query of a card says when its batch is to be handed out at once.
AT_ONCE: Mapping[str, str] = MappingProxyType({"handout": "at_once"})


#: Where a part of a dedupe key expression may look (requirement I8).
KEY_PLACES = ("header", "body", "query")
#: Headers that are never kept (requirement I4), by what their names hold.
SECRETIVE = ("authorization", "cookie", "api-key", "apikey", "password")


class DeliveryState(StrEnum):
    """Where a delivery is before it has its fate."""

    STORED = "stored"
    WAITING = "waiting"
    QUARANTINED = "quarantined"
    DONE = "done"


class Fate(StrEnum):
    """What became of a delivery; exactly one, for ever (promise P2)."""

    LEADS = "leads"
    UPDATED = "updated"
    DUPLICATE = "duplicate"
    APPLIED = "applied"
    REJECTED = "rejected"
    ERASED = "erased"


class Proof(StrEnum):
    """Whether senders of a kind can prove with a secret who they are."""

    NONE = "none"
    OPTIONAL = "optional"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as it came in. `headers` have lower-case names and hold no credentials.

    `url` is the public address it was sent to, with its query as sent; some senders sign it. It holds the
    path token, so show it to nobody.
    `fetched` holds the documents a vendor kept back, by name; an empty one is given up. `presented` is the
    shared secret of the request, for the door alone: it is never stored. With `rest` the body is what is left of
    one that also spoke of somebody who was erased, in a form of our own.
    """

    id: UUID
    source: str
    received_at: datetime
    content_type: str
    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    remote_ip: str | None = None
    url: str = ""
    fetched: Mapping[str, str] = field(default_factory=dict)
    presented: str = field(default="", repr=False)
    rest: bool = False
