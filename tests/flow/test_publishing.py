"""Publishing: what an admin edits is in force within a second or so, what is broken never is."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from connector import publishing
from connector.errors import ConfigurationError, StoreUnavailable
from connector.services import Services
from connector.settings import default_folder
from connector.store import Store, configuration
from connector.supervisor import TICK, Watcher
from connector.vault import Vault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the sample organisation."""
    return Path(shutil.copytree(default_folder(), tmp_path / "config"))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store(database_url, size=2) as opened:
        yield opened


@pytest.fixture
def services(store: Store) -> Services:
    """The services of another process, which only see what is published."""
    return Services(store, Vault("k" * 40), environ={})


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def watching(store: Store, folder: Path) -> Watcher:
    watcher = Watcher(store, folder)
    watcher.first()
    return watcher


def look(watcher: Watcher) -> None:
    """Look as often as it takes for a change to count."""
    watcher.look()
    watcher.look()


def active_hash(store: Store) -> str | None:
    with store.transaction() as tx:
        return configuration.active_hash(tx)


def until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# A change is taken up.


def test_a_change_in_the_folder_is_taken_up_by_a_running_process(store, folder, services) -> None:
    watcher = watching(store, folder)
    assert services.current().settings.people["anna.brandt"].max_open == 40

    edit(folder / "people.csv", ",DE-HH,de;en,yes,1,40,U-1001", ",DE-HH,de;en,yes,1,7,U-1001")

    def taken_up() -> bool:
        watcher.look()
        time.sleep(TICK)
        return services.current().settings.people["anna.brandt"].max_open == 7

    until(taken_up, 20)


def test_a_folder_that_is_taken_up_wakes_whoever_waits(store, folder, database_url) -> None:
    """R28"""
    watcher = watching(store, folder)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
    edit(folder / "people.csv", "U-1001", "U-7001")

    look(watcher)

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT args ->> 'job' FROM procrastinate_jobs").fetchall() == [("held",)]


def test_an_unchanged_folder_is_not_read_again(store, folder, monkeypatch) -> None:
    watcher = watching(store, folder)
    monkeypatch.setattr(publishing, "read", lambda _folder: pytest.fail("it was read"))

    look(watcher)


def test_publishing_the_same_content_again_changes_nothing(store, folder) -> None:
    first = publishing.publish(store, folder)
    for path in folder.rglob("*.csv"):
        path.touch()

    again = publishing.publish(store, folder)

    assert (first.changed, again.changed) == (True, False)
    assert first.hash == again.hash


