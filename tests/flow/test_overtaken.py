"""What a CRM says may come before the answer to our own call, or in another order than it happened."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desk import Desk, jan

from connector.errors import OutcomeUnknown
from connector.flows import followups, sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.store import ledger

CRM = "sandbox"


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    yield made
    made.close()


def lost() -> OutcomeUnknown:
    error = OutcomeUnknown("no answer")
    error.applied = True  # type: ignore[attr-defined]
    return error


def hear(desk: Desk, object_type: ObjectType, record: str, key: str = "", **fields: object) -> None:
    """Have the CRM tell that somebody changed a record just now."""
    now = datetime.now(UTC)
    ref = RecordRef(object_type, record)
    event = CrmEvent(now.isoformat(), EventType.RECORD_CHANGED, ref, now, Record(ref, fields, now, key))  # type: ignore[arg-type]
    with desk.services.store.transaction() as tx:
        sync.apply(desk.services, tx, CRM, [event])


def look(desk: Desk, record: str, object_type: ObjectType, **changes: object) -> None:
    """Have the CRM tell of one of its records with what a person changed in it."""
    held = desk.crm.records[record]
    held |= changes
    hear(desk, object_type, record, **held)


def send_late(desk: Desk) -> None:
    """Send what is to be tried again, without the wait."""
    desk.run("UPDATE command SET due_at = '-infinity', leased_until = NULL WHERE state = 'pending'")
    desk.send()


def sold(desk: Desk) -> str:
    """Have a rep win a deal; return the record of its first task."""
    hear(desk, ObjectType.DEAL, "d1", stage="won", owner="U-1009", amount="100.00", currency="EUR", lead="r1")
    followups.sweep(desk.services)
    return next(row[0] for row in desk.rows("SELECT key FROM command WHERE purpose = 'followup_task'"))


def statuses(desk: Desk, key: str) -> list[str]:
    rows = desk.rows("SELECT fields ->> 'status' FROM command WHERE key = %s ORDER BY seq", key)
    return [row[0] for row in rows]


def test_a_lead_closed_before_our_answer_is_recorded_is_closed_and_stays_so(desk: Desk) -> None:
    """P5: the look finds our record, and what a person did with it meanwhile is not undone."""
    desk.post(**jan())
    desk.work()
    desk.crm.script.append(lost())
    desk.send()

    look(desk, "r1", ObjectType.LEAD, status="closed")
    send_late(desk)

    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert desk.crm.records["r1"]["status"] == "closed"
    assert {state for (state,) in desk.rows("SELECT state FROM command")} == {"done"}
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}


def test_a_lost_answer_is_looked_up_also_where_the_crm_keeps_keys_unique(desk: Desk) -> None:
    """P5: sent again, the lead would be as new once more."""
    desk.post(**jan())
    desk.work()
    desk.crm.script.append(lost())
    desk.send()

    desk.crm.records["r1"]["status"] = "closed"
    send_late(desk)

    assert len(desk.crm.looks) == 1
    assert desk.crm.records["r1"]["status"] == "closed"


def test_a_key_somebody_copied_to_another_record_binds_nothing(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.send()

    hear(desk, ObjectType.LEAD, "copy", key=desk.crm.records["r1"]["key"], status="closed")

    assert desk.rows("SELECT status FROM lead") == [("assigned",)]
    assert desk.rows("SELECT record_id FROM binding WHERE object_type = 'lead'") == [("r1",)]


def test_a_task_ticked_before_our_answer_is_recorded_is_reopened(desk: Desk) -> None:
    """F1."""
    key = sold(desk)
    desk.run("UPDATE command SET state = 'parked' WHERE object_type <> 'task'")
    desk.crm.script.append(lost())
    desk.send()
    (task,) = [id_ for id_, fields in desk.crm.records.items() if fields["key"] == key]

    look(desk, task, ObjectType.TASK, status="done")
    followups.sweep(desk.services)
    send_late(desk)
    followups.sweep(desk.services)
    send_late(desk)

    assert statuses(desk, key) == ["open", "open"]
    assert desk.crm.records[task]["status"] == "open"


@pytest.mark.parametrize("heard_of_the_reopening", [True, False])
def test_a_second_tick_is_seen_though_the_reopening_between_is_not(desk: Desk, heard_of_the_reopening: bool) -> None:
    """F1: webhooks overtake each other, and a change feed shows the newest state alone."""
    key = sold(desk)
    desk.send()
    (task,) = [id_ for id_, fields in desk.crm.records.items() if fields["key"] == key]
    look(desk, task, ObjectType.TASK, status="done")
    followups.sweep(desk.services)
    desk.send()
    assert desk.crm.records[task]["status"] == "open"
    if heard_of_the_reopening:
        look(desk, task, ObjectType.TASK)

    at = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()
    call = {"deal": "d1", "owner": "U-1009", "seconds": 200, "direction": "outbound", "source": "system"}
    hear(desk, ObjectType.CALL, "c1", occurred_at=at, **call)
    look(desk, task, ObjectType.TASK, status="done")
    followups.sweep(desk.services)

    assert desk.rows("SELECT state FROM step_instance WHERE step_key = 'confirm_order'") == [("done",)]
    assert statuses(desk, key) == ["open", "open", "done"]


def test_our_own_reopening_is_no_news_although_its_answer_was_lost(desk: Desk) -> None:
    """P9: only a person reopens a task in the log of events."""
    key = sold(desk)
    desk.send()
    (task,) = [id_ for id_, fields in desk.crm.records.items() if fields["key"] == key]
    look(desk, task, ObjectType.TASK, status="done")
    followups.sweep(desk.services)
    desk.crm.script.append(lost())
    desk.send()

    look(desk, task, ObjectType.TASK)
    send_late(desk)
    look(desk, task, ObjectType.TASK)

    told = desk.rows("SELECT type FROM event WHERE object_type = 'task' ORDER BY id")
    assert told == [("task.completed",)]


def test_a_sale_finds_its_lead_though_the_leads_record_was_not_known_at_first(desk: Desk) -> None:
    """B1: consent is the lead's, so without it nobody would be asked."""
    desk.post(**jan(einwilligung="ja"))
    desk.work()
    desk.crm.script.append(lost())
    desk.send()
    sold(desk)
    assert desk.rows("SELECT lead_id FROM sale") == [(None,)]
    send_late(desk)

    hear(
        desk, ObjectType.DEAL, "d1", stage="won", owner="U-1009", delivered_at=datetime.now(UTC).isoformat(), lead="r1"
    )
    followups.sweep(desk.services)

    assert desk.rows("SELECT s.lead_id = l.id, s.correlation = l.correlation FROM sale s, lead l") == [(True, True)]
    assert desk.rows("SELECT state FROM survey_invitation") == [("scheduled",)]


def test_decisions_are_in_the_order_of_their_times(desk: Desk) -> None:
    """P4: whoever waits for the ledger reads the clock afterwards."""
    with desk.services.store.transaction() as tx:
        before = tx.now()
        ledger.lock(tx)
        assert tx.now() > before
