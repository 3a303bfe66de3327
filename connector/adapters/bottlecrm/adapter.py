"""BottleCRM behind the adapter contract."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar
from uuid import uuid4

from connector.adapters.base import Adapter, Capability
from connector.adapters.bottlecrm import checking, deals, goals, labels, leads, parts, tasks, webhooks
from connector.adapters.bottlecrm.client import USERS, BottleCrmClient, Row
from connector.adapters.bottlecrm.feed import Feed
from connector.adapters.bottlecrm.metadata import Metadata
from connector.adapters.bottlecrm.parts import TARGETS
from connector.adapters.bottlecrm.records import BATCH, KEY, Body, body_of, record_of
from connector.adapters.bottlecrm.sending import Clock, send
from connector.adapters.mapping import ObjectMapping, shipped_mapping
from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    RecordNotFound,
    TransientError,
    UnexpectedAnswer,
    UnsupportedCapability,
)
from connector.model.crm import (
    AccountInfo,
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

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: In which part of the answer a record stands.
_DETAIL = {
    ObjectType.LEAD: "lead_obj",
    ObjectType.CONTACT: "contact_obj",
    ObjectType.ACCOUNT: "account_obj",
    ObjectType.DEAL: "opportunity_obj",
    ObjectType.TASK: "task_obj",
}
_FINDERS: Mapping[ObjectType, Callable[[BottleCrmClient, str], RecordRef | None]] = {
    ObjectType.LEAD: leads.by_key,
    ObjectType.DEAL: deals.by_key,
    ObjectType.TASK: tasks.by_key,
}
_ERASABLE = frozenset({ObjectType.LEAD, ObjectType.CONTACT, ObjectType.ACCOUNT, ObjectType.DEAL, ObjectType.TASK})

Answer = WriteResult | ConnectorError


class BottleCrmAdapter(Adapter):
    """Speaks to one organisation of BottleCRM. `webhook_secrets` are all valid at once, as during a rotation."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    #: There is no batch: a few requests run abreast, and so many end well within a lease.
    batch_size: ClassVar[int] = 16
    #: A custom field is not unique there. Leads are told apart by their address, the rest is looked for first.
    keyed: ClassVar[frozenset[ObjectType]] = frozenset()
    search_lag: ClassVar[float] = 0.0

    def __init__(
        self, key: str, *, url: str, token: str, webhook_secrets: Sequence[str] = (), language: str = "en"
    ) -> None:
        self._key = key
        self._client = BottleCrmClient(url, token, key)
        self._metadata = Metadata(self._client)
        self._webhook_secrets = tuple(webhook_secrets)
        self._language = language
        self._mappings = shipped_mapping("connector.adapters.bottlecrm")

    def __repr__(self) -> str:
        return f"BottleCrmAdapter({self._key!r})"

    def check(self) -> AccountInfo:
        """Prove that the token works; say which organisation answers and what an admin must see to."""
        return checking.check(self._client)

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        """Apply commands of one object type, a few requests abreast."""
        if not commands:
            return []
        object_type = self.type_of(commands)
        clock, batch = Clock(), uuid4().hex
        answers: dict[int, Answer] = {}
        bodies: dict[int, Body] = {}
        for place, command in enumerate(commands):
            try:
                bodies[place] = self._body(command)
            except (InvalidRecord, OwnerRefused) as err:
                answers[place] = err
        answers |= send(
            {place: commands[place] for place in bodies},
            lambda place, command: self._write(command, bodies[place], batch),
            clock,
        )
        if object_type is ObjectType.TASK:
            answers |= self._named(commands, bodies, answers, batch, clock)
        answers |= self._unowned(commands, answers, clock)
        return _told([answers[place] for place in range(len(commands))])

    def fetch(self, ref: RecordRef) -> Record:
        """Return the record in canonical fields."""
        mapping, zone = self._mapping(ref.object_type), self._metadata.zone.get()
        row = self._row(ref, mapping)
        try:
            return record_of(ref, row, mapping, zone)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            reason = type(err).__name__
        raise UnexpectedAnswer(f"{mapping.name}: the record cannot be read: {reason}")

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        """Look keys up, one by one: a filter takes one value."""
        finder = _FINDERS.get(object_type)
        if finder is None:
            raise UnsupportedCapability(f"{object_type} carry no key of ours in BottleCRM")
        found: dict[str, RecordRef | ConnectorError] = {}
        for key in dict.fromkeys(keys):
            try:
                ref = finder(self._client, key)
            except AmbiguousKey as err:
                found[key] = err
            else:
                if ref is not None:
                    found[key] = ref
        return found

    def owners(self) -> Iterator[Owner]:
        """Yield the organisation's people by their profile, which is what owns records."""
        for row in self._client.rows(USERS):
            try:
                said = row["user_details"]
                active = row["is_active"] is True and said["is_active"] is True
                owner = Owner(str(row["id"]), str(said["name"] or said["email"]), str(said["email"]), active=active)
            except (KeyError, TypeError):
                owner = None
            if owner is None:
                raise UnexpectedAnswer("users: a user cannot be read")
            yield owner

    def verify_webhook(self, delivery: Delivery) -> None:
        """Check signature and timestamp against each secret."""
        webhooks.verify(delivery, self._webhook_secrets)

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        """Return what a verified delivery says: which record changed, not how; of a call everything."""
        return webhooks.parse(delivery, self._mapping(ObjectType.CALL))

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        """Return a page of what changed: from the activity log, or of a full compare."""
        return Feed(self._client, self._mappings, self._metadata.zone.get()).changes(cursor)

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:
        """Delete records. BottleCRM's activity log keeps their names, its log of webhooks their fields for 30 days."""
        if not refs:
            return []
        if len(refs) > self.batch_size or len({ref.object_type for ref in refs}) != 1:
            raise UnsupportedCapability(f"erase {self.batch_size} records of one type in one call at most")
        if refs[0].object_type not in _ERASABLE:
            raise UnsupportedCapability(f"BottleCRM cannot erase a {refs[0].object_type}")
        mapping, clock = self._mapping(refs[0].object_type), Clock()
        return _told([self._erased(ref, mapping, clock) for ref in refs])

    def parts(self) -> Sequence[Part]:
        """Return the custom fields we need, and the webhook."""
        return parts.parts(self._metadata, self._language, hooked=bool(self._webhook_secrets))

    def install(self, part: Part) -> None:
        """Make a custom field, or switch it on again."""
        parts.install(self._client, self._metadata, part.name, self._language)

    def uninstall(self, part: Part) -> None:
        """Switch a custom field of ours off."""
        parts.uninstall(self._client, self._metadata, part.name)

    def _mapping(self, object_type: ObjectType) -> ObjectMapping:
        mapping = self._mappings.get(object_type)
        if mapping is None:
            raise UnsupportedCapability(f"BottleCRM has no {object_type}")
        return mapping

    def _body(self, command: Upsert) -> Body:
        """Return what to send, of a command that can be sent at all."""
        mapping = self._mapping(command.object_type)
        if command.record is None and command.object_type not in _FINDERS:
            raise InvalidRecord(f"{mapping.name} are made in the CRM: name the record", fields=("record",))
        if command.record is not None:
            _checked_id(command.record.id)
        if command.object_type is ObjectType.LEAD and command.fields.get("status") == "converted":
            raise InvalidRecord(
                "a lead is converted by a person: it makes an account, a contact and a deal", fields=("status",)
            )
        body = body_of(command, mapping, self._metadata.zone.get())
        self._check_fields(command, body)
        owner = command.fields.get("owner")
        if owner and not self._metadata.may_own(str(owner)):
            raise _unknown_owner(command)
        return body

    def _check_fields(self, command: Upsert, body: Body) -> None:
        """BottleCRM drops a custom field it does not know and says nothing."""
        target = TARGETS.get(command.object_type)
        if target is None:
            return
        ours = [] if command.record else [KEY, *([BATCH] if command.object_type is ObjectType.TASK else [])]
        missing = self._metadata.lacks(target, [*body.get("custom_fields", {}), *ours])
        if missing:
            raise InvalidRecord(
                f"{target} has no custom field {', '.join(missing)}: install Hearback's parts", fields=missing
            )

    def _write(self, command: Upsert, body: Body, batch: str) -> Answer:
        match command.object_type:
            case ObjectType.LEAD:
                return leads.write(self._client, command, body)
            case ObjectType.DEAL:
                return deals.write(self._client, self._metadata, command, body)
            case ObjectType.TASK:
                return tasks.write(self._client, command.key, command.record, body, batch)
            case ObjectType.USER if command.record is not None:
                return goals.write(self._client, command.record, command.fields)
            case _:
                pass
        raise UnsupportedCapability(f"{command.object_type} are kept by people in BottleCRM: Hearback only reads them")

    def _named(
        self,
        commands: Sequence[Upsert],
        bodies: Mapping[int, Body],
        answers: Mapping[int, Answer],
        batch: str,
        clock: Clock,
    ) -> dict[int, Answer]:
        """Return the new tasks with their ids."""
        new = {place: commands[place].key for place, answer in answers.items() if tasks.is_unnamed(answer)}
        if not new:
            return {}
        late = OutcomeUnknown("the tasks were made, and there was no time left to find them")
        found: Mapping[str, Answer] = {}
        try:
            if clock.time_left():
                found = tasks.named(self._client, {key: bodies[place] for place, key in new.items()}, batch)
        except ConnectorError as err:
            late = OutcomeUnknown(f"the tasks were made and could not be found: {type(err).__name__}")
            late.__cause__ = err.__cause__
        return {place: found.get(key, late) for place, key in new.items()}

    def _unowned(self, commands: Sequence[Upsert], answers: Mapping[int, Answer], clock: Clock) -> dict[int, Answer]:
        """Return the errors of records whose owner was dropped: BottleCRM leaves out who is not active, and says 200.

        Whoever is active after the write was so at the write, so one list answers for all of a call.
        """
        owned = {
            place: str(owner)
            for place, answer in answers.items()
            if isinstance(answer, WriteResult) and (owner := commands[place].fields.get("owner"))
        }
        if not owned:
            return {}
        late = OutcomeUnknown("written, and there was no time left to see whether the owner was taken")
        try:
            if clock.time_left():
                active = self._metadata.owners.again()
                return {place: _unknown_owner(commands[place]) for place, owner in owned.items() if owner not in active}
        except ConnectorError as err:
            late = OutcomeUnknown(f"written, and whether the owner was taken could not be seen: {type(err).__name__}")
            late.__cause__ = err.__cause__
        return dict.fromkeys(owned, late)

    def _row(self, ref: RecordRef, mapping: ObjectMapping) -> Row:
        id_ = _checked_id(ref.id)
        if ref.object_type is ObjectType.USER:
            return self._user(id_)
        name = _DETAIL.get(ref.object_type)
        if name is None:
            raise UnsupportedCapability(f"BottleCRM shows no {ref.object_type} by itself: its webhooks tell them whole")
        row = self._client.get(f"/api/{mapping.name}/{id_}/").get(name)
        if not isinstance(row, dict):
            raise UnexpectedAnswer(f"{mapping.name}: the answer holds no record")
        return row

    def _user(self, id_: str) -> Row:
        """A profile can be read in the list alone."""
        for row in self._client.rows(USERS):
            if row.get("id") == id_:
                return {**row, **goals.read(self._client, id_)}
        raise RecordNotFound("users: no such profile")

    def _erased(self, ref: RecordRef, mapping: ObjectMapping, clock: Clock) -> Answer:
        id_ = _checked_id(ref.id)
        if not clock.time_left():
            return TransientError("not sent: the CRM was too slow for this one; another attempt follows")
        try:
            self._client.send("DELETE", f"/api/{mapping.name}/{id_}/")
        except RecordNotFound:
            return WriteResult(ref, Outcome.UNCHANGED)
        except ConnectorError as err:
            return err
        return WriteResult(ref, Outcome.UPDATED)


