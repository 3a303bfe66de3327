"""The adapter contract: what the connector asks of every CRM."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

from connector.errors import AuthenticationError, ConnectorError, RateLimited, Unavailable, UnsupportedCapability
from connector.model.crm import (
    AccountInfo,
    Budget,
    CrmEvent,
    ObjectType,
    Owner,
    Part,
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
    INSTALL = "parts"


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
    #: What a webhook's sender must read once its delivery is stored, as (media type, text); None: any 2xx will do.
    webhook_answer: ClassVar[tuple[str, str] | None] = None

    @abstractmethod
    def check(self) -> AccountInfo:
        """Prove that the credentials work; say which account and API version answers.

        Its problems say all at once, in an admin's words, what is missing and who must do what: permissions,
        licences, limits, assignment rules of the CRM that compete with ours. Missing parts are told by `parts`.
        """

    @abstractmethod
    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        """Apply commands of one object type, at most `batch_size`; answers in order, item by item.

        For a keyed type sending a command twice leaves one record. For the others the caller looks with
        `find` first. Raises only when the whole call failed: `OutcomeUnknown` when it left and no answer
        came.
        """

    @abstractmethod
    def fetch(self, ref: RecordRef) -> Record:
        """Return the record in canonical fields; `RecordNotFound` when it is gone.

        The `ref` of a record that was merged into another is that of the other.
        """

    def fetch_many(self, refs: Sequence[RecordRef]) -> Sequence[Record | ConnectorError]:
        """Return records of one object type, at most `batch_size`; answers in order, item by item.

        One by one here: replace it where the CRM reads many at once. A CRM that asks for a rest, is down or refuses
        the credentials is not asked for the remaining ones, which have the same answer.
        """
        answers: list[Record | ConnectorError] = []
        for ref in refs:
            try:
                answers.append(self.fetch(ref))
            except (RateLimited, Unavailable, AuthenticationError) as err:
                return answers + [err] * (len(refs) - len(answers))
            except ConnectorError as err:
                answers.append(err)
        return answers

    @abstractmethod
    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        """Return the record of each of *our* keys the CRM knows; absent keys are left out.

        A key on several records answers `AmbiguousKey` in its place.
        """

    @abstractmethod
    def owners(self) -> Iterator[Owner]:
        """Yield users who may own records, inactive ones too."""

    def unknown_campaigns(self, ids: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - the default knows of none
        """Return which of these ids no campaign of the CRM has; none where it has no campaigns to ask for."""
        return ()

    def verify_webhook(self, delivery: Delivery) -> None:  # noqa: ARG002 - the default says no
        """Raise `WebhookRejected` unless the delivery is authentic and fresh."""
        raise self._lacks(Capability.WEBHOOKS)

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:  # noqa: ARG002 - the default says no
        """Return the events of a verified delivery, in the order they happened; calls nobody.

        A CRM that sends ids only leaves out `record`: the record is read with `fetch_many` later.
        """
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

    def budget(self) -> Budget | None:
        """Return how much of the CRM's allowance is used, as it said last; None while it said nothing."""
        return None

    def parts(self) -> Sequence[Part]:
        """Return what we need in the CRM (fields, groups, objects, permissions), in order of making, as it is now.

        Nothing changes there.
        """
        raise self._lacks(Capability.INSTALL)

    def install(self, part: Part) -> None:  # noqa: ARG002 - the default says no
        """Make one part, or bring it into shape; done twice it is done once. Governed by INSTALL, as is `uninstall`.

        Raises:
            PermissionDenied: the integration may not: the message says who must grant what.
        """
        raise self._lacks(Capability.INSTALL)

    def uninstall(self, part: Part) -> None:  # noqa: ARG002 - the default says no
        """Remove one part that is ours, with what it holds; one that is gone already is no error."""
        raise self._lacks(Capability.INSTALL)

    def revoke(self) -> str:
        """Give back what the CRM let this connection sign in with; twice is once (A30).

        Returns what somebody does in the CRM where it cannot be given back from here, "" where nothing is left to do.
        """
        return "delete the credentials of this connection there, as an administrator"

    def type_of(self, commands: Sequence[Upsert]) -> ObjectType:
        """Return the one object type of commands for `upsert`; `UnsupportedCapability` for mixed or too many ones."""
        types = {command.object_type for command in commands}
        if len(commands) > self.batch_size:
            raise UnsupportedCapability(f"{len(commands)} commands in one call: send {self.batch_size} at most")
        if len(types) != 1:
            raise UnsupportedCapability("several object types in one call: send one type at a time")
        return types.pop()

    def _lacks(self, capability: Capability) -> UnsupportedCapability:
        return UnsupportedCapability(f"{type(self).__name__} has no {capability.value}")
