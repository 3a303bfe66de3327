"""The schema: upgraded or fresh it is the same, many may migrate at once, and the job queue finds what it expects."""

import os
import subprocess
import sys
from importlib.metadata import version

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager
from psycopg import sql

from connector.errors import StoreUnavailable
from connector.store import migrations
from connector.store.migrations.run import FOLDER

#: Everything a schema is made of, each thing as one line of text.
SHAPE = """
SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || udt_name || ' ' || is_nullable
    || ' ' || coalesce(column_default, '') || ' ' || is_identity || ' ' || coalesce(identity_generation, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
UNION ALL SELECT 'type ' || t.typname || ' ' || string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
    FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.typname
UNION ALL SELECT 'partition ' || inhrelid::regclass || ' of ' || inhparent::regclass FROM pg_inherits
"""


def shape(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute(SHAPE.encode()).fetchall()}


def upgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["url"] = url
    command.upgrade(config, revision)


def revisions() -> list[str]:
    """Return all revisions, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return [script.revision for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))]


def test_the_revisions_are_one_line_of_numbers() -> None:
    found = revisions()

    assert found == [f"{number:04}" for number in range(1, len(found) + 1)]


def test_an_upgraded_database_is_the_same_as_a_fresh_one(database_url: str, empty_database_url: str) -> None:
    for revision in revisions():
        upgrade(empty_database_url, revision)
    migrations.apply(empty_database_url)

    assert shape(empty_database_url) == shape(database_url)


def test_an_upgrade_keeps_what_is_stored(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0001")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "INSERT INTO event (type, source, source_id, object_type, record_id, occurred_at) "
            "VALUES ('deal.won', 'crm:sandbox', 'e1', 'deal', 'D-1', now())"
        )
        connection.execute("INSERT INTO rule_set (hash, document) VALUES ('h', 'd')")

    migrations.apply(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT source_id FROM event").fetchall() == [("e1",)]
        assert connection.execute("SELECT hash FROM rule_set").fetchall() == [("h",)]


def test_migrating_again_changes_nothing(empty_database_url: str) -> None:
    first = migrations.apply(empty_database_url)
    before = shape(empty_database_url)

    assert migrations.apply(empty_database_url) == first == revisions()[-1]
    assert shape(empty_database_url) == before


def test_three_processes_may_migrate_the_same_database_at_once(empty_database_url: str) -> None:
    environment = {**os.environ, "HEARBACK_DATABASE_URL": empty_database_url}
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "connector.cli", "migrate"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    outputs = [racer.communicate(timeout=120) for racer in racers]

    assert [racer.returncode for racer in racers] == [0, 0, 0], outputs
    assert {out for out, _ in outputs} == {f"The database is at revision {revisions()[-1]}.\n"}


def test_a_failed_migration_leaves_the_database_as_it_was(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0001")
    with psycopg.connect(empty_database_url) as connection:
        # In the way of the next revision, after it has made some of its tables.
        connection.execute("CREATE TABLE survey_answer (x integer)")
    before = shape(empty_database_url)

    with pytest.raises(Exception, match="survey_answer"):
        migrations.apply(empty_database_url)

    assert shape(empty_database_url) == before


def test_a_database_that_does_not_answer_is_said_so() -> None:
    with pytest.raises(StoreUnavailable, match="HEARBACK_DATABASE_URL"):
        migrations.apply("postgresql://nobody@127.0.0.1:1/nothing")


def test_the_job_queue_finds_the_schema_its_installed_version_expects(
    database_url: str, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.cursor().execute(sql.SQL(SchemaManager.get_schema()))  # type: ignore[arg-type]

    expected = shape(empty_database_url)
    ours = {line for line in shape(database_url) if "procrastinate" in line}

    assert ours == expected, (
        f"procrastinate {version('procrastinate')} expects another schema than our migrations make: add a revision in "
        "connector/store/migrations/versions/ with the SQL of procrastinate/sql/migrations/ that is new since the last "
        "one; procrastinate_schema.sql itself is frozen, revision 0001 has run elsewhere"
    )


def test_what_refuses_a_change_refuses_to_be_emptied_too(database_url: str) -> None:
    """P7, P8: TRUNCATE fires no trigger of rows."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgfoid = 'refuse_change'::regproc"
        ).fetchall()
        assert len(found) == 14
        for (table,) in found:
            with pytest.raises(psycopg.errors.RestrictViolation, match=f"{table} is append-only"):
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(table)))
