"""What a connection costs and how it rests: calls by purpose, the CRM's own budget, pauses (issue 5, items 5 and 9)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from account_crm import PAGE, AccountCrm, slow_down
from desk import Desk, jan

from connector import jobs
from connector.adapters import metering
from connector.errors import ConnectorError, OutcomeUnknown, RateLimited, StoreUnavailable, Unavailable
from connector.flows import calls, deliver, rereading, rest, sync
from connector.model.crm import Budget, CrmEvent, EventType, ObjectType, Record, RecordRef, Upsert, WriteResult
from connector.store import calls as counted
from connector.store import commands, connections, rereads
from connector.store import sync as cursors

LEAD, DEAL = ObjectType.LEAD, ObjectType.DEAL


class CountingCrm(AccountCrm):
    """Counts what its memory is asked for, as an adapter counts its requests."""

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        self._call()
        return super().upsert(commands)

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, RecordRef | ConnectorError]:
        self._call()
        return super().find(object_type, keys)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.crm = made.services.crm = CountingCrm()
    metering.take()
    yield made
    metering.take()
    made.close()


def crm_of(desk: Desk) -> CountingCrm:
    assert isinstance(desk.crm, CountingCrm)
    return desk.crm


def today(desk: Desk, connection: str = "sandbox") -> dict[str, int]:
    with desk.services.store.transaction() as tx:
        return counted.today(tx, connection)


def test_calls_are_told_apart_by_what_they_are_for(desk: Desk) -> None:
    """Item 9: a write by what most of its batch is for, a look, a poll, a record read again."""
    crm = crm_of(desk)
    crm.trouble = [OutcomeUnknown("no answer")]
    desk.post(**jan())
    desk.work()
    desk.send()
    desk.run("UPDATE command SET due_at = '-infinity'")
    desk.send()
    sync.poll(desk.services, "sandbox")
    with desk.services.store.transaction() as tx:
        rereads.put(tx, "sandbox", [("account", "a1", tx.now())])
    rereading.work(desk.services, "sandbox")

    calls.flush(desk.services)

    assert today(desk) == {"write:assign": 2, "fetch": 1, "find": 1, "poll": 1, "write:rep_task": 1}


def test_a_worker_puts_them_down_after_each_turn_and_adds_to_the_days(desk: Desk) -> None:
    for name in ("one", "two"):
        desk.post(**jan(email=f"{name}@kos.example", vorname=name))
        desk.work()
        jobs.Workers(desk.services).run("commands:sandbox")

    assert today(desk) == {"write:assign": 2, "write:rep_task": 2}
    assert metering.take() == {}


def test_calls_that_cannot_be_stored_stay_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    metering.count("sandbox")

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(counted, "add", gone)
    with pytest.raises(StoreUnavailable):
        calls.flush(desk.services)
    monkeypatch.undo()
    calls.flush(desk.services)

    assert today(desk) == {"other": 1}


def test_what_the_crm_says_of_its_limit_is_kept_for_every_process(desk: Desk) -> None:
    """A28: who asks is not who called."""
    crm_of(desk).limit = Budget(18, 5000, "24 hours")
    sync.poll(desk.services, "sandbox")
    calls.flush(desk.services)

    with desk.services.store.transaction() as tx:
        state = connections.state(tx, "sandbox")
    assert state.budget == Budget(18, 5000, "24 hours")
    assert state.budget_at is not None


def test_a_backlog_says_when_it_is_gone(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    with desk.services.store.transaction() as tx:
        assert connections.waiting(tx, "sandbox").drained_in is None, "nothing went out yet"
    deliver.work(desk.services, "sandbox")
    with desk.services.store.transaction() as tx:
        assert connections.waiting(tx, "sandbox").written == 2
        assert connections.waiting(tx, "sandbox").drained_in == 0
        connections.note_written(tx, "sandbox", 48)
    for number in range(10):
        desk.post(**jan(email=f"p{number}@kos.example", vorname=f"P{number}"))
    desk.work()

    with desk.services.store.transaction() as tx:
        waiting = connections.waiting(tx, "sandbox")

    assert (waiting.backlog, waiting.written) == (20, 50)
    assert waiting.drained_in == 4, "20 writes at 50 in ten minutes"


@pytest.mark.parametrize("error", [slow_down(7), Unavailable("down")])
def test_a_crm_that_asks_for_a_rest_while_it_is_read_is_left_alone(desk: Desk, error: ConnectorError) -> None:
    """A2: one request, then nobody writes, polls or reads until the rest is over; the page is read again then."""
    crm = crm_of(desk)
    crm.trouble = [error]
    with pytest.raises(type(error)):
        sync.poll(desk.services, "sandbox")
    assert metering.take() == {("sandbox", "poll"): 1}

    desk.post(**jan())
    desk.work()
    desk.send()
    sync.poll(desk.services, "sandbox")

    assert metering.take() == {}
    assert desk.rows("SELECT reason FROM connection_state") == [(str(error),)]
    with desk.services.store.transaction() as tx:
        commands.resume(tx, "sandbox")
    desk.send()
    assert [call[0].object_type for call in crm.calls] == [LEAD, ObjectType.TASK]


def test_a_pause_slows_neither_intake_nor_another_connection(desk: Desk) -> None:
    """Item 5"""
    with desk.services.store.transaction() as tx:
        commands.pause(tx, "elsewhere", until=None, reason="paused by ada")

    desk.post(**jan())
    desk.work()
    desk.send()

    assert desk.rows("SELECT status FROM lead") == [("assigned",)]
    assert desk.rows("SELECT DISTINCT state FROM command") == [("done",)]


def test_the_longest_pause_stands(desk: Desk) -> None:
    """Calls that were under way come back with limits of their own."""
    for error in (RateLimited("an hour", retry_after=timedelta(hours=1)), RateLimited("a second")):
        rest.pause_for(desk.services, "sandbox", error)

    assert desk.rows("SELECT reason, paused_until > now() + interval '50 minutes' FROM connection_state") == [
        ("an hour", True)
    ]


# The change feed.


def deal(id_: str, at: timedelta, **fields: str) -> CrmEvent:
    when = datetime.now(UTC) + at
    return CrmEvent(
        id_, EventType.RECORD_CHANGED, RecordRef(DEAL, id_), when, Record(RecordRef(DEAL, id_), fields, when)
    )


def test_what_happened_before_the_first_load_starts_nothing(desk: Desk) -> None:
    """A deal won last year is mirrored, and no follow-up plan begins today."""
    crm_of(desk).feed = [deal("old", -timedelta(days=300), stage="won"), deal("new", timedelta(minutes=1), stage="won")]

    sync.poll(desk.services, "sandbox")

    assert {row[0] for row in desk.rows("SELECT record_id FROM mirror_record")} == {"old", "new"}
    assert desk.rows("SELECT record_id, type FROM event") == [("new", "opportunity.won")]


def test_what_happened_since_the_connection_is_ours_is_no_history_however_late_it_is_told(desk: Desk) -> None:
    """The first look at the feed comes up to a minute after a publication, or whenever the CRM answers."""
    won = deal("between", timedelta(0), stage="won")
    crm_of(desk).feed = [deal("new", timedelta(minutes=1))]
    sync.poll(desk.services, "sandbox")

    with desk.services.store.transaction() as tx:
        sync.apply(desk.services, tx, "sandbox", [won])

    assert desk.rows("SELECT record_id, type FROM event") == [("between", "opportunity.won")]


def test_two_who_read_the_same_page_do_not_go_back(desk: Desk) -> None:
    with desk.services.store.transaction() as tx:
        cursors.begin(tx, "sandbox")
        cursors.advance(tx, "sandbox", "", "2", caught_up=False)
        cursors.advance(tx, "sandbox", "2", "4", caught_up=False)
        cursors.advance(tx, "sandbox", "", "2", caught_up=False)

        assert cursors.cursor(tx, "sandbox") == "4"


def test_the_workers_poll_waits_while_somebody_reads_the_feed(desk: Desk) -> None:
    """`crm sync` and the worker do not pay for the same pages."""
    sync.poll(desk.services, "sandbox")
    metering.take()

    jobs.Workers(desk.services).run("poll:sandbox")

    assert metering.take() == {}
    desk.run("UPDATE connection_state SET polled_at = polled_at - interval '1 minute'")
    jobs.Workers(desk.services).run("poll:sandbox")
    assert today(desk) == {"poll": 1}


def test_a_worker_that_is_told_to_stop_reads_no_further_page(desk: Desk) -> None:
    """Else a long first load would hold up its end, and it would be killed in a call."""
    crm_of(desk).feed = [deal(f"d{number}", timedelta(0)) for number in range(3 * PAGE)]
    workers = jobs.Workers(desk.services)
    workers.stopping.set()

    sync.poll(desk.services, "sandbox", workers.stopping.is_set)

    assert desk.rows("SELECT count(*) FROM mirror_record") == [(PAGE,)]
    sync.poll(desk.services, "sandbox")
    assert desk.rows("SELECT count(*) FROM mirror_record") == [(3 * PAGE,)]
