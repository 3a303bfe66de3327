"""Salesforce behind the adapter contract.

Batches of 200 go out as sObject Collections: about a dozen calls for 1,000 leads with owner and task. The Bulk API
pays from some 2,000 records in one go and answers minutes later; the outbox never hands over more than `batch_size`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from connector.adapters.base import Adapter, Capability
from connector.adapters.mapping import ObjectMapping, shipped_mapping
from connector.adapters.salesforce import members, tokens, webhooks
from connector.adapters.salesforce.checks import Checks
from connector.adapters.salesforce.client import API_VERSION, MOST_RECORDS, SalesforceClient, checked_id, soql
from connector.adapters.salesforce.errors import caused, refusal
from connector.adapters.salesforce.feed import Feed
from connector.adapters.salesforce.parts import Parts
from connector.adapters.salesforce.reading import Reader
from connector.adapters.salesforce.records import Records
from connector.adapters.salesforce.sending import keyed_rows
from connector.adapters.salesforce.tokens import Grant
from connector.adapters.salesforce.vocabulary import Lexicon
from connector.adapters.salesforce.writing import Writer
from connector.errors import (
    AmbiguousKey,
    ConfigurationError,
    ConnectorError,
    UnexpectedAnswer,
    UnsupportedCapability,
)
from connector.model.crm import (
    AccountInfo,
    Budget,
    CrmEvent,
    ObjectType,
    Outcome,
    Owner,
    Part,
    Record,
    RecordRef,
    Upsert,
    WriteResult,
)
from connector.model.delivery import Delivery

_USER_PAGE = 2000
_MOST_PAGES = 500
#: What Salesforce says of a record that is not there to delete: in the recycle bin, or purged.
_GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"})


class SalesforceAdapter(Adapter):
    """Speaks to one organisation. `webhook_secrets` are all valid at once, as during a rotation."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    batch_size: ClassVar[int] = MOST_RECORDS
    keyed: ClassVar[frozenset[ObjectType]] = frozenset({ObjectType.LEAD, ObjectType.DEAL, ObjectType.USER})
    #: SOQL reads the database itself, not an index that lags.
    search_lag: ClassVar[float] = 0.0
    webhook_answer: ClassVar[tuple[str, str] | None] = ("text/xml", webhooks.ACK)

    def __init__(
        self,
        key: str,
        *,
        origin: str,
        grant: Grant,
        options: Mapping[str, str] | None = None,
        webhook_secrets: Sequence[str] = (),
        loopback: str = "",
    ) -> None:
        options = options or {}
        self._key = key
        self._client = SalesforceClient(key, origin=origin, grant=grant, loopback=loopback)
        self._lexicon = Lexicon(
            self._client, _listed(options, "lead_status_working"), _listed(options, "lead_status_closed")
        )
        mappings = shipped_mapping("connector.adapters.salesforce")
        self._records = Records(mappings, self._lexicon, options.get("currency", ""))
        self._webhook_secrets = tuple(webhook_secrets)
        self._organization = options.get("organization_id", "")

    def __repr__(self) -> str:
        return f"SalesforceAdapter({self._key!r})"

    def check(self) -> AccountInfo:
        """Prove that the credentials work; say which organisation answers and all that is wrong with it."""
        words = self._lexicon.words()
        problems = Checks(self._client, self._records).problems(words)
        if self._organization and not str(words.org.get("Id")).startswith(self._organization[:15]):
            problems.append(f"the option organization_id is not this organisation's, which is {words.org.get('Id')}")
        return AccountInfo(f"{words.org.get('Name')} ({words.org.get('Id')})", API_VERSION, tuple(problems))

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        """Apply commands of one object type: by id, by our key, or new, at most one call for each."""
        if not commands:
            return []
        self._mapping(self.type_of(commands))
        answers = Writer(self._client, self._records).write(commands)
        return members.join(self._client, commands, answers)

    def revoke(self) -> str:
        """Give the refresh token back; other tokens live for hours only, and the app mints new ones."""
        return (
            "" if self._client.revoke() else "block or delete this connection's app: Setup, External Client App Manager"
        )

    def fetch(self, ref: RecordRef) -> Record:
        """Return the record in canonical fields, from where it is now."""
        (answer,) = self.fetch_many([ref])
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    def fetch_many(self, refs: Sequence[RecordRef]) -> Sequence[Record | ConnectorError]:
        """Return records in order, by one query for 200 of them."""
        for ref in refs:
            self._mapping(ref.object_type)
        return Reader(self._client, self._records).many(refs)

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        """Look keys up in the database itself."""
        mapping = self._mapping(object_type)
        if mapping.key_field is None:
            raise UnsupportedCapability(f"{mapping.name} carry no key of ours")
        if not keys:
            return {}
        found = keyed_rows(self._client, mapping.name, keys)
        return {key: _only(object_type, key, ids) for key, ids in found.items()}

    def owners(self) -> Iterator[Owner]:
        """Yield the people of the organisation, not its integration users or customers."""
        after = ""
        for _ in range(_MOST_PAGES):
            page = self._client.query(
                soql(
                    "SELECT Id, Name, Email, IsActive FROM User WHERE UserType = 'Standard' AND Id > {} "
                    "ORDER BY Id LIMIT {}",
                    after,
                    _USER_PAGE,
                )
            )
            for row in page:
                if str(row.get("Id")) <= after:
                    raise caused(UnexpectedAnswer("query of User: the pages repeat"), None, "repeated page")
                after = str(row.get("Id"))
                yield Owner(
                    after, str(row.get("Name") or ""), str(row.get("Email") or ""), active=row.get("IsActive") is True
                )
            if len(page) < _USER_PAGE:
                return
        raise caused(UnexpectedAnswer("query of User: the pages do not end"), None, "endless pages")

    def unknown_campaigns(self, ids: Sequence[str]) -> Sequence[str]:
        """Return which of these ids no campaign has."""
        return members.unknown(self._client, ids)

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        """Return a page of changes: each record once, in its newest state, deletes, merges and conversions included."""
        return Feed(self._client, self._records).since(cursor)

    def verify_webhook(self, delivery: Delivery) -> None:
        """Check the secret of the path and the organisation of the body."""
        webhooks.verify(delivery, self._webhook_secrets, self._organization)

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        """Return which records a delivery names; what it says of them is not believed (W16)."""
        return webhooks.parse(delivery, self._records.mappings)

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:
        """Delete records; Salesforce keeps them in its recycle bin for 15 days."""
        if not refs:
            return []
        if len(refs) > self.batch_size or len({ref.object_type for ref in refs}) != 1:
            raise UnsupportedCapability(f"erase {self.batch_size} records of one type in one call at most")
        ids = [checked_id(ref.id) for ref in refs]
        params = {"ids": ",".join(dict.fromkeys(ids)), "allOrNone": "false"}
        results = self._client.collection("DELETE", "composite/sobjects", params=params)
        told = dict(zip(dict.fromkeys(ids), results, strict=True))
        return [_erased(ref, told[ref.id]) for ref in refs]

    def parts(self) -> Sequence[Part]:
        """Return fields, object, permission sets and their assignment, and what a person has to do."""
        return Parts(self._client).all()

    def install(self, part: Part) -> None:
        """Make one part by the Metadata API, from the files this software ships."""
        Parts(self._client).install(part)

    def uninstall(self, part: Part) -> None:
        """Remove one part; Salesforce keeps a deleted field for 15 days."""
        Parts(self._client).uninstall(part)

    def budget(self) -> Budget | None:
        """Return the API calls of the last 24 hours against the organisation's allowance."""
        return self._client.budget

    def _mapping(self, object_type: ObjectType) -> ObjectMapping:
        mapping = self._records.mappings.get(object_type)
        if mapping is None:
            raise UnsupportedCapability(f"Salesforce has no {object_type}")
        return mapping


