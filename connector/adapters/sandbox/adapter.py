"""The sandbox CRM behind the adapter contract."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from connector.adapters.base import Adapter, Capability
from connector.adapters.mapping import ObjectMapping, shipped_mapping
from connector.adapters.sandbox import webhooks
from connector.adapters.sandbox.client import MOST_VALUES, SandboxClient
from connector.adapters.sandbox.errors import item_error
from connector.errors import (
    AmbiguousKey,
    ConfigurationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    UnexpectedAnswer,
    UnsupportedCapability,
)
from connector.model.crm import (
    AccountInfo,
    CrmEvent,
    ObjectType,
    Outcome,
    Owner,
    Record,
    RecordRef,
    Upsert,
    WriteResult,
)
from connector.model.delivery import Delivery

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FEED_PAGE = 500
_OUTCOMES = {
    "created": Outcome.CREATED,
    "updated": Outcome.UPDATED,
    "deleted": Outcome.UPDATED,
    "unchanged": Outcome.UNCHANGED,
    "duplicate": Outcome.LINKED,
}


class SandboxAdapter(Adapter):
    """Speaks to one sandbox CRM. `webhook_secrets` are all valid at once, as during a rotation."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.INSTALL}
    batch_size: ClassVar[int] = 200
    keyed: ClassVar[frozenset[ObjectType]] = frozenset({ObjectType.LEAD, ObjectType.DEAL})
    search_lag: ClassVar[float] = 2.0

    def __init__(self, key: str, *, url: str, token: str, webhook_secrets: Sequence[str] = ()) -> None:
        self._key = key
        self._client = SandboxClient(url, token, key)
        self._webhook_secrets = tuple(webhook_secrets)
        self._mappings = shipped_mapping("connector.adapters.sandbox")

    def __repr__(self) -> str:
        return f"SandboxAdapter({self._key!r})"

    def check(self) -> AccountInfo:
        """Prove that the token works; say which account answers."""
        about = self._client.about()
        problems = [] if about.get("active_users") else ["the CRM has no active user: add one who may own leads"]
        return AccountInfo(str(about.get("account")), str(about.get("api_version")), tuple(problems))

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        """Apply commands of one object type in one batch call."""
        if not commands:
            return []
        object_type = self.type_of(commands)
        mapping = self._mapping(object_type)
        results: dict[int, WriteResult | ConnectorError] = {}
        bodies: dict[int, bytes] = {}
        for place, command in enumerate(commands):
            try:
                bodies[place] = self._body(command, mapping)
            except InvalidRecord as err:
                results[place] = err
        if bodies:
            answers = self._client.write(mapping.name, list(bodies.values()))
            results |= {place: _result(object_type, answer) for place, answer in zip(bodies, answers, strict=True)}
        return [results[place] for place in range(len(commands))]

    def fetch(self, ref: RecordRef) -> Record:
        """Return the record in canonical fields."""
        mapping = self._mapping(ref.object_type)
        found = self._client.fetch(mapping.name, _checked_id(ref.id))
        try:
            return mapping.record(ref, found["fields"], found.get("updated_at"))
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            reason = type(err).__name__
        raise UnexpectedAnswer(f"{mapping.name}: the record cannot be read: {reason}")

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        """Look keys up; keyed types at once, the others with the search's lag."""
        mapping = self._mapping(object_type)
        if mapping.key_field is None:
            raise UnsupportedCapability(f"{mapping.name} carry no key of ours")
        found: dict[str, list[str]] = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), MOST_VALUES):
            some = wanted[start : start + MOST_VALUES]
            for match in self._client.search(mapping.name, mapping.key_field, some):
                found.setdefault(str(match.get("value")), []).append(str(match.get("id")))
        return {key: _only(object_type, key, ids) for key, ids in found.items()}

    def owners(self) -> Iterator[Owner]:
        """Yield the CRM's users."""
        mapping = self._mapping(ObjectType.USER)
        for user in self._client.pages(mapping.name):
            fields = mapping.to_canonical(user.get("fields", {}))
            yield Owner(
                str(user.get("id")),
                str(fields["name"] or ""),
                str(fields["email"] or ""),
                active=fields["active"] is not False,
            )

    def verify_webhook(self, delivery: Delivery) -> None:
        """Check signature and timestamp against each secret."""
        webhooks.verify(delivery, self._webhook_secrets)

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        """Return the events of a verified delivery."""
        return webhooks.parse(delivery, self._mappings)

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        """Return a page of the change feed: each record once, in its newest state."""
        entries, following = self._client.changes(cursor, _FEED_PAGE)
        try:
            return webhooks.events_of(entries, self._mappings), following
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            reason = type(err).__name__
        raise UnexpectedAnswer(f"changes: a change cannot be read: {reason}")

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:
        """Delete records with everything they held."""
        if not refs:
            return []
        if len(refs) > self.batch_size or len({ref.object_type for ref in refs}) != 1:
            raise UnsupportedCapability(f"erase {self.batch_size} records of one type in one call at most")
        object_type = refs[0].object_type
        ids = [_checked_id(ref.id) for ref in refs]
        answers = self._client.erase(self._mapping(object_type).name, ids)
        return [_result(object_type, answer) for answer in answers]

    def _mapping(self, object_type: ObjectType) -> ObjectMapping:
        mapping = self._mappings.get(object_type)
        if mapping is None:
            raise UnsupportedCapability(f"the sandbox CRM has no {object_type}")
        return mapping

    def _body(self, command: Upsert, mapping: ObjectMapping) -> bytes:
        """Return the JSON of one record: by id where it is known, else under our key."""
        body: dict[str, Any] = {"trace": command.trace, "fields": mapping.to_vendor(command)}
        if command.record is not None:
            body["id"] = _checked_id(command.record.id)
        elif mapping.key_field is not None:
            body["fields"][mapping.key_field] = command.key
        else:
            raise InvalidRecord(f"{mapping.name} are made in the CRM: name the record", fields=("record",))
        try:
            return orjson.dumps(body)
        except orjson.JSONEncodeError:
            pass
        raise InvalidRecord("a text cannot be written as UTF-8", fields=_unwritable(command.fields))


