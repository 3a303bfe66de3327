"""What an adapter's tests bring to the contract: the adapter, and the levers of the CRM behind it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from connector.adapters.base import Adapter
from connector.model.delivery import Delivery


def fresh_key() -> str:
    """Return a key no test used before, so that tests may share a CRM."""
    return f"test-{uuid4().hex[:20]}"


class Rig(ABC):
    """One CRM under test. Differences between CRMs are attributes here, never an `if name` in a test."""

    #: The adapter under test, with valid credentials.
    adapter: Adapter
    #: Ids of a user who may own records, and of one who may not any more.
    owner: str
    inactive_owner: str
    #: Everything that must never show in an error: tokens, signing secrets.
    secrets: Sequence[str]
    #: Whether its webhooks are signed over body and time; where nothing is, a secret in the path stands for both.
    signed: bool = True
    #: How many events the CRM puts into one delivery of a webhook, at most.
    most_events: int = 3

    @abstractmethod
    def requests(self) -> int:
        """Return how many requests reached the CRM so far."""

    @abstractmethod
    def lose_next_answer(self) -> None:
        """Have the next write applied and its answer lost."""

    @abstractmethod
    def limit_next(self, delay: timedelta) -> None:
        """Have the next request refused for its rate, asking to wait `delay`."""

    @abstractmethod
    def refused(self) -> Adapter:
        """Return an adapter whose credentials this CRM refuses for good."""

    @abstractmethod
    def unreachable(self) -> Adapter:
        """Return an adapter whose CRM nobody listens for."""

    @abstractmethod
    def repeating(self) -> Adapter:
        """Return an adapter whose CRM answers the list of users with the same page for ever."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until `find` sees everything written so far."""

    def webhook(
        self,
        leads: Sequence[str],
        *,
        sent_at: datetime,
        received_at: datetime,
        forged: bool = False,
        known: bool = True,
    ) -> Delivery:
        """Return a delivery that reports a change of each of these leads, by record id, in this order.

        `forged`: signed with a secret of a stranger's. Not `known`: of an event type nobody has heard of.
        Only for adapters that take webhooks.
        """
        raise NotImplementedError
