"""`hearback verify`: how long it takes to take a million decisions again and to check their seals."""

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.flows import route, sealing, verify
from connector.model.identity import new_id
from connector.model.lead import Facets
from connector.routing.book import Book
from connector.routing.decide import Case
from connector.services import Services
from connector.store import decisions, ledger
from tests.benchmarks.rig import Rig

COUNT = 100_000
BATCH = 5_000
MILLION = 1_000_000


def bench(rig: Rig, *, count: int = COUNT) -> dict[str, Any]:
    """Take `count` decisions by the sample organisation's rules, seal them, and verify all."""
    services = rig.services()
    decide_many(services, count)
    sealing.work(services)
    services.store.close()
    processes = os.cpu_count() or 1
    begin = time.perf_counter()
    report = verify.verify(rig.url, processes=processes)
    seconds = time.perf_counter() - begin
    assert (report.decisions, report.problems) == (count, ()), report
    return {
        "decisions": count,
        "processes": processes,
        "seconds": round(seconds, 1),
        "seconds_for_a_million": round(seconds * MILLION / count),
        "share_of_reading_and_hashing": round(hashing_alone(rig, count) / (seconds * processes), 2),
        "wanted": "a million in 120 s",
    }


def decide_many(services: Services, count: int) -> None:
    """Store `count` decisions as routing would have, without leads."""
    with services.store.transaction() as tx:
        active = services.active(tx)
    book, at = Book({}, 0), datetime(2026, 11, 2, 9, tzinfo=UTC)
    for first in range(0, count, BATCH):
        rows = []
        for number in range(first, min(first + BATCH, count)):
            case = Case(str(new_id()), 1, at + timedelta(seconds=number), facets(number), snapshot=f"{number:064x}")
            rows.append(route.decided(active, case, book)[1])
        with services.store.transaction() as tx:
            decisions.insert(tx, rows)
            ledger.write(tx, {}, first + len(rows))


def facets(number: int) -> Facets:
    country, code = (("DE", f"{1067 + number * 37 % 98000:05d}"), ("US", f"{501 + number * 31 % 98000:05d}"))[
        number % 2
    ]
    return Facets(country=country, postal_code=code, source="website", language="de" if country == "DE" else "en")


def hashing_alone(rig: Rig, count: int) -> float:
    """Return seconds for the least anybody can do: read every record and hash it."""
    services = rig.services()
    begin = time.perf_counter()
    for first in range(0, count, BATCH):
        with services.store.transaction() as tx:
            for row in decisions.between(tx, first + 1, first + BATCH):
                assert hashlib.sha256(row.record).digest() == row.digest
    services.store.close()
    return time.perf_counter() - begin