_OPTIONS = frozenset(
    {"base_url", "client_id", "username", "currency", "organization_id", "lead_status_working", "lead_status_closed"}
)
_SECRETS = frozenset({"private_key", "client_secret", "refresh_token", "webhook", "webhook_previous"})


def from_settings(key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> SalesforceAdapter:
    """Build the adapter of a configured connection.

    Raises:
        ConfigurationError: an option or a secret is missing or unknown.
    """
    unknown = (options.keys() - _OPTIONS) | (secrets.keys() - _SECRETS)
    if unknown:
        raise ConfigurationError(f"connection {key}: {', '.join(sorted(unknown))} is not for Salesforce")
    if "base_url" not in options:
        raise ConfigurationError(f"connection {key}: Salesforce needs the option base_url, My Domain's address")
    if secrets.get("webhook") and not options.get("organization_id"):
        raise ConfigurationError(f"connection {key}: with the secret webhook the option organization_id is needed")
    rotating = (secrets.get("webhook"), secrets.get("webhook_previous"))
    return SalesforceAdapter(
        key,
        origin=options["base_url"],
        grant=tokens.grant_of(key, options, secrets),
        options=options,
        webhook_secrets=[secret for secret in rotating if secret],
    )


def _listed(options: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in options.get(name, "").split(",") if word.strip()]


def _only(object_type: ObjectType, key: str, ids: Sequence[str]) -> RecordRef | ConnectorError:
    if len(ids) == 1:
        return RecordRef(object_type, ids[0])
    message = f"{object_type} {key}: {len(ids)} records carry this key: {', '.join(ids)}"
    return caused(AmbiguousKey(message), None, "several")


def _erased(ref: RecordRef, result: Mapping[str, Any]) -> WriteResult | ConnectorError:
    if result.get("success") is True:
        return WriteResult(ref, Outcome.UPDATED)
    errors = result.get("errors")
    told = refusal(errors[0]) if isinstance(errors, list) and errors and isinstance(errors[0], dict) else refusal({})
    if told.code in _GONE:
        return WriteResult(ref, Outcome.UNCHANGED)
    return told.error(call=f"delete of {ref.object_type}")
