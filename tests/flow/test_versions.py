"""Versions are for ever: a published one never changes and comes back as it was; each decision names its own."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from desk import FORM, Desk

from connector.flows import intake, route, sealing, verify
from connector.flows.accept import accept_many
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.model.lead import Facets
from connector.routing.book import Book, Standing
from connector.routing.decide import Case
from connector.routing.record import record_of
from connector.services import Services
from connector.store import configuration
from connector.store import decisions as stored
from connector.vault import Vault

NORTH = "{person: katrin.seidel, weight: 3}"
SOUTH = "    overflow: de-south\n"
AT = datetime(2026, 12, 2, 9, tzinfo=UTC)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    yield made
    made.close()


def active_hash(desk: Desk) -> str:
    with desk.services.store.transaction() as tx:
        return str(configuration.active_hash(tx))


def activate(desk: Desk, digest: str) -> None:
    with desk.services.store.transaction() as tx:
        configuration.activate(tx, digest)


def decisions(desk: Desk) -> list[bytes]:
    """Decide the same leads with the same book by what is in force; store nothing."""
    with desk.services.store.transaction() as tx:
        active = desk.services.active(tx)
    book = Book({"anna.brandt": Standing(700_000_000, 4, 38), "jens.petersen": Standing(-700_000_000, 9, 40)}, 9)
    found = []
    for number in range(60):
        lead = Facets(country="DE", postal_code=f"{20095 + 7 * number}", product="measuring")
        decision = route.preview(active, Case(f"lead-{number}", 1, AT, lead), book)
        found.append(record_of(decision, book))
        book.post(decision.turn, decision.owner, decision.seq)
    return found


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rule_set SET document = document || ' '::bytea",
        "UPDATE rule_set SET hash = hash || 'x'",
        "UPDATE configuration SET document = '{}'::bytea",
        "UPDATE configuration SET rule_set = 'another'",
        "DELETE FROM rule_set",
        "DELETE FROM configuration",
    ],
)
def test_the_database_refuses_to_change_a_published_version(desk: Desk, statement: str) -> None:
    """R34."""
    with psycopg.connect(desk.services.store.url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement.encode())


def test_publishing_the_next_version_leaves_the_one_before_as_it_was(desk: Desk) -> None:
    """R34, R35."""
    stored = "SELECT hash, document FROM rule_set UNION ALL SELECT hash, document FROM configuration ORDER BY hash"
    before = desk.rows(stored)
    desk.edit("routing.yaml", NORTH, NORTH.replace("3", "9"))

    desk.publish()

    after = desk.rows(stored)
    assert len(after) == len(before) + 2
    assert set(before) < set(after)


def test_going_back_brings_the_very_same_decisions_back(desk: Desk) -> None:
    """R34: the same bytes, for the same leads and the same book."""
    first, then = active_hash(desk), decisions(desk)
    desk.edit("routing.yaml", NORTH, NORTH.replace("3", "9"))
    desk.edit("routing.yaml", SOUTH, "")
    desk.publish()
    between = decisions(desk)

    activate(desk, first)

    assert decisions(desk) == then
    owners = [[json.loads(record)["owner"] for record in records] for records in (then, between)]
    assert owners[0] != owners[1]


def test_each_of_a_thousand_leads_in_flight_names_one_version_and_keeps_to_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R35: the pointer moves back and forth while two workers decide."""
    monkeypatch.setattr(intake, "BATCH", 50)
    versions = [active_hash(desk)]
    desk.edit("routing.yaml", NORTH, NORTH.replace("3", "9"))
    desk.publish()
    versions.append(active_hash(desk))
    accept_many(desk.services, [answer(number) for number in range(1000)])

    workers = [threading.Thread(target=work, args=(desk,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    flips = 0
    while any(worker.is_alive() for worker in workers):
        flips += 1
        activate(desk, versions[flips % 2])
        workers[0].join(0.05)

    assert desk.rows("SELECT DISTINCT fate FROM delivery") == [("leads",)]
    used = Counter(row[0] for row in desk.rows("SELECT rule_set FROM decision"))
    published = {row[0] for row in desk.rows("SELECT rule_set FROM configuration")}
    assert used.total() == 1000
    assert used.keys() == published
    assert desk.rows("SELECT count(*) FROM lead WHERE id NOT IN (SELECT lead_id FROM decision)") == [(0,)]
    # The column, the record and what the record says come from the same version.
    assert verify.verify(desk.services.store.url).problems == ()


def answer(number: int) -> Delivery:
    said = {"nachname": f"Nr{number}", "email": f"a{number}@firm{number}.example", "plz": "20095", "land": "DE"}
    return Delivery(new_id(), "website", datetime.now(UTC), FORM, urlencode(said).encode(), {}, {})


def work(desk: Desk) -> None:
    services = Services(desk.services.store, Vault("x" * 40), environ={})
    while intake.work(services):
        pass


def test_a_decision_of_last_year_verifies_after_all_that_was_published_since(desk: Desk) -> None:
    """R31."""
    desk.run("UPDATE clock SET shift = '-365 days'")
    desk.post(nachname="Alt", email="alt@alt.example", plz="20095", land="DE")
    desk.work()
    sealing.work(desk.services)
    desk.run("UPDATE clock SET shift = '0'")
    for number in range(4, 9):
        desk.edit("routing.yaml", f"katrin.seidel, weight: {number - 1}", f"katrin.seidel, weight: {number}")
        desk.publish()
        desk.post(nachname="Neu", email=f"neu{number}@neu{number}.example", plz="20095", land="DE")
        desk.work()

    report = verify.verify(desk.services.store.url)

    (oldest,) = desk.rows("SELECT rule_set, decided_at FROM decision ORDER BY seq LIMIT 1")
    assert datetime.now(UTC) - oldest[1] > timedelta(days=364)
    assert desk.rows("SELECT count(DISTINCT rule_set) FROM decision") == [(6,)]
    assert (report.decisions, report.problems) == (6, ())


def test_a_window_begins_with_the_first_decision_at_its_beginning_or_after(desk: Desk) -> None:
    for number, hours in enumerate((-5, -3, -3, -1)):
        desk.run("UPDATE clock SET shift = %s", timedelta(hours=hours))
        desk.post(nachname="Ada", email=f"a{number}@firm{number}.example", plz="20095", land="DE")
        desk.work()
    times = [row[0] for row in desk.rows("SELECT decided_at FROM decision ORDER BY seq")]
    tick = timedelta(microseconds=1)

    with desk.services.store.transaction() as tx:
        for at in (instant + step for instant in times for step in (-tick, 0 * tick, tick)):
            wanted = next((seq for seq, each in enumerate(times, 1) if each >= at), 5)
            assert stored.first_since(tx, at, 4) == wanted
        assert stored.first_since(tx, times[0], 0) == 1
