"""A page of the intake list reads a page's worth of rows, however many there are."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from connector.store import Store, Transaction, inbox
from connector.store.inbox import Wanted

ROWS = 40_000
#: Pages of 8 kB, for 51 rows and their leads; a walk through everything reads more than ROWS.
MOST = 1500


class Explaining(Transaction):
    """Counts the pages that queries read."""

    read = 0

    def all(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        self._count(query, parameters)
        return super().all(query, *parameters)

    def one(self, query: str, *parameters: object) -> tuple[Any, ...] | None:
        self._count(query, parameters)
        return super().one(query, *parameters)

    def _count(self, query: str, parameters: tuple[object, ...]) -> None:
        plan = super().all(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *parameters)[0][0]
        top = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
        self.read += top["Shared Hit Blocks"] + top["Shared Read Blocks"]


@pytest.fixture(scope="module")
def store(postgres: str, template: str) -> Iterator[Store]:
    from web_support import fresh_database  # noqa: PLC0415 (imports the edge, which other modules here do without)

    with fresh_database(postgres, template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, state, fate, "
                "received_at) SELECT gen_random_uuid(), 'lead', 'source-' || n %% 7, '', 100, sha256('x'), 'none', "
                "CASE WHEN n %% 2000 = 0 THEN 'quarantined' ELSE 'done' END, CASE WHEN n %% 2000 = 0 THEN NULL "
                "WHEN n %% 9 = 1 THEN 'duplicate' WHEN n = 39999 THEN 'rejected' ELSE 'leads' END, "
                "now() - make_interval(secs => n) FROM generate_series(1, %s) n",
                (ROWS,),
            )
            connection.execute(
                "UPDATE delivery SET source = 'rare' WHERE received_at < now() - make_interval(secs => %s)",
                (ROWS - 60,),
            )
        with Store(url) as store:
            yield store


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        *(Wanted(outcome) for outcome in inbox.OUTCOMES),
        Wanted(source="source-3"),
        Wanted(source="rare"),
        Wanted(source="nobody"),
        Wanted("leads", "rare"),
        Wanted("quarantined", "source-3"),
    ],
    ids=lambda wanted: f"{wanted.outcome or 'any'}-{wanted.source or 'any'}",
)
def test_a_page_costs_the_same_however_many_deliveries_there_are(store: Store, wanted: Wanted) -> None:
    with store.transaction() as tx:
        explaining = Explaining(tx.connection)
        first = inbox.page(explaining, wanted, before=None, limit=51)
        if len(first) > 50:
            inbox.page(explaining, wanted, before=first[-1].id, limit=51)

    assert explaining.read < MOST * (1 + (len(first) > 50))


def test_the_overview_does_not_walk_through_what_is_done(store: Store) -> None:
    with store.transaction() as tx:
        explaining = Explaining(tx.connection)

        assert inbox.oldest_stored(explaining) is None
        assert len(inbox.sources(explaining)) == 8
        assert sum(group.total for group in inbox.set_aside(explaining, Wanted())) == 20

    assert explaining.read < MOST


def test_a_release_takes_the_oldest_first_and_no_more_than_asked(store: Store) -> None:
    with store.transaction() as tx:
        released = inbox.release(tx, Wanted(source="source-3"), datetime.now(UTC), 1)
        left = inbox.set_aside(tx, Wanted(source="source-3"))

    assert len(released) == 1
    assert sum(group.total for group in left) > 0
    assert all(group.oldest <= group.newest for group in left)
