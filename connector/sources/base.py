"""The source contract: what the connector asks of every way a lead can come in."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Self

from connector.model.delivery import Delivery, Proof
from connector.model.lead import Ignored, Submission, Withdrawal
from connector.sources.fetching import Api, Document

#: What the keys begin with that count for a short time only; no id a sender gives may.
CONTENT_PREFIX = "content:"
#: What the keys begin with that a later notice of erasure names: they are kept for as long as the lead is.
NOTICE_PREFIX = "notice:"


@dataclass(frozen=True, slots=True)
class Reading:
    """How one configured source is read; the caller copies it from the settings.

    `mapping` sends an incoming name to a canonical field, `custom.NAME`, `attribution.NAME`,
    `consent.PURPOSE`, `lead_key` or `ignore`. `defaults` fill fields the sender left empty.
    `campaigns` names our campaign for each code a sender may use (key code, CRM id).
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    honeypot: str = ""
    campaign: str = ""
    campaigns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one configured source: those that sign, and those a handshake is answered with.

    `applications` holds the secret of each application of a vendor that signs for several.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    verify_token: str = field(default="", repr=False)
    applications: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a vendor's challenge is answered with."""

    body: str
    content_type: str


class Source(ABC):
    """Reads one kind of delivery, from its stored bytes alone: a replay equals the first run."""

    kind: ClassVar[str]
    #: Media types the door accepts for this kind; anything else is a 415.
    content_types: ClassVar[frozenset[str]]
    #: Whether deliveries carry a signature, so that a source without a secret cannot be verified.
    signed: ClassVar[bool] = False
    #: Whether a signed kind also has senders that cannot sign: only a source with a secret then asks for it.
    secret_optional: ClassVar[bool] = False
    #: Whether there are older signatures without a time, which a source may choose to accept.
    has_old_signatures: ClassVar[bool] = False
    #: Whether visitors' browsers post here themselves, and not a program in their place.
    from_pages: ClassVar[bool] = False

    #: Whether a request shows a shared secret when the source has one.
    presents: ClassVar[bool] = False
    #: Settings without which this kind cannot work, besides `token`.
    needs: ClassVar[tuple[str, ...]] = ()
    #: Where the vendor keeps what its deliveries only name.
    api: ClassVar[Api | None] = None

    @property
    def proof(self) -> Proof:
        """Whether deliveries of this kind prove with a secret who sent them."""
        if not self.signed:
            return Proof.OPTIONAL if self.presents else Proof.NONE
        return Proof.OPTIONAL if self.secret_optional else Proof.NEEDED

    def with_old_signatures(self) -> Self:
        """Return a reader that also accepts older signatures; whoever saw such a delivery can repeat it for ever."""
        return self

    def masked(self, body: bytes) -> bytes:
        """Return a body as it may be shown: secrets that senders of this kind write into it are hidden."""
        return body

    @abstractmethod
    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Raise `WebhookRejected`, naming the failing step, unless the delivery is authentic."""

    @abstractmethod
    def parse(self, delivery: Delivery, reading: Reading) -> Sequence[Submission | Withdrawal | Ignored]:
        """Return the leads of a delivery, notices of erasure, and what it holds besides.

        Raises:
            UnreadableDelivery: it cannot be read, and why.
        """

    def challenge(self, query: Mapping[str, str], keys: Keys) -> Handshake | None:  # noqa: ARG002 - the default
        """Answer a vendor that tries the address with a GET (requirement I15); None: this is no challenge.

        Raises:
            WebhookRejected: the challenge is not the vendor's.
        """
        return None

    def missing(self, delivery: Delivery, reading: Reading) -> Sequence[Document]:  # noqa: ARG002 - the default
        """Return the vendor's documents `parse` needs beyond those fetched; `UnreadableDelivery` as there."""
        return ()


def submissions_in(parsed: Sequence[Submission | Withdrawal | Ignored]) -> list[Submission]:
    """Return the leads among what a delivery says."""
    return [each for each in parsed if isinstance(each, Submission)]


def content_key(source: str, fields: Mapping[str, str]) -> str:
    """Hash what a person said, for senders without an id of their own (requirement I10).

    Case, spaces and empty fields make no difference. The caller applies the time window.
    """
    said = ((name, " ".join(fields[name].casefold().split())) for name in sorted(fields))
    content = source + "".join([f"\x1e{name}\x1f{text}" for name, text in said if text])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
