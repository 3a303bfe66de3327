"""What an account lacks, all at once, in an admin's words. Nothing is written to find out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connector.adapters.hubspot.attainment import NO_PLACE
from connector.adapters.hubspot.client import HubSpotClient, Json
from connector.adapters.hubspot.places import CONTACTS, LEAD_STATUS, LEADS, Places
from connector.adapters.hubspot.stages import LOST, WON, Stages
from connector.errors import ConnectorError, InvalidRecord, PermissionDenied, RecordNotFound
from connector.model.crm import Budget, ObjectType, Upsert

_READS = (
    (CONTACTS, "crm.objects.contacts.read and crm.objects.contacts.write"),
    ("companies", "crm.objects.companies.read"),
    ("deals", "crm.objects.deals.read and crm.objects.deals.write"),
    ("tasks", "crm.objects.contacts.read and crm.objects.contacts.write, which cover tasks"),
    ("calls", "crm.objects.contacts.read, which covers calls"),
)
_LEAD_STATES = ("new", "working", "converted", "closed")
#: Of the day's calls this share is a warning.
_NEARLY = 0.8


@dataclass(frozen=True, slots=True)
class Checks:
    """Looks at one account; `portal` is the one a connection says it is, "" for any."""

    client: HubSpotClient
    places: Places
    stages: Stages
    portal: str

    def problems(self, about: Json) -> list[str]:
        """Return everything that is wrong."""
        looks: tuple[Callable[[], Iterator[str]], ...] = (
            lambda: self._account(about),
            self._scopes,
            self._owners,
            self._statuses,
            self._stages,
            self._users,
            self._limits,
        )
        found: list[str] = []
        for look in looks:
            try:
                found += look()
            except (PermissionDenied, RecordNotFound, InvalidRecord) as err:
                found.append(f"could not be looked at: {err}")
        return found

    def _account(self, about: Json) -> Iterator[str]:
        if self.portal and self.portal != str(about.get("portalId")):
            yield f"the token is of account {about.get('portalId')}, the option portal says {self.portal}: correct one"

    def _scopes(self) -> Iterator[str]:
        for object_, scopes in _READS:
            if not self._is_readable(object_):
                yield f"the app may not read {object_}: an admin of the account gives it the scopes {scopes}"

    def _is_readable(self, object_: str) -> bool:
        try:
            self.client.page(object_, [], "", limit=1)
        except (PermissionDenied, RecordNotFound):
            return False
        return True

    def _owners(self) -> Iterator[str]:
        try:
            active = any(not archived for _, archived in self.client.owners())
        except PermissionDenied:
            yield "the app may not read owners: an admin of the account gives it the scope crm.objects.owners.read"
            return
        if not active:
            yield "the account has no active owner: an admin adds a user who may own records"

    def _statuses(self) -> Iterator[str]:
        if self.places.has_leads():
            lacking = self.stages.missing(LEADS, _LEAD_STATES)
            if lacking:
                yield f"no stage of the lead pipeline means {', '.join(lacking)}: add one in Settings > Objects > Leads"
            return
        mapping = self.places.shipped(ObjectType.LEAD)
        wanted = [
            str(mapping.to_vendor(Upsert(ObjectType.LEAD, "", {"status": status}))[LEAD_STATUS])
            for status in _LEAD_STATES
        ]
        defined = next((p for p in self.client.properties(CONTACTS) if p.get("name") == LEAD_STATUS), {})
        has = {str(option.get("value")) for option in defined.get("options") or ()}
        lacking = [value for value in wanted if value not in has]
        if lacking:
            yield f"the property Lead status lacks {', '.join(lacking)}: add them in Settings > Properties"

    def _stages(self) -> Iterator[str]:
        lacking = self.stages.missing("deals", (WON, LOST))
        if lacking:
            yield f"no stage of a deal pipeline means {' or '.join(lacking)}: mark one as closed, with 100 % or 0 %"

    def _users(self) -> Iterator[str]:
        try:
            self.client.page("users", [], "", limit=1)
        except ConnectorError as err:
            if isinstance(err, (PermissionDenied, RecordNotFound)):
                yield f"{NO_PLACE}; or an admin gives the app crm.objects.users.read and crm.objects.users.write"
                return
            raise

    def _limits(self) -> Iterator[str]:
        budget: Budget | None = self.client.limits.budget()
        if budget is not None and budget.used > budget.limit * _NEARLY:
            share = budget.used * 100 // budget.limit
            yield f"{share} % of the API calls of {budget.window} are used: another program calls much, or buy more"