def from_settings(key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> SandboxAdapter:
    """Build the adapter of a configured connection.

    Raises:
        ConfigurationError: an option or a secret is missing or unknown.
    """
    unknown = (options.keys() - {"base_url"}) | (secrets.keys() - _SECRETS)
    if unknown:
        raise ConfigurationError(f"connection {key}: {', '.join(sorted(unknown))} is not for the sandbox CRM")
    if "base_url" not in options or "token" not in secrets:
        raise ConfigurationError(f"connection {key}: the sandbox CRM needs the option base_url and the secret token")
    rotating = (secrets.get("webhook"), secrets.get("webhook_previous"))
    return SandboxAdapter(
        key,
        url=options["base_url"],
        token=secrets["token"],
        webhook_secrets=[secret for secret in rotating if secret],
    )


_SECRETS = frozenset({"token", "webhook", "webhook_previous"})


def _result(object_type: ObjectType, answer: Mapping[str, Any]) -> WriteResult | ConnectorError:
    error = answer.get("error")
    if isinstance(error, dict):
        return item_error(error)
    outcome, id_ = _OUTCOMES.get(str(answer.get("status"))), answer.get("id")
    if outcome is None or not isinstance(id_, str):
        return OutcomeUnknown(f"{object_type}: the item's answer cannot be read")
    return WriteResult(RecordRef(object_type, id_), outcome)


def _only(object_type: ObjectType, key: str, ids: Sequence[str]) -> RecordRef | ConnectorError:
    if len(ids) == 1:
        return RecordRef(object_type, ids[0])
    return AmbiguousKey(f"{object_type} {key}: {len(ids)} records carry this key: {', '.join(ids)}")


def _checked_id(id_: str) -> str:
    if not _ID.fullmatch(id_):
        raise InvalidRecord("the record's id is not one of the sandbox CRM's", fields=("record",))
    return id_


def _unwritable(fields: Mapping[str, object]) -> list[str]:
    return [name for name, value in fields.items() if not _writable(value)]


def _writable(value: object) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
