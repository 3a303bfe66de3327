"""How much routing asks of the database, and that a batch decides as single leads would (R37, R38)."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from cli_support import wait_until
from databases import a_database
from office import Office

from connector.flows import intake
from connector.model.crm import ObjectType
from connector.store import Store, Transaction, commands
from connector.store.commands import Done

METHODS = ("one", "all", "run", "run_rows", "all_rows", "copy")


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    with Store(database_url) as store:
        yield Office(store, tmp_path / "config")


@pytest.fixture
def another(postgres: str, template: str, tmp_path: Path) -> Iterator[Office]:
    """The same organisation on a database of its own."""
    for url in a_database(postgres, template):
        with Store(url) as store:
            yield Office(store, tmp_path / "another")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement and COPY from here on, as text."""
    said: list[str] = []

    def record(name: str) -> None:
        original = getattr(Transaction, name)

        def recorded(tx: Transaction, query: str, *more: Any) -> Any:
            if name != "copy" or more[1]:
                said.append(f"COPY {query}" if name == "copy" else " ".join(query.split()))
            return original(tx, query, *more)

        monkeypatch.setattr(Transaction, name, recorded)

    for name in METHODS:
        record(name)
    return said


def people(count: int, first: int = 0) -> list[tuple[str, str]]:
    chance = random.Random(7)
    return [(f"P{first + n}", f"{chance.choice((0, 1, 2, 5, 8))}4115") for n in range(count)]


def test_a_single_lead_takes_five_statements_under_the_lock(office: Office, statements: list[str]) -> None:
    """R38: lock, read, the lead, its decision, the new book; and not twenty with intake, matching and commands."""
    office.answer(*people(3))
    statements.clear()

    office.answer(("Solo", "20095"))

    locked = statements.index("SELECT decisions FROM ledger FOR UPDATE")
    routing = [
        each
        for each in statements[locked:]
        if each.startswith(("SELECT decisions", "SELECT c.now", "COPY lead", "COPY decision", "WITH e AS"))
    ]
    assert len(routing) == 5
    assert len(statements) <= 20, statements


def test_a_thousand_leads_take_fewer_than_two_hundred_statements_in_all(office: Office, statements: list[str]) -> None:
    """R38: in batches, with intake, matching and commands."""
    office.deliver(*people(1000))
    statements.clear()

    while intake.work(office.services):
        pass

    assert len(office.decisions()) == 1000
    assert len(statements) < 200


def test_a_bulk_of_leads_is_decided_as_one_by_one(
    office: Office, another: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R37"""
    some = people(60)
    office.deliver(*some)
    while intake.work(office.services):
        pass
    at_once = [(row.seq, row.outcome, row.owner) for row in office.decisions()]

    monkeypatch.setattr(intake, "BATCH", 1)
    another.deliver(*some)
    while intake.work(another.services):
        pass
    one_by_one = [(row.seq, row.outcome, row.owner) for row in another.decisions()]

    assert at_once == one_by_one
    assert len({owner for _, _, owner in at_once}) > 1


def finish_a_batch(office: Office) -> None:
    worker = uuid4()
    with office.services.store.transaction() as tx:
        leased = commands.lease(tx, "crm", ObjectType.LEAD, worker, 200)
    with office.services.store.transaction() as tx:
        commands.finish(tx, "crm", worker, [Done(each, f"L-{each.id}", "created", {}) for each in leased])


def entries_read(url: str) -> dict[str, int]:
    """How many entries of each index were read in this database so far."""
    with psycopg.connect(url, autocommit=True) as connection:
        return dict(connection.execute("SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes").fetchall())


def test_a_batch_reads_what_it_works_not_what_waits_or_is_done(office: Office, database_url: str) -> None:
    """With a backlog and with statistics from when all of it waited, a lead must not cost more."""
    office.deliver(*people(1600))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    while intake.work(office.services):
        pass
    for _ in range(3):
        finish_a_batch(office)

    # A session's figures are added up at its end.
    office.services.store.close()
    wait_until(lambda: entries_read(database_url)["command_pending"] > 0)
    read = entries_read(database_url)
    assert read["delivery_pkey"] <= 2 * 1600
    assert read["delivery_stored"] <= 4 * 1600
    assert read["command_pending"] <= 3 * 400