def test_a_file_that_is_still_being_written_is_not_published_half(store, folder, services) -> None:
    """Half of territories.csv is a valid table that lacks rules."""
    rules = folder / "territories.csv"
    whole = rules.read_text(encoding="utf-8")
    watcher = watching(store, folder)
    before = active_hash(store)

    rules.write_text(whole[: whole.index("\n", len(whole) // 2) + 1], encoding="utf-8")
    watcher.look()
    rules.write_text(whole + "more,,990,CZ,,,,,,,,,,,,,de-south,\n", encoding="utf-8")
    watcher.look()

    assert active_hash(store) == before
    watcher.look()
    assert services.current().settings.rule_set.rules[-1].key == "more"


def test_a_file_that_vanishes_while_it_is_looked_at_does_no_harm(folder, monkeypatch) -> None:
    """Editors save by writing a second file and renaming it."""
    (folder / "people.csv~").write_text("x", encoding="utf-8")
    stat = Path.stat

    def vanishing(path: Path, **options: bool):
        if path.name == "people.csv~":
            raise FileNotFoundError(path)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanishing)

    assert all("people.csv~" not in name for name, _, _ in publishing.fingerprint(folder))


def test_a_change_made_while_the_database_is_down_is_published_when_it_is_back(store, folder, database_url) -> None:
    watcher = watching(store, folder)
    before = active_hash(store)
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    edit(folder / "routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    watcher.look()

    with psycopg.connect(database_url.replace(f"/{name}?", "/postgres?"), autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        with pytest.raises(StoreUnavailable):
            watcher.look()
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

    def published() -> bool:
        try:
            watcher.look()
            return active_hash(store) != before
        except StoreUnavailable:
            return False

    until(published, 20)


# What is broken is not.


def test_a_broken_folder_leaves_the_last_good_version_in_force_and_says_why(store, folder, services, caplog) -> None:
    watcher = watching(store, folder)
    before = active_hash(store)
    edit(folder / "routing.yaml", "person: anna.brandt", "person: nobody.known")

    with caplog.at_level(logging.WARNING, logger="connector.supervisor"):
        look(watcher)

    assert active_hash(store) == before
    assert services.current().settings.hash == before
    assert "routing.yaml:" in caplog.text
    assert "nobody.known" in caplog.text
    assert "the last good version stays in force" in caplog.text


def test_a_broken_folder_is_complained_about_once(store, folder, caplog) -> None:
    watcher = watching(store, folder)
    (folder / "people.csv").write_text("key\n", encoding="utf-8")

    with caplog.at_level(logging.ERROR, logger="connector.supervisor"):
        for _ in range(5):
            watcher.look()

    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_a_repaired_folder_is_published(store, folder) -> None:
    watcher = watching(store, folder)
    before = active_hash(store)
    edit(folder / "hearback.yaml", "adapter: sandbox", "adapter: sandbocks")
    look(watcher)
    edit(folder / "hearback.yaml", "adapter: sandbocks", "adapter: sandbox")
    edit(folder / "hearback.yaml", "rep_tasks: true", "rep_tasks: false")

    look(watcher)

    assert active_hash(store) not in (None, before)


def test_a_folder_that_disappears_leaves_the_last_good_version_in_force(store, folder) -> None:
    watcher = watching(store, folder)
    before = active_hash(store)
    shutil.rmtree(folder)

    look(watcher)

    assert active_hash(store) == before


def test_a_start_with_a_broken_folder_goes_on_with_what_was_published_before(store, folder) -> None:
    publishing.publish(store, folder)
    before = active_hash(store)
    (folder / "teams.csv").unlink()

    watcher = watching(store, folder)

    assert watcher.active().hash == before


def test_a_first_start_with_a_broken_folder_is_refused(store, folder) -> None:
    (folder / "teams.csv").unlink()

    with pytest.raises(ConfigurationError, match="hearback check"):
        watching(store, folder)

    assert active_hash(store) is None


# One pointer.


def test_publishing_the_old_folder_goes_back_to_the_old_version(store, folder, tmp_path, database_url) -> None:
    old = Path(shutil.copytree(folder, tmp_path / "old"))
    first = publishing.publish(store, folder)
    edit(folder / "routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    second = publishing.publish(store, folder)

    back = publishing.publish(store, old)

    assert (back.hash, back.changed) == (first.hash, True)
    assert active_hash(store) == first.hash != second.hash
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM configuration").fetchone() == (2,)


def test_an_organisation_that_publishes_by_hand_is_left_alone(store, folder) -> None:
    edit(folder / "hearback.yaml", "publish: automatic", "publish: manual")
    watcher = watching(store, folder)
    before = active_hash(store)
    edit(folder / "routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')

    look(watcher)

    assert active_hash(store) == before
    watching(store, folder)
    assert active_hash(store) == before, "a restart is no hand"


def test_a_published_configuration_holds_names_of_secrets_only(store, folder, monkeypatch) -> None:
    monkeypatch.setenv("HEARBACK_SANDBOX_TOKEN", "the-token-itself")
    published = publishing.publish(store, folder)

    with store.transaction() as tx:
        document = configuration.document(tx, str(published.hash))

    assert b"HEARBACK_SANDBOX_TOKEN" in document
    assert b"the-token-itself" not in document


# History cannot be rewritten.

ROWS = {
    "configuration": "INSERT INTO configuration (hash, document, rule_set) VALUES ('h', 'd', 'r')",
    "rule_set": "INSERT INTO rule_set (hash, document) VALUES ('h', 'd')",
    "decision": "INSERT INTO decision (seq, lead_id, assign_seq, decided_at, rule_set, outcome, record, digest) "
    "VALUES (1, gen_random_uuid(), 1, now(), 'r', 'assigned', '{}', 'x')",
    "event": "INSERT INTO event (type, source, source_id, object_type, record_id, occurred_at) "
    "VALUES ('t', 's', 'i', 'o', 'r', now())",
    "credit": "INSERT INTO credit (id, connection, deal, person, state, amount, currency, base_currency, effective_on, "
    "recorded_at) VALUES (gen_random_uuid(), 'c', 'd', 'p', 'confirmed', 1, 'EUR', 'EUR', now(), now())",
}
#: A column of each table.
COLUMN = {
    "configuration": "document",
    "rule_set": "document",
    "decision": "record",
    "event": "type",
    "credit": "person",
}


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("change", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
def test_the_database_itself_refuses_to_rewrite_history(table: str, change: str, database_url: str) -> None:
    """Promises P7 and P8: published versions are immutable, decisions, facts and credits are append-only."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(ROWS[table].encode())

        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            connection.execute(change.format(table=table, column=COLUMN[table]).encode())

        assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (1,)
