"""Sending commands: what happens when the CRM is slow, down, wrong, or does not answer."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from desk import Desk, jan

from connector.errors import (
    AuthenticationError,
    InvalidRecord,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from connector.model.crm import ObjectType
from connector.model.identity import new_id
from connector.store import commands


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    yield made
    made.close()


def states(desk: Desk) -> list[tuple[str, str, int]]:
    return desk.rows("SELECT object_type, state, attempts FROM command ORDER BY seq")  # type: ignore[return-value]


def test_a_lead_goes_first_and_its_task_links_to_it(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()

    desk.send()

    lead, task = desk.crm.calls
    assert [command.object_type for command in (*lead, *task)] == [ObjectType.LEAD, ObjectType.TASK]
    assert task[0].fields["lead"] == "r1"
    assert desk.crm.records["r1"]["owner"] == "U-1009"
    assert states(desk) == [("lead", "done", 1), ("task", "done", 1)]


def test_while_leads_wait_in_full_batches_tasks_wait_for_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5: what a burst delays is the tasks, not that the last lead has an owner."""
    monkeypatch.setattr(type(desk.crm), "batch_size", 2)
    for number in range(5):
        desk.post(**jan(email=f"p{number}@kos.example", vorname=f"P{number}"))
    desk.work()

    desk.send()

    types = [[command.object_type for command in call] for call in desk.crm.calls]
    lead, task = ObjectType.LEAD, ObjectType.TASK
    assert types == [[lead, lead], [lead, lead], [lead], [task, task], [task, task], [task]]


def test_a_lost_answer_to_a_task_is_looked_up_before_it_is_sent_again(desk: Desk) -> None:
    """P5, K5, A9: applied, then no answer."""
    desk.post(**jan())
    desk.work()
    lost = OutcomeUnknown("no answer")
    lost.applied = True  # type: ignore[attr-defined]
    desk.crm.script.extend(["", lost])
    desk.send()
    assert states(desk)[1] == ("task", "pending", 1)
    desk.run("UPDATE command SET due_at = '-infinity'")

    desk.send()

    assert desk.crm.looks == [[desk.crm.records["r2"]["key"]]]
    assert len(desk.crm.records) == 2
    assert states(desk)[1] == ("task", "done", 2)


