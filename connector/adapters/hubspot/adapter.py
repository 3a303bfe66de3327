"""HubSpot behind the adapter contract."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from connector.adapters.base import Adapter, Capability
from connector.adapters.hubspot.attainment import UserRecords
from connector.adapters.hubspot.auth import OAuth, ServiceKey, Tokens
from connector.adapters.hubspot.checks import Checks
from connector.adapters.hubspot.client import BATCH, HubSpotClient, ask_token, give_back
from connector.adapters.hubspot.erasing import Eraser
from connector.adapters.hubspot.feed import Feed, user
from connector.adapters.hubspot.keyed import Keyed
from connector.adapters.hubspot.leads import LeadObjects
from connector.adapters.hubspot.limits import Limits
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.parts import Parts
from connector.adapters.hubspot.places import Places, id_of, ref_to
from connector.adapters.hubspot.reading import Reader
from connector.adapters.hubspot.records import Records
from connector.adapters.hubspot.stages import Stages
from connector.adapters.hubspot.tasks import Tasks, only
from connector.adapters.hubspot.transport import Transport
from connector.adapters.hubspot.versions import HUBSPOT_API_VERSION
from connector.adapters.hubspot.webhooks import Hooks
from connector.errors import ConfigurationError, ConnectorError, RecordNotFound, UnsupportedCapability
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

#: Where HubSpot answers.
ORIGIN = "https://api.hubapi.com"


class HubSpotAdapter(Adapter):
    """Speaks to one HubSpot account."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    batch_size: ClassVar[int] = BATCH
    keyed: ClassVar[frozenset[ObjectType]] = frozenset({ObjectType.LEAD, ObjectType.DEAL})
    #: HubSpot's search sees a write after some seconds, without a promise; nothing is created on its word alone.
    search_lag: ClassVar[float] = 20.0

    def __init__(self, key: str, client: HubSpotClient, hooks: Hooks | None = None) -> None:
        self._key = key
        self._client = client
        self._places = Places(client)
        self._links = Links(client, self._places)
        self._stages = Stages(client)
        records = Records(self._places, self._links, self._stages)
        self._reader = Reader(client, self._places, self._links, records)
        self._keyed = Keyed(client, self._links, self._stages)
        self._leads = LeadObjects(client, self._places, self._links, self._stages, self._keyed)
        self._tasks = Tasks(client, self._links)
        self._users = UserRecords(client)
        self._parts = Parts(client, self._places)
        self._feed = Feed(client, self._places, records, self._links)
        self._eraser = Eraser(client, self._places)
        self._hooks = hooks or Hooks()

    def __repr__(self) -> str:
        return f"HubSpotAdapter({self._key!r})"

    def check(self) -> AccountInfo:
        """Prove that the token works; say what the account lacks."""
        about = self._client.account()
        checks = Checks(self._client, self._places, self._stages, self._hooks.portal)
        return AccountInfo(str(about.get("portalId") or ""), HUBSPOT_API_VERSION, tuple(checks.problems(about)))

    def budget(self) -> Budget | None:
        """Return the calls used, from the headers of the last answer."""
        return self._client.limits.budget()

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        """Apply commands of one object type; a hundred are one call, tasks with their associations."""
        if not commands:
            return []
        object_type = self.type_of(commands)
        by_place = dict(enumerate(commands))
        mapping = self._places.mapping(object_type)
        if object_type is ObjectType.TASK:
            results = self._tasks.write(mapping, by_place)
        elif object_type is ObjectType.LEAD and self._places.has_leads():
            results = self._leads.write(by_place)
        elif object_type is ObjectType.USER:
            results = self._users.write(mapping, by_place)
        else:
            results = self._keyed.write(object_type, mapping, by_place)
        return [results[place] for place in range(len(commands))]

    def fetch(self, ref: RecordRef) -> Record:
        """Return the record in canonical fields; of a merged one, the record that is left."""
        if ref.object_type is ObjectType.USER:
            return self._owner(id_of(ref))
        return self._reader.one(ref)

    def fetch_many(self, refs: Sequence[RecordRef]) -> Sequence[Record | ConnectorError]:
        """Return records as they are; a contact without our key is no lead, whatever the reference says."""
        return self._reader.many(refs)

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        """Look keys up: at once for unique keys, with the search's lag for tasks."""
        if not keys:
            return {}
        if object_type is ObjectType.TASK:
            found = self._tasks.find(keys)
            return {key: only(object_type, key, [RecordRef(object_type, i) for i in ids]) for key, ids in found.items()}
        mapping = self._places.mapping(object_type)
        if mapping.key_field is None:
            raise UnsupportedCapability(f"{mapping.name} carry no key of ours")
        return self._found(object_type, mapping.name, mapping.key_field, list(dict.fromkeys(keys)))

    def owners(self) -> Iterator[Owner]:
        """Yield the account's owners; an archived one is somebody who left."""
        for owner, archived in self._client.owners():
            record = user(owner, archived=archived)
            yield Owner(record.ref.id, str(record.fields["name"]), str(record.fields["email"]), active=not archived)

    def verify_webhook(self, delivery: Delivery) -> None:
        """Check the third signature over the configured address against each secret."""
        self._hooks.verify(delivery)

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        """Return the events of a verified delivery; they name records, `fetch_many` tells what those hold."""
        return self._hooks.parse(delivery)

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        """Return a page of what changed; see feed.py."""
        return self._feed.page(cursor)

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:
        """Delete contacts for good, and archive what is no contact: HubSpot forgets that after 90 days."""
        if not refs:
            return []
        if len(refs) > self.batch_size or len({ref.object_type for ref in refs}) != 1:
            raise UnsupportedCapability(f"erase {self.batch_size} records of one type in one call at most")
        return self._eraser.erase(refs)

    def parts(self) -> Sequence[Part]:
        """Return the groups and properties of ours."""
        return self._parts.told()

    def install(self, part: Part) -> None:
        """Make one group or property, or bring it into shape."""
        self._parts.install(part)

    def uninstall(self, part: Part) -> None:
        """Archive one group or property of ours."""
        self._parts.uninstall(part)

    def _owner(self, id_: str) -> Record:
        for owner, archived in self._client.owners():
            if str(owner.get("id")) == id_:
                return user(owner, archived=archived)
        raise RecordNotFound("owners: HubSpot has no such owner")

    def _found(
        self, object_type: ObjectType, object_: str, key_field: str, keys: Sequence[str]
    ) -> dict[str, RecordRef | ConnectorError]:
        found: dict[str, RecordRef | ConnectorError] = {}
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            for entry in self._client.read_many(object_, some, [key_field], key_field).entries:
                key = str(entry.properties.get(key_field) or "")
                if key in some:
                    found[key] = ref_to(object_type, object_, entry.id)
        return found

    def revoke(self) -> str:
        """Give OAuth's refresh token back; a service key is deleted by hand."""
        return self._client.revoke()


