"""A CRM in a dict and an adapter for it: small enough to be seen to be right, and to be broken on purpose."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

from connector.adapters.base import Adapter, Capability
from connector.adapters.testing import Rig
from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    RateLimited,
    RecordNotFound,
    Unavailable,
    UnexpectedAnswer,
    UnsupportedCapability,
    WebhookRejected,
)
from connector.model.crm import (
    AccountInfo,
    CrmEvent,
    EventType,
    ObjectType,
    Outcome,
    Owner,
    Part,
    PartState,
    Record,
    RecordRef,
    Upsert,
    WriteResult,
)
from connector.model.delivery import Delivery

TOKEN, SECRET = "reference-token", "reference-secret"
FIELDS = {
    "first_name", "last_name", "company", "email", "phone", "message", "owner",
    "title", "status", "due", "name", "amount", "currency",
}  # fmt: skip
TIMES = {"due"}
WINDOW = timedelta(minutes=5)


class WireError(Exception):
    """What this CRM's wire says when something is wrong."""


class DictCrm:
    """Records in a dict, with failures to order."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.requests = 0
        self.next = ""
        self.delay = timedelta()
        self.page_repeats = False
        self.users = {"user-0001": True, "user-0002": False}
        self.parts: list[str] = []

    def call(self, token: str, kind: str = "read") -> str:
        """Count a request and return what happens to it."""
        self.requests += 1
        trouble = self.next
        if token != TOKEN:
            raise WireError("401")
        if trouble and (kind == "write" or trouble == "429"):
            self.next = ""
            if trouble == "429":
                raise WireError("429")
            return trouble
        return ""

    def keep(self, id_: str, type_: str, key: str, fields: dict[str, Any]) -> None:
        """Hold a record and log the change."""
        self.records[id_] = {"type": type_, "key": key, "fields": fields}
        self.log.append(id_)

    def page(self, cursor: int) -> tuple[list[tuple[str, bool]], int | None]:
        """Return one user and where to go on."""
        users = list(self.users.items())
        if self.page_repeats:
            return users[:1], 0
        return users[cursor : cursor + 1], cursor + 1 if cursor + 1 < len(users) else None


class ReferenceAdapter(Adapter):
    """Keeps the contract, in steps that a mutant may replace one by one."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    batch_size: ClassVar[int] = 3
    keyed: ClassVar[frozenset[ObjectType]] = frozenset({ObjectType.LEAD, ObjectType.DEAL})

    def __init__(self, crm: DictCrm | None, token: str = TOKEN) -> None:
        self._crm = crm
        self._token = token

    def check(self) -> AccountInfo:
        self._call("read")
        return AccountInfo("reference", "1")

    def parts(self) -> Sequence[Part]:
        present = self.crm.parts
        ours = [
            Part(name, "a field of leads", PartState.PRESENT if name in present else PartState.MISSING)
            for name in ("key", "reason")
        ]
        return [*ours, Part("page", "the fields on the page", PartState.MISSING, remedy="drop them there, as an admin")]

    def install(self, part: Part) -> None:
        if part.name not in self.crm.parts:
            self.crm.parts.append(part.name)

    def uninstall(self, part: Part) -> None:
        if part.name in self.crm.parts:
            self.crm.parts.remove(part.name)

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        if len(commands) > self.batch_size:
            raise UnsupportedCapability(f"at most {self.batch_size} commands")
        if not commands:
            return []
        lost = self._call("write")
        results = [self._item(command) for command in commands]
        if lost:
            raise self._lost_answer() from WireError("cut")
        return results

    def fetch(self, ref: RecordRef) -> Record:
        self._call("read")
        found = self.crm.records.get(ref.id)
        if found is None:
            raise RecordNotFound("no such record")
        return Record(ref, found["fields"])

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        self._call("read")
        found: dict[str, RecordRef | ConnectorError] = {}
        for key in keys:
            ids = self._ids(object_type, key)
            if ids:
                found[key] = RecordRef(object_type, ids[0]) if len(ids) == 1 else AmbiguousKey("several")
        return found

    def owners(self) -> Iterator[Owner]:
        cursor = 0
        while True:
            page, following = self.crm.page(cursor)
            for id_, active in page:
                yield Owner(id_, id_, f"{id_}@example.com", active)
            if following is None:
                return
            if following <= cursor:
                raise UnexpectedAnswer("the page's cursor does not move")
            cursor = following

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:
        self._call("write")
        return [self._erased(ref) for ref in refs]

    def _erased(self, ref: RecordRef) -> WriteResult | ConnectorError:
        known = self.crm.records.pop(ref.id, None)
        self.crm.log = [id_ for id_ in self.crm.log if id_ != ref.id]
        return WriteResult(ref, Outcome.UPDATED if known else Outcome.UNCHANGED)

    def verify_webhook(self, delivery: Delivery) -> None:
        stamp, _, given = delivery.headers.get("x-signature", "").partition(":")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
            raise WebhookRejected("header")
        if not self._fresh(datetime.fromtimestamp(int(stamp), UTC), delivery.received_at):
            raise WebhookRejected("time")
        if not hmac.compare_digest(sign(SECRET, stamp, delivery.body).encode(), given.encode()):
            raise WebhookRejected("signature")

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        return [self._event(entry) for entry in json.loads(delivery.body)]

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        log, start = self.crm.log, int(cursor or 0)
        events = [self._change(number, log[number]) for number in range(start, min(start + 2, len(log)))]
        return events, str(start + len(events)) if events else cursor

    @property
    def crm(self) -> DictCrm:
        assert self._crm is not None
        return self._crm

    def _call(self, kind: str) -> str:
        try:
            if self._crm is None:
                raise WireError("refused")
            return self._crm.call(self._token, kind)
        except WireError as trouble:
            raise self._error(trouble) from trouble

    def _error(self, trouble: WireError) -> ConnectorError:
        if str(trouble) == "429":
            return RateLimited("too many requests", retry_after=self.crm.delay)
        return AuthenticationError("refused") if str(trouble) == "401" else Unavailable("no connection")

    def _lost_answer(self) -> ConnectorError:
        return OutcomeUnknown("no answer")

    def _item(self, command: Upsert) -> WriteResult | ConnectorError:
        try:
            fields = self._checked(command)
        except ConnectorError as err:
            return err
        ids = self._targets(command)
        id_ = ids[0] if ids else uuid4().hex
        old = self.crm.records.get(id_, {}).get("fields", {})
        self.crm.keep(id_, command.object_type, command.key, self._merged(old, fields))
        return WriteResult(RecordRef(command.object_type, id_), Outcome.UPDATED if ids else Outcome.CREATED)

    def _targets(self, command: Upsert) -> list[str]:
        if command.record is not None:
            return [command.record.id]
        return self._ids(command.object_type, command.key) if command.object_type in self.keyed else []

    def _merged(self, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        return {**old, **new}

    def _checked(self, command: Upsert) -> dict[str, Any]:
        unknown = command.fields.keys() - FIELDS
        if unknown:
            raise InvalidRecord("unknown fields", fields=sorted(unknown))
        if not self.crm.users.get(str(command.fields.get("owner", "user-0001")), False):
            raise OwnerRefused("the user may not own records")
        return {name: self._value(name, value) for name, value in command.fields.items()}

    def _value(self, name: str, value: Any) -> Any:
        if name not in TIMES:
            return value
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise InvalidRecord("a time without a zone", fields=(name,))
        return at.astimezone(UTC).isoformat()

    def _ids(self, object_type: ObjectType, key: str) -> list[str]:
        records = self.crm.records.items()
        return [id_ for id_, record in records if (record["type"], record["key"]) == (object_type, key)]

    def _fresh(self, sent: datetime, received: datetime) -> bool:
        return abs(received - sent) <= WINDOW

    def _event(self, entry: dict[str, Any]) -> CrmEvent:
        type_ = EventType.RECORD_CHANGED if entry["type"] == "changed" else EventType.UNKNOWN
        return CrmEvent(entry["id"], type_, RecordRef(ObjectType.LEAD, entry["record"]), _at(entry["at"]))

    def _change(self, number: int, id_: str) -> CrmEvent:
        ref = RecordRef(ObjectType(self.crm.records[id_]["type"]), id_)
        return CrmEvent(str(number), EventType.RECORD_CHANGED, ref, datetime.now(UTC))


class ReferenceRig(Rig):
    """The contract's levers on a `DictCrm`."""

    owner, inactive_owner = "user-0001", "user-0002"
    secrets = (TOKEN, SECRET)

    def __init__(self, kind: type[ReferenceAdapter] = ReferenceAdapter) -> None:
        self._kind = kind
        self._crm = DictCrm()
        self.adapter = kind(self._crm)

    def requests(self) -> int:
        return self._crm.requests

    def lose_next_answer(self) -> None:
        self._crm.next = "cut"

    def limit_next(self, delay: timedelta) -> None:
        self._crm.next, self._crm.delay = "429", delay

    def refused(self) -> Adapter:
        return self._kind(self._crm, "reference-token-of-old")

    def unreachable(self) -> Adapter:
        return self._kind(None)

    def repeating(self) -> Adapter:
        self._crm.page_repeats = True
        return self.adapter

    def settle(self) -> None:
        """Nothing lags here."""

    def webhook(
        self,
        leads: Sequence[str],
        *,
        sent_at: datetime,
        received_at: datetime,
        forged: bool = False,
        known: bool = True,
    ) -> Delivery:
        stamp = str(int(sent_at.timestamp()))
        type_ = "changed" if known else "painted"
        body = json.dumps(
            [{"id": f"e{n}", "type": type_, "record": lead, "at": int(stamp)} for n, lead in enumerate(leads)]
        ).encode()
        signature = sign("a stranger's" if forged else SECRET, stamp, body)
        return Delivery(
            id=uuid4(),
            source="reference",
            received_at=received_at,
            content_type="application/json",
            body=body,
            headers={"x-signature": f"{stamp}:{signature}"},
            query={},
        )


def sign(secret: str, stamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).hexdigest()


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