def from_settings(key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> BottleCrmAdapter:
    """Build the adapter of a configured connection.

    Raises:
        ConfigurationError: an option or a secret is missing or unknown.
    """
    unknown = (options.keys() - _OPTIONS) | (secrets.keys() - _SECRETS)
    if unknown:
        raise ConfigurationError(f"connection {key}: {', '.join(sorted(unknown))} is not for BottleCRM")
    if "base_url" not in options or "token" not in secrets:
        raise ConfigurationError(f"connection {key}: BottleCRM needs the option base_url and the secret token")
    language = options.get("language", labels.LANGUAGES[0])
    if language not in labels.LANGUAGES:
        raise ConfigurationError(f"connection {key}: language is one of {', '.join(labels.LANGUAGES)}")
    rotating = (secrets.get("webhook"), secrets.get("webhook_previous"))
    return BottleCrmAdapter(
        key,
        url=options["base_url"],
        token=secrets["token"],
        webhook_secrets=[secret for secret in rotating if secret],
        language=language,
    )


_OPTIONS = frozenset({"base_url", "language"})
_SECRETS = frozenset({"token", "webhook", "webhook_previous"})


def _told(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Raise what kept the whole call from being answered, so that nobody takes it for one record's fault."""
    first = answers[0]
    if isinstance(first, TransientError | OutcomeUnknown | AuthenticationError) and all(a is first for a in answers):
        raise first
    return answers


def _unknown_owner(command: Upsert) -> OwnerRefused:
    return OwnerRefused(f"{command.object_type}: the owner is no active profile of the organisation")


def _checked_id(id_: str) -> str:
    if not _ID.fullmatch(id_):
        raise InvalidRecord("the record's id is not one of BottleCRM's", fields=("record",))
    return id_
