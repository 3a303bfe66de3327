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
from connector.store.commands import Done, NewCommand

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
    """R38: lock, read, the lead, its decision, the new book; and 21 with intake, matching and commands."""
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
    assert len(statements) <= 21, statements


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


def entries_read(url: str) -> dict[str, int]:
    """How many entries of each index were read in this database so far."""
    with psycopg.connect(url, autocommit=True) as connection:
        return dict(connection.execute("SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes").fetchall())


def analyse(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def test_a_batch_of_deliveries_does_not_step_over_those_that_are_done(office: Office, database_url: str) -> None:
    """With statistics from when all of them waited, a lead must not cost more the more have gone before."""
    office.deliver(*people(1600))
    analyse(database_url)

    while intake.work(office.services):
        pass

    # A session's figures are added up at its end.
    office.services.store.close()
    wait_until(lambda: entries_read(database_url)["delivery_stored"] >= 1600)
    read = entries_read(database_url)
    assert read["delivery_pkey"] <= 2 * 1600
    assert read["delivery_stored"] <= 4 * 1600


def test_a_batch_of_commands_does_not_read_all_that_wait(office: Office, database_url: str) -> None:
    """With statistics from before the backlog."""
    analyse(database_url)
    store, worker = office.services.store, uuid4()
    some = [NewCommand("crm", f"lead:{n}", ObjectType.LEAD, {}, "assign", uuid4()) for n in range(4000)]
    with store.transaction() as tx:
        commands.put(tx, some)
    for _ in range(5):
        with store.transaction() as tx:
            leased = commands.lease(tx, "crm", ObjectType.LEAD, worker, 200)
        with store.transaction() as tx:
            commands.finish(
                tx, "crm", worker, [Done(each, each.object_type, f"L-{each.id}", "created", {}) for each in leased]
            )

    store.close()
    wait_until(lambda: entries_read(database_url)["command_pkey"] >= 1000)
    assert entries_read(database_url)["command_pending"] <= 3 * 1000
