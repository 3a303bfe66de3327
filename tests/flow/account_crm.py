"""A CRM account in memory that the command line reaches through the registry: users, parts, campaigns and a feed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from desk import MemoryCrm

from connector.adapters import metering
from connector.adapters.base import Capability
from connector.errors import ConnectorError, PermissionDenied, RateLimited, RecordNotFound
from connector.model.crm import AccountInfo, Budget, CrmEvent, Owner, Part, PartState, Record, RecordRef

#: Where the registry finds this one: what `from_settings` returns.
PATH = "account_crm:from_settings"
PAGE = 2


class AccountCrm(MemoryCrm):
    """An account with everything that `hearback crm` looks at. Each verb counts one call."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset((Capability.CHANGE_FEED, Capability.INSTALL))

    def __init__(self, key: str = "sandbox") -> None:
        super().__init__()
        self.key = key
        self.users: dict[str, tuple[str, bool]] = {}
        self.there: list[str] = []
        self.forbidden: set[str] = set()
        self.problems: list[str] = []
        self.campaigns: set[str] = set()
        self.feed: list[CrmEvent] = []
        self.trouble: list[ConnectorError | None] = []
        self.limit: Budget | None = None

    def _call(self) -> None:
        metering.count(self.key)
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None:
            raise trouble

    def check(self) -> AccountInfo:
        self._call()
        return AccountInfo("Nordhammer", "66.0", tuple(self.problems))

    def owners(self) -> Iterator[Owner]:
        self._call()
        for id_, (email, active) in self.users.items():
            yield Owner(id_, id_, email, active)

    def unknown_campaigns(self, ids: Sequence[str]) -> Sequence[str]:
        self._call()
        return [id_ for id_ in ids if id_ not in self.campaigns]

    def budget(self) -> Budget | None:
        return self.limit

    def parts(self) -> Sequence[Part]:
        self._call()

        def state(name: str) -> PartState:
            return PartState.PRESENT if name in self.there else PartState.MISSING

        page = Part(
            "page", "our fields on the lead's page", state("page"), remedy="drop them onto the page, as an admin"
        )
        return [*(Part(name, f"a field of leads: {name}", state(name)) for name in ("key", "reason")), page]

    def install(self, part: Part) -> None:
        self._call()
        if part.name in self.forbidden:
            raise PermissionDenied(f"{part.name}: grant 'Customize Application' to the integration user, as an admin")
        self.there.append(part.name)

    def uninstall(self, part: Part) -> None:
        self._call()
        self.there.remove(part.name)

    def fetch(self, ref: RecordRef) -> Record:
        self._call()
        if ref.id not in self.records:
            raise RecordNotFound("gone")
        return super().fetch(ref)

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        self._call()
        start = int(cursor or 0)
        page = self.feed[start : start + PAGE]
        return page, str(start + len(page)) if page else cursor


def slow_down(minutes: int) -> RateLimited:
    return RateLimited("too many requests", retry_after=timedelta(minutes=minutes))


#: The accounts of this process, by connection.
ACCOUNTS: dict[str, AccountCrm] = {}


def from_settings(key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> AccountCrm:
    assert options is not None
    assert all(secrets.values())
    return ACCOUNTS[key]
