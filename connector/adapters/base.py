"""The adapter contract: what the connector asks of every CRM."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

from connector.errors import ConnectorError, UnsupportedCapability
from connector.model.crm import (
    AccountInfo,
    CrmEvent,
    ObjectType,
    Owner,
    Record,
    RecordRef,
    Upsert,
    WriteResult,
)
from connector.model.delivery import Delivery


class Capability(StrEnum):
    """What an adapter may lack. Each member names the method it governs."""

    WEBHOOKS = "parse_webhook"
    CHANGE_FEED = "changes_since"
    ERASE = "erase"


class Adapter(ABC):
    """Speaks to one CRM account on behalf of the connector.

    It translates; it does not decide, wait, retry or remember (promise P6). It raises
    `connector.errors` and nothing else. Safe to use from several threads.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    #: Most commands one `upsert` call may carry, by the CRM's own limit.
    batch_size: ClassVar[int] = 1
    #: Object types with a unique external key: sending twice is harmless by itself.
    keyed: ClassVar[frozenset[ObjectType]] = frozenset()
    #: How long `find` may miss a record that was just written, in seconds.
    search_lag: ClassVar[float] = 0.0

    @abstractmethod
    def check(self) -> AccountInfo:
        """Prove that the credentials work; say which account and API version answers."""

    @abstractmethod
    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        """Apply commands of one object type, at most `batch_size`; answers in order, item by item.

        For a keyed type sending a command twice leaves one record. For the others the caller looks with
        `find` first. Raises only when the whole call failed: `OutcomeUnknown` when it left and no answer
        came.
        """

    @abstractmethod
    def fetch(self, ref: RecordRef) -> Record:
        """Return the record in canonical fields; `RecordNotFound` when it is gone."""

    @abstractmethod
    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        """Return the record of each of *our* keys the CRM knows; absent keys are left out.

        A key on several records answers `AmbiguousKey` in its place.
        """

    @abstractmethod
    def owners(self) -> Iterator[Owner]:
        """Yield users who may own records, inactive ones too."""

    def verify_webhook(self, delivery: Delivery) -> None:  # noqa: ARG002 - the default says no
        """Raise `WebhookRejected` unless the delivery is authentic and fresh."""
        raise self._lacks(Capability.WEBHOOKS)

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:  # noqa: ARG002 - the default says no
        """Return the events of a verified delivery, in the order they happened."""
        raise self._lacks(Capability.WEBHOOKS)

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:  # noqa: ARG002 - the default says no
        """Return one page of what changed since `cursor` ("" is the beginning) and the next cursor.

        An unchanged cursor means: caught up.
        """
        raise self._lacks(Capability.CHANGE_FEED)

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:  # noqa: ARG002 - the default says no
        """Remove all that records of one object type, at most `batch_size`, say of a person; answers in order.

        A record that is gone already is UNCHANGED, so that sending twice is harmless. What a CRM cannot remove at
        once it must at least no longer show.
        """
        raise self._lacks(Capability.ERASE)

    def _lacks(self, capability: Capability) -> UnsupportedCapability:
        return UnsupportedCapability(f"{type(self).__name__} has no {capability.value}")
