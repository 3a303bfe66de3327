"""Everything that is wrong with an organisation, at once, in the words of whoever has to put it right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.adapters.salesforce import attainment
from connector.adapters.salesforce.client import RESERVE, SalesforceClient, soql
from connector.adapters.salesforce.records import KEY, Records
from connector.adapters.salesforce.vocabulary import Vocabulary, describe
from connector.errors import AuthenticationError, ConnectorError, RateLimited, Unavailable
from connector.model.crm import ObjectType

_ASSIGN = (
    "assign the permission set Hearback to the integration user (and make the parts first, where they are missing)"
)
#: Share of the daily calls from which an administrator should know.
_NEARLY = 0.8
#: Fields Salesforce keeps itself.
_ITS_OWN = frozenset({"CreatedDate", "LastStageChangeDate", "StageName", "ContactId", "CallObject"})
_WRITTEN = (ObjectType.LEAD, ObjectType.DEAL, ObjectType.TASK)
_STATUSES: Mapping[str, tuple[str, Sequence[str], str]] = {
    "lead": ("Lead Status", ("new", "working", "closed"), "or name it in the option lead_status_{}"),
    "task": ("Task Status", ("open", "done"), ""),
    "stage": ("Opportunity Stage", ("open", "won", "lost"), ""),
}

Fields = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Checks:
    """Looks an organisation over; nothing changes there."""

    client: SalesforceClient
    records: Records

    def problems(self, words: Vocabulary) -> list[str]:
        """Return what is wrong; a look that fails is a problem of its own and spares the others."""
        found: list[str] = []
        looks: Sequence[Callable[[], Iterator[str]]] = (
            lambda: _statuses(words),
            self._user,
            self._objects,
            self._rules,
            self._calls,
        )
        for look in looks:
            try:
                found += look()
            except (AuthenticationError, RateLimited, Unavailable):
                raise
            except ConnectorError as err:
                found.append(str(err))
        return found

    def _user(self) -> Iterator[str]:
        user = self.client.user()
        found = self.client.query(soql("SELECT Id, IsActive FROM User WHERE Id = {}", user))
        if not found or found[0].get("IsActive") is not True:
            yield f"the user {user} the app runs as is not active, or cannot see itself: activate it"
        if not self.client.query("SELECT Id FROM User WHERE IsActive = true AND UserType = 'Standard' LIMIT 1"):
            yield "the integration user sees no active user who may own leads: check sharing of users, or add one"

    def _objects(self) -> Iterator[str]:
        for type_ in ObjectType:
            mapping = self.records.mappings.get(type_)
            if mapping is None or type_ is ObjectType.CALL:
                continue
            yield from self._object(mapping.name, mapping.vendor_names, written=type_ in _WRITTEN)
        yield from self._object(attainment.OBJECT, [KEY, "User__c", *attainment.FIELDS.values()], written=True)

    def _object(self, name: str, wanted: Sequence[str], *, written: bool) -> Iterator[str]:
        try:
            fields = describe(self.client, name)
        except (AuthenticationError, RateLimited, Unavailable):
            raise
        except ConnectorError:
            yield f"{name}: the integration user does not see it: {_ASSIGN}, or the edition lacks it"
            return
        hidden = sorted(field for field in wanted if field not in fields and field != "CurrencyIsoCode")
        if hidden:
            yield f"{name}: {', '.join(hidden)} missing, or hidden by field-level security: {_ASSIGN}"
        if written:
            yield from _unwritable(name, fields, wanted)
        if name == "Opportunity" and "CurrencyIsoCode" not in fields and not self.records.currency:
            yield "the organisation has one currency and its API does not say which: set the option currency, like EUR"

    def _rules(self) -> Iterator[str]:
        rules = self.client.query("SELECT Id, Name FROM AssignmentRule WHERE SobjectType = 'Lead' AND Active = true")
        for rule in rules:
            yield (
                f"the lead assignment rule {rule.get('Name')} is active: it does not touch what Hearback writes, but "
                "gives other leads to owners Hearback does not know of; deactivate it, or keep both apart"
            )

    def _calls(self) -> Iterator[str]:
        budget = self.client.budget
        if budget and budget.used >= budget.limit * _NEARLY:
            stop = int(budget.limit * (1 - RESERVE))
            yield (
                f"{budget.used} of {budget.limit} API calls of {budget.window} are used: at {stop} Hearback stops "
                "writing until there is room; find what else calls the API, or buy more"
            )


def _unwritable(name: str, fields: Fields, wanted: Sequence[str]) -> Iterator[str]:
    closed = sorted(
        field
        for field in wanted
        if field in fields and field not in _ITS_OWN and fields[field].get("updateable") is not True
    )
    if closed:
        yield f"{name}: {', '.join(closed)} can be seen and not written: {_ASSIGN}"
    key = fields.get(KEY, {})
    if KEY in wanted and name != "Task" and key and not (key.get("externalId") and key.get("unique")):
        yield f"{name}.{KEY} is no unique external id: remove the field and make the parts again"
    for field in wanted:
        told = fields.get(field, {})
        if field == "LeadSource" and told.get("restrictedPicklist") is True:
            yield "Lead.LeadSource is a restricted picklist: add the names of your sources, or lift the restriction"
        if field == "Hearback_Response__c" and told:
            values = {entry.get("value") for entry in told.get("picklistValues") or () if entry.get("active")}
            lacking = sorted(_ANSWERS - values)
            if lacking:
                yield f"Lead.{field} lacks the values {', '.join(lacking)}: make the parts again"


_ANSWERS = frozenset({"accepted", "rejected_bad_data", "rejected_wrong_territory", "rejected_other"})


def _statuses(words: Vocabulary) -> Iterator[str]:
    for name, error in words.faults.items():
        yield f"{name}: cannot be read: {error}"
    for name, (label, needed, otherwise) in _STATUSES.items():
        if name in words.faults:
            continue
        written = {"lead": words.lead, "task": words.task, "stage": words.stage}[name].written
        for value in needed:
            if value not in written:
                advice = f", {otherwise.format(value)}" if otherwise and value != "new" else ""
                yield f"no {label} stands for {value}: add one in Setup, Object Manager{advice}"
