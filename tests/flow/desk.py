"""A small desk for flow tests: services on a fresh database, the sample organisation, a CRM in memory."""

import itertools
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from connector.adapters.base import Adapter
from connector.errors import ConnectorError
from connector.flows import deliver, intake
from connector.flows.accept import accept
from connector.model.crm import AccountInfo, ObjectType, Outcome, Owner, Record, RecordRef, Upsert, WriteResult
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.publishing import publish
from connector.services import Services
from connector.settings import default_folder
from connector.settings.values import Settings
from connector.store import Store
from connector.vault import Vault

FORM = "application/x-www-form-urlencoded"


class MemoryCrm(Adapter):
    """Holds records in a dictionary; `script` says how the next calls fail."""

    batch_size: ClassVar[int] = 200
    keyed: ClassVar[frozenset[ObjectType]] = frozenset((ObjectType.LEAD, ObjectType.DEAL))

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self.calls: list[list[Upsert]] = []
        self.looks: list[list[str]] = []
        self.script: deque[ConnectorError | str] = deque()
        self.refused: dict[str, ConnectorError] = {}

    def check(self) -> AccountInfo:
        return AccountInfo("memory", "1")

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        self.calls.append(list(commands))
        step = self.script.popleft() if self.script else ""
        if isinstance(step, ConnectorError) and not getattr(step, "applied", False):
            raise step
        results = [self.refused.get(command.key) or self._write(command) for command in commands]
        if isinstance(step, ConnectorError):
            raise step
        return results

    def _write(self, command: Upsert) -> WriteResult:
        record = command.record.id if command.record else self._known(command)
        outcome = Outcome.UPDATED if record else Outcome.CREATED
        record = record or f"r{next(self._numbers)}"
        self.records.setdefault(record, {"key": command.key}).update(command.fields)
        return WriteResult(RecordRef(command.object_type, record), outcome)

    def _known(self, command: Upsert) -> str | None:
        if command.object_type not in self.keyed:
            return None
        return next((id_ for id_, fields in self.records.items() if fields["key"] == command.key), None)

    def fetch(self, ref: RecordRef) -> Record:
        return Record(ref, self.records[ref.id])

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        self.looks.append(list(keys))
        return {f["key"]: RecordRef(object_type, id_) for id_, f in self.records.items() if f["key"] in keys}

    def owners(self) -> Iterator[Owner]:
        return iter(())


class DeskServices(Services):
    """Services whose only CRM is the one in memory."""

    crm: MemoryCrm

    def adapter(self, settings: Settings, connection: str) -> Adapter:  # noqa: ARG002 (the contract's signature)
        return self.crm


class Desk:
    """What a test does: post, work, look."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder / "config"
        if not self.folder.exists():
            shutil.copytree(default_folder(), self.folder)
        self.services = DeskServices(Store(url).open(), Vault("x" * 40), environ={})
        self.crm = self.services.crm = MemoryCrm()
        self.woken: list[str] = []
        self.services.wake = self.woken.append
        self.publish()

    def publish(self) -> None:
        published = publish(self.services.store, self.folder)
        assert published.hash, published.complaints
        self.services._seen = 0.0

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new), "utf-8")

    def post(self, *, source: str = "website", **fields: str) -> UUID:
        body = urlencode(fields).encode()
        return self.post_raw(source, body, FORM)

    def post_raw(self, source: str, body: bytes, content_type: str) -> UUID:
        return accept(self.services, Delivery(new_id(), source, datetime.now(UTC), content_type, body, {}, {}))

    def work(self) -> None:
        while intake.work(self.services):
            pass

    def send(self) -> None:
        while deliver.work(self.services, "sandbox"):
            pass

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.services.store.transaction() as tx:
            return tx.all(query, *parameters)

    def run(self, query: str, *parameters: object) -> None:
        with self.services.store.transaction() as tx:
            tx.run(query, *parameters)

    def fate(self, receipt: UUID) -> tuple[str, str | None, str]:
        ((state, fate, reason),) = self.rows("SELECT state, fate, reason FROM delivery WHERE id = %s", receipt)
        return state, fate, reason

    def close(self) -> None:
        self.services.store.close()


def jan(**more: str) -> dict[str, str]:
    """A person in Warsaw."""
    return {"vorname": "Jan", "nachname": "Kos", "email": "jan@kos.example", "plz": "00-950", "land": "PL", **more}
