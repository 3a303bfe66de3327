"""A worker process of the race tests, whole or with one safeguard taken out."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from uuid import UUID

from crash_driver import ENVIRON, SECRET_KEY

from connector.flows import intake, sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.services import Services
from connector.store import Store, Transaction, leads, ledger, screening
from connector.vault import Vault

#: Small batches, so that the workers meet often.
BATCH = 50
#: How long a mutant dawdles between looking and writing, so that the race it opens is run for certain.
DAWDLE = 0.1
DAWDLES = 10

Keys = Mapping[tuple[str, str], UUID]


@dataclass(frozen=True, slots=True)
class Shift:
    """One worker's share: the queue of deliveries is common, the leads to be closed are its own."""

    database: str
    to_close: tuple[str, ...]
    mutant: str = ""


def work(shift: Shift, start: Barrier) -> None:
    """Work off everything, closing some leads in between; end with the number of errors logged."""
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    intake.BATCH = BATCH
    if shift.mutant:
        # Two workers with the same person meet at the count of the address already: a safeguard is seen without it.
        screening.take = lambda *_, **__: {}  # type: ignore[assignment]
        MUTANTS[shift.mutant]()
    with Store(shift.database, size=2) as store:
        services = Services(store, Vault(SECRET_KEY), environ=ENVIRON)
        records = list(shift.to_close)
        start.wait(100)
        while intake.work(services):
            for _ in range(3):
                if records:
                    _close(services, records.pop())
    raise SystemExit(min(errors.count, 100))


class _Errors(logging.Handler):
    """A race must be settled by waiting, never by failing."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, _record: logging.LogRecord) -> None:
        self.count += 1


def _close(services: Services, record: str) -> None:
    ref = RecordRef(ObjectType.LEAD, record)
    now = datetime.now(UTC)
    closed = Record(ref, {"status": "closed"}, now)
    with services.store.transaction() as tx:
        sync.apply(services, tx, "crm", [CrmEvent(record, EventType.RECORD_CHANGED, ref, now, closed)])


class _Dawdle:
    """Loses time, a few times."""

    def __init__(self) -> None:
        self._left = DAWDLES

    def __call__(self) -> None:
        if self._left:
            self._left -= 1
            time.sleep(DAWDLE)


def _without_ledger_lock() -> None:
    dawdle = _Dawdle()
    read = ledger.book

    def lock(tx: Transaction) -> int:
        row = tx.one("SELECT decisions FROM ledger")
        assert row is not None
        return int(row[0])

    def read_and_dawdle(tx: Transaction) -> dict[str, tuple[ledger.Entry, int]]:
        found = read(tx)
        dawdle()
        return found

    ledger.lock = lock
    ledger.book = read_and_dawdle


def _without_person_keys() -> None:
    leads.claim_keys = lambda _tx, _keys: {}


def _looking_before_claiming() -> None:
    dawdle = _Dawdle()

    def claim_keys(tx: Transaction, keys: Keys) -> dict[tuple[str, str], UUID]:
        kinds, values = [kind for kind, _ in keys], [value for _, value in keys]
        taken = tx.all(
            "SELECT kind, value, lead_id FROM person_key "
            "JOIN unnest(%s::text[], %s::text[]) AS n (k, v) ON kind = k AND value = v",
            kinds,
            values,
        )
        dawdle()
        tx.run(
            "INSERT INTO person_key SELECT * FROM unnest(%s::text[], %s::text[], %s::uuid[]) ON CONFLICT DO NOTHING",
            kinds,
            values,
            list(keys.values()),
        )
        return {(kind, value): lead for kind, value, lead in taken}

    leads.claim_keys = claim_keys


MUTANTS: dict[str, Callable[[], None]] = {
    "without the ledger lock": _without_ledger_lock,
    "without person keys": _without_person_keys,
    "looking before claiming": _looking_before_claiming,
}