def test_an_answer_lost_before_the_write_is_sent_again_after_the_look(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.crm.script.extend(["", OutcomeUnknown("no answer")])
    desk.send()
    desk.run("UPDATE command SET due_at = '-infinity'")

    desk.send()

    assert len(desk.crm.looks) == 1
    assert len(desk.crm.records) == 2


def test_a_lease_that_ran_out_counts_as_an_unknown_outcome(desk: Desk) -> None:
    """The worker that leased the task died: somebody else looks before sending."""
    desk.post(**jan())
    desk.work()
    desk.crm.refused["nothing"] = InvalidRecord("unused")
    with desk.services.store.transaction() as tx:
        commands.lease(tx, "sandbox", ObjectType.LEAD, desk.services.worker, 10)
    desk.send()
    assert not desk.crm.calls, "a leased command is nobody else's"
    desk.run("UPDATE command SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL")

    desk.send()

    assert desk.rows("SELECT unknown FROM command WHERE object_type = 'lead'") == [(True,)]
    assert all(state == "done" for _, state, _ in states(desk))


@pytest.mark.parametrize(
    ("error", "least"),
    [
        pytest.param(RateLimited("slow down", retry_after=timedelta(seconds=30)), 25, id="rate limit"),
        pytest.param(Unavailable("down"), 5, id="down"),
        pytest.param(AuthenticationError("refused"), 200, id="credentials"),
    ],
)
def test_trouble_of_the_connection_rests_it_and_burns_no_attempt(desk: Desk, error: Exception, least: int) -> None:
    desk.post(**jan())
    desk.work()
    desk.crm.script.append(error)  # type: ignore[arg-type]

    desk.send()
    desk.send()

    assert len(desk.crm.calls) == 1, "a resting connection is left alone"
    assert states(desk)[0] == ("lead", "pending", 0)
    ((rests,),) = desk.rows("SELECT extract(epoch FROM paused_until - now())::float FROM connection_state")
    assert rests > least


def test_after_a_rest_a_batch_comes_back_whole(desk: Desk) -> None:
    """Commands due one by one would take many calls of a few, from the very limit the connection rested for."""
    for number in range(20):
        desk.post(**jan(email=f"p{number}@kos.example", vorname=f"P{number}"))
    desk.work()
    desk.crm.script.append(RateLimited("too fast", retry_after=timedelta(seconds=10)))
    desk.send()

    assert len(desk.rows("SELECT DISTINCT due_at FROM command WHERE object_type = 'lead'")) == 1
    assert desk.rows(
        "SELECT count(*) FROM command, connection_state WHERE object_type = 'lead' AND due_at > paused_until"
    ) == [(0,)]


def test_of_two_workers_one_takes_all_that_fits_one_call(desk: Desk) -> None:
    """Two who skip each other's rows would make two calls of a part each."""
    desk.post(**jan())
    desk.work()
    taken: list[int] = []

    def take() -> None:
        with desk.services.store.transaction() as other:
            taken.append(len(commands.lease(other, "sandbox", ObjectType.LEAD, new_id(), 200)))

    second = threading.Thread(target=take)
    with desk.services.store.transaction() as tx:
        assert len(commands.lease(tx, "sandbox", ObjectType.LEAD, new_id(), 200)) == 1
        second.start()
        second.join(0.5)
        assert second.is_alive(), "it looks for what is ready before the first one knows what it has"
    second.join(20)

    assert taken == [0]


def test_a_refused_record_becomes_a_dead_letter_that_a_person_can_retry(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    ((key, lead),) = desk.rows("SELECT key, id FROM command WHERE object_type = 'lead'")
    desk.crm.refused[key] = InvalidRecord("LastName is missing", fields=["LastName"])
    desk.send()
    assert states(desk) == [("lead", "dead", 1), ("task", "pending", 0)], "the task waits for its lead"
    ((error,),) = desk.rows("SELECT error FROM command WHERE state = 'dead'")
    assert "LastName is missing" in error

    desk.crm.refused.clear()
    with desk.services.store.transaction() as tx:
        assert commands.retry(tx, lead)
    desk.send()

    assert [state for _, state, _ in states(desk)] == ["done", "done"]


def test_one_bad_record_does_not_hold_up_the_batch(desk: Desk) -> None:
    """A13: partial failure, item by item."""
    desk.post(**jan())
    desk.post(**jan(email="eva@lis.example", vorname="Eva"))
    desk.work()
    (first,) = desk.rows("SELECT key FROM command WHERE object_type = 'lead' ORDER BY seq LIMIT 1")[0]
    desk.crm.refused[first] = InvalidRecord("no")

    desk.send()

    assert sorted(state for _, state, _ in states(desk)) == ["dead", "done", "done", "pending"]


def test_commands_with_one_key_go_out_in_order_one_at_a_time(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.post(**jan(telefon="+48 22 555 01 01"))
    desk.work()

    desk.send()

    sent = [command for call in desk.crm.calls for command in call if command.object_type is ObjectType.LEAD]
    assert ["phone" in command.fields for command in sent] == [False, True]
    assert sent[1].record is not None
    assert desk.crm.records["r1"]["phone"] == "+48225550101"


def test_a_parked_command_lets_later_ones_pass(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.post(**jan(telefon="+48 22 555 01 01"))
    desk.work()
    ((first,),) = desk.rows("SELECT id FROM command ORDER BY seq LIMIT 1")
    with desk.services.store.transaction() as tx:
        assert commands.park(tx, first)

    desk.send()

    assert ("lead", "parked", 0) in states(desk)
    assert [c.fields.get("phone") for c in desk.crm.calls[0]] == ["+48225550101"]


def test_in_observe_mode_nothing_is_sent(desk: Desk) -> None:
    desk.edit("hearback.yaml", "mode: write", "mode: observe")
    desk.publish()
    desk.post(**jan())
    desk.work()

    desk.send()

    assert not desk.crm.calls
    assert desk.rows("SELECT count(*) FROM lead WHERE status = 'assigned'") == [(1,)]