_OPTIONS = frozenset({"base_url", "public_url", "portal"})
_SECRETS = frozenset({"token", "client_id", "client_secret", "client_secret_previous", "refresh_token"})
_OAUTH = ("client_id", "client_secret", "refresh_token")


def from_settings(
    key: str, options: Mapping[str, str], secrets: Mapping[str, str], limits: Limits | None = None
) -> HubSpotAdapter:
    """Build the adapter of a configured connection; `limits` are its own unless a test says otherwise.

    Raises:
        ConfigurationError: an option or a secret is missing or unknown.
    """
    unknown = (options.keys() - _OPTIONS) | (secrets.keys() - _SECRETS)
    if unknown:
        raise ConfigurationError(f"connection {key}: {', '.join(sorted(unknown))} is not for HubSpot")
    origin = options.get("base_url", ORIGIN)
    transport = Transport(origin, tokens=_tokens(key, origin, secrets), connection=key, limits=limits or Limits())
    rotating = (secrets.get("client_secret"), secrets.get("client_secret_previous"))
    hooks = Hooks([secret for secret in rotating if secret], options.get("public_url", ""), options.get("portal", ""))
    return HubSpotAdapter(key, HubSpotClient(transport), hooks)


def _tokens(key: str, origin: str, secrets: Mapping[str, str]) -> Tokens:
    if secrets.get("token"):
        return ServiceKey(secrets["token"])
    lacking = [name for name in _OAUTH if not secrets.get(name)]
    if lacking:
        raise ConfigurationError(
            f"connection {key}: HubSpot needs the secret token (a service key), or for OAuth {', '.join(lacking)} too"
        )
    return OAuth(ask_token(origin, key, secrets), give_back(origin, key, secrets))
