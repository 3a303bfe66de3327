"""`mode: observe`: everything is decided and shown, nothing is written, nothing old goes out unasked (issue 5, 4)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, jan

from connector.flows import erasing, responses, searching
from connector.model.crm import ObjectType
from connector.model.identity import new_id
from connector.store import commands, observed
from connector.store.commands import NewCommand
from connector.store.erasure import ERASE


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    mode(made, "observe")
    yield made
    made.close()


def mode(desk: Desk, wanted: str) -> None:
    other = {"observe": "write", "write": "observe"}[wanted]
    desk.edit("hearback.yaml", f"mode: {other}\n", f"mode: {wanted}\n")
    desk.publish()


def states(desk: Desk) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in desk.rows("SELECT purpose, state FROM command ORDER BY seq")]


def test_everything_is_decided_and_shown_and_nothing_is_written(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.send()

    assert desk.crm.calls == desk.crm.looks == []
    assert desk.rows("SELECT status, owner IS NOT NULL FROM lead") == [("assigned", True)]
    assert len(desk.rows("SELECT FROM decision")) == 1
    assert states(desk) == [("assign", "observed"), ("rep_task", "observed")]
    with desk.services.store.transaction() as tx:
        assert commands.backlog(tx) == {}, "nothing is late"
        assert len(commands.listing(tx, states=["observed"], limit=9)) == 2


def test_nothing_old_goes_out_when_the_mode_changes(desk: Desk) -> None:
    """Nor what no worker had looked at yet."""
    desk.post(**jan())
    desk.work()
    desk.send()
    desk.post(**jan(email="second@kos.example", vorname="Second"))
    desk.work()

    mode(desk, "write")
    desk.send()

    assert desk.crm.calls == []
    assert {state for _, state in states(desk)} == {"observed"}
    desk.post(**jan(email="third@kos.example", vorname="Third"))
    desk.work()
    desk.send()
    assert [fields["email"] for fields in desk.crm.records.values() if "email" in fields] == ["third@kos.example"]


def test_rolling_the_rules_back_keeps_to_it_too(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    mode(desk, "write")
    mode(desk, "observe")
    desk.post(**jan(email="second@kos.example", vorname="Second"))
    desk.work()
    mode(desk, "write")

    desk.send()

    assert desk.crm.calls == []


def test_what_follows_on_a_lead_that_was_only_shown_is_only_shown(desk: Desk) -> None:
    """An update of a record that was never made would make half a record."""
    desk.post(**jan())
    desk.work()
    mode(desk, "write")
    desk.post(**jan(telefon="+48 600 100 200"))
    desk.work()

    desk.send()

    assert desk.crm.calls == []
    assert states(desk) == [
        ("assign", "observed"), ("rep_task", "observed"), ("update", "observed"), ("rep_task", "observed"),
    ]  # fmt: skip


def test_a_lead_that_was_written_before_goes_on_being_written(desk: Desk) -> None:
    mode(desk, "write")
    desk.post(**jan())
    desk.work()
    desk.send()
    mode(desk, "observe")
    desk.post(**jan(firma="Kos SA"))
    desk.work()
    desk.send()
    mode(desk, "write")
    desk.crm.calls.clear()
    desk.post(**jan(telefon="+48 600 100 200"))
    desk.work()

    desk.send()

    sent = [command.fields for call in desk.crm.calls for command in call if command.object_type is ObjectType.LEAD]
    assert sent == [{"phone": "+48600100200"}]


def test_a_person_may_ask_for_it_in_the_order_in_which_it_was_decided(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.send()
    mode(desk, "write")
    with desk.services.store.transaction() as tx:
        assert observed.purposes(tx, "sandbox") == {"assign": 1, "rep_task": 1}
        assert observed.release(tx, "sandbox") == 2

    desk.send()

    assert states(desk) == [("assign", "done"), ("rep_task", "done")]
    assert [call[0].object_type for call in desk.crm.calls] == [ObjectType.LEAD, ObjectType.TASK]


def test_leads_that_are_over_stay_out(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.send()
    desk.run("UPDATE lead SET status = 'closed'")

    with desk.services.store.transaction() as tx:
        assert observed.release(tx, "sandbox") == 0


def test_one_command_may_be_written_alone(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.send()
    mode(desk, "write")
    (first, _) = desk.rows("SELECT id FROM command ORDER BY seq")
    with desk.services.store.transaction() as tx:
        assert commands.retry(tx, first[0])

    desk.send()

    assert states(desk) == [("assign", "done"), ("rep_task", "observed")]


def test_a_write_whose_answer_was_lost_is_not_forgotten(desk: Desk) -> None:
    """It may be there: it waits to be looked for until the connection is written to again."""
    mode(desk, "write")
    desk.post(**jan())
    desk.work()
    desk.run("UPDATE command SET unknown = true WHERE purpose = 'assign'")
    mode(desk, "observe")

    desk.send()

    assert states(desk) == [("assign", "pending"), ("rep_task", "observed")]


def test_an_erasure_is_owed_all_the_same(desk: Desk) -> None:
    gone = NewCommand("sandbox", "lead:x", ObjectType.LEAD, {}, ERASE, new_id(), record="r1")
    with desk.services.store.transaction() as tx:
        commands.put(tx, [gone])

    desk.send()

    assert states(desk) == [(ERASE, "pending")]


def test_nobody_is_reminded_of_a_lead_they_do_not_learn_of(desk: Desk) -> None:
    """A lead must not wander to the manager because its owner, who was not told, did not respond."""
    desk.edit("routing.yaml", "fallback:", 'response: {due: "2h", remind_at: [50]}\nfallback:')
    desk.publish()
    desk.post(**jan())
    desk.work()

    assert desk.rows("SELECT FROM response") == []
    mode(desk, "write")
    desk.post(**jan(email="second@kos.example", vorname="Second"))
    desk.work()
    assert len(desk.rows("SELECT FROM response")) == 1
    owner = desk.rows("SELECT owner FROM response")
    mode(desk, "observe")
    desk.run("UPDATE clock SET shift = interval '30 days'")

    responses.work(desk.services)

    assert desk.rows("SELECT owner, state FROM response") == [(owner[0][0], "offered")]
    assert responses.work(desk.services) == pytest.approx(3600, abs=60)


def test_somebody_erased_does_not_come_back_by_a_release(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.send()
    erasing.erase(desk.services, searching.person(desk.services, "jan@kos.example", ""), "ada", lambda *_: None)

    mode(desk, "write")
    with desk.services.store.transaction() as tx:
        assert observed.release(tx, "sandbox") == 0

    desk.send()
    assert desk.crm.calls == []
    assert desk.rows("SELECT state, fields FROM command") == [("parked", {}), ("parked", {})]
