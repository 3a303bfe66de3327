"""A CRM that sends ids only: stored, answered, and each record is read in a job before anything follows (W5, W7)."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from desk import Desk, DeskServices, MemoryCrm, jan

from connector.adapters.base import Capability
from connector.errors import (
    AuthenticationError,
    ConnectorError,
    PermissionDenied,
    RateLimited,
    RecordLocked,
    RecordNotFound,
    StoreUnavailable,
    Unavailable,
)
from connector.flows import rereading, sync
from connector.flows.accept import accept
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.store import Transaction, commands, ledger, rereads

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
LEAD, CONTACT = ObjectType.LEAD, ObjectType.CONTACT


class NamingCrm(MemoryCrm):
    """Names records in its webhooks and its feed, and says nothing of them."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset((Capability.WEBHOOKS, Capability.CHANGE_FEED))
    batch_size: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.trouble: dict[str, ConnectorError] = {}
        self.merged: dict[str, RecordRef] = {}
        self.feed: list[CrmEvent] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.depth = threading.local()

    def fetch(self, ref: RecordRef) -> Record:
        assert not getattr(self.depth, "open", 0), "a call inside a transaction (P3)"
        self.fetched.append(ref.id)
        self.meanwhile()
        if ref.id in self.trouble:
            raise self.trouble[ref.id]
        to = self.merged.get(ref.id, ref)
        if to.id not in self.records:
            raise RecordNotFound("gone")
        fields = {name: value for name, value in self.records[to.id].items() if name != "key"}
        return Record(to, fields, NOW + timedelta(minutes=len(self.fetched)))

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        return [named(*each) for each in json.loads(delivery.body)]

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        return self.feed[int(cursor or 0) :], str(len(self.feed))


def named(record: str, object_type: str = "lead", minute: int = 0) -> CrmEvent:
    at = NOW + timedelta(minutes=minute)
    return CrmEvent(f"{record}-{minute}", EventType.RECORD_CHANGED, RecordRef(ObjectType(object_type), record), at)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.crm = made.services.crm = NamingCrm()
    watch_transactions(made.services, made.crm)
    made.post(**jan())
    made.work()
    made.send()
    yield made
    made.close()


def watch_transactions(services: DeskServices, crm: NamingCrm) -> None:
    original = services.store.transaction

    @contextmanager
    def watched() -> Iterator[Transaction]:
        crm.depth.open = getattr(crm.depth, "open", 0) + 1
        try:
            with original() as tx:
                yield tx
        finally:
            crm.depth.open -= 1

    services.store.transaction = watched  # type: ignore[method-assign]  # the store of this test alone


def tell(desk: Desk, *events: Sequence[Any]) -> None:
    body = json.dumps(list(events)).encode()
    accept(desk.services, Delivery(new_id(), "crm:sandbox", NOW, "application/json", body, {}, {}), verified="yes")
    while sync.work(desk.services):
        pass


def read_again(desk: Desk) -> int:
    return rereading.work(desk.services, "sandbox")


def due_now(desk: Desk) -> None:
    with desk.services.store.transaction() as tx:
        rereads.hurry(tx, "sandbox")


def crm_of(desk: Desk) -> NamingCrm:
    assert isinstance(desk.crm, NamingCrm)
    return desk.crm


def lead_record(desk: Desk) -> str:
    return str(desk.rows("SELECT record_id FROM binding WHERE key LIKE 'lead:%'")[0][0])


def waiting(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT record_id, attempts, reason FROM record_reread ORDER BY record_id")


def open_leads(desk: Desk) -> int:
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}
        return sum(entry[2] for entry in ledger.entries(tx).values())


def test_a_delivery_of_ids_is_answered_and_its_records_are_read_in_a_job(desk: Desk) -> None:
    """W5, W7: nothing is asked while the delivery is worked; what follows, follows from the record as it is."""
    record = lead_record(desk)
    desk.crm.records[record]["status"] = "closed"

    tell(desk, [record])

    assert crm_of(desk).fetched == []
    assert desk.rows("SELECT fate, reason FROM delivery WHERE kind = 'crm'") == [
        ("applied", "0 of 1 events were news, 1 records are read again")
    ]
    assert desk.rows("SELECT status FROM lead") == [("assigned",)]
    assert "reread" in desk.woken

    assert read_again(desk) == 1
    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert open_leads(desk) == 0
    assert waiting(desk) == []


def test_many_words_about_one_record_are_one_look(desk: Desk) -> None:
    """A28: duplicates and disorder cost one call."""
    for minute in (3, 1, 3, 2):
        tell(desk, ["a1", "account", minute], ["a1", "account", minute])
    desk.crm.records["a1"] = {"key": "", "owner": "U-1010", "domain": "kos.example"}

    read_again(desk)

    assert crm_of(desk).fetched == ["a1"]
    assert desk.rows("SELECT record_id, owner, domain FROM mirror_record") == [("a1", "U-1010", "kos.example")]


def test_the_feed_may_name_records_too(desk: Desk) -> None:
    """A22, W13"""
    record = lead_record(desk)
    desk.crm.records[record]["status"] = "converted"
    crm_of(desk).feed = [named(record)]

    sync.poll(desk.services, "sandbox")
    read_again(desk)

    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert desk.rows("SELECT cursor FROM connection_state") == [("1",)]


def test_a_record_that_is_gone_is_deleted(desk: Desk) -> None:
    """A23"""
    record = lead_record(desk)
    tell(desk, [record])
    del desk.crm.records[record]

    read_again(desk)

    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert waiting(desk) == []


@pytest.mark.parametrize("error", [RecordLocked("somebody edits it"), PermissionDenied("may not read leads")])
def test_one_record_that_cannot_be_read_is_tried_again_and_holds_up_nobody(desk: Desk, error: ConnectorError) -> None:
    record = lead_record(desk)
    desk.crm.records |= {name: {"key": ""} for name in ("b1", "b2", "b3")}
    desk.crm.records[record]["status"] = "closed"
    crm_of(desk).trouble[record] = error
    tell(desk, [record], ["b1"], ["b2"], ["b3"])

    read_again(desk)

    assert waiting(desk) == [(record, 1, f"{type(error).__name__}: {error}")]
    assert read_again(desk) == 0, "not at once"
    assert not desk.rows("SELECT FROM connection_state WHERE paused_until IS NOT NULL")
    crm_of(desk).trouble.clear()
    due_now(desk)
    read_again(desk)
    assert desk.rows("SELECT status FROM lead") == [("closed",)]


@pytest.mark.parametrize(
    "error",
    [RateLimited("slow down", retry_after=timedelta(minutes=7)), Unavailable("down"), AuthenticationError("no")],
)
def test_a_crm_that_asks_for_a_rest_is_asked_once_and_rests_as_a_whole(desk: Desk, error: ConnectorError) -> None:
    """A2: no attempt of a record is burned, nothing is lost."""
    names = ["b1", "b2", "b3", "b4", "b5"]
    desk.crm.records |= {name: {"key": ""} for name in names}
    crm_of(desk).trouble["b3"] = error
    tell(desk, *([name] for name in names))

    assert read_again(desk) == 0

    assert crm_of(desk).fetched == ["b1", "b2", "b3"]
    assert {(name, attempts) for name, attempts, _ in waiting(desk)} == {("b3", 0), ("b4", 0), ("b5", 0)}
    assert desk.rows("SELECT paused_until > now() FROM connection_state") == [(True,)]
    assert read_again(desk) == 0
    assert crm_of(desk).fetched == ["b1", "b2", "b3"], "while it rests nobody is asked"
    crm_of(desk).trouble.clear()
    with desk.services.store.transaction() as tx:
        commands.resume(tx, "sandbox")
    due_now(desk)
    read_again(desk)
    assert waiting(desk) == []


def test_what_is_said_while_a_record_is_read_is_read_anew(desk: Desk) -> None:
    desk.crm.records["a1"] = {"key": "", "owner": "U-1"}
    tell(desk, ["a1", "account", 1])

    def change_and_tell() -> None:
        crm_of(desk).meanwhile = lambda: None
        tell(desk, ["a1", "account", 2])

    crm_of(desk).meanwhile = change_and_tell
    read_again(desk)

    assert [row[0] for row in waiting(desk)] == ["a1"]
    assert read_again(desk) == 1
    assert waiting(desk) == []


def test_a_process_that_dies_with_a_record_in_hand_leaves_it_to_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = lead_record(desk)
    desk.crm.records[record]["status"] = "closed"
    tell(desk, [record])

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(rereads, "done", gone)
    with pytest.raises(StoreUnavailable):
        read_again(desk)
    monkeypatch.undo()

    assert desk.rows("SELECT status FROM lead") == [("assigned",)], "both or none"
    assert read_again(desk) == 0, "its lease runs"
    due_now(desk)
    read_again(desk)
    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert open_leads(desk) == 0


def test_a_merged_record_keeps_its_binding(desk: Desk) -> None:
    """A23: what was bound to the one is bound to the other, and goes on being heard."""
    record = lead_record(desk)
    tell(desk, [record])
    desk.crm.records["master"] = desk.crm.records.pop(record)
    crm_of(desk).merged[record] = RecordRef(LEAD, "master")

    read_again(desk)

    assert lead_record(desk) == "master"
    assert desk.rows("SELECT status FROM lead") == [("assigned",)]
    assert desk.rows("SELECT FROM mirror_record") == [], "it is no lead of the CRM's own"
    desk.crm.records["master"]["status"] = "closed"
    tell(desk, ["master", "lead", 9])
    read_again(desk)
    assert desk.rows("SELECT status FROM lead") == [("closed",)]


def test_two_of_our_leads_that_became_one_record_are_closed_together(desk: Desk) -> None:
    """A23"""
    desk.post(**jan(email="jan.kos@work.example", vorname="Johann"))
    desk.work()
    desk.send()
    records = [row[0] for row in desk.rows("SELECT record_id FROM binding WHERE key LIKE 'lead:%'")]
    assert len(records) == 2
    desk.crm.records["new"] = {**desk.crm.records[records[0]], "status": "closed"}
    crm_of(desk).merged = dict.fromkeys(records, RecordRef(LEAD, "new"))

    tell(desk, *([record] for record in records))
    read_again(desk)

    assert desk.rows("SELECT status FROM lead") == [("closed",), ("closed",)]
    assert open_leads(desk) == 0


def test_a_lead_that_became_a_contact_is_closed_and_its_tasks_go_to_the_contact(desk: Desk) -> None:
    """A23"""
    record = lead_record(desk)
    desk.crm.records["c1"] = {"key": "", "email": "jan@kos.example", "owner": "U-1010"}
    crm_of(desk).merged[record] = RecordRef(CONTACT, "c1")
    tell(desk, [record])

    read_again(desk)

    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert open_leads(desk) == 0
    assert desk.rows("SELECT object_type, record_id FROM binding WHERE key LIKE 'lead:%'") == [("contact", "c1")]
    assert desk.rows("SELECT object_type, record_id FROM mirror_record") == [("contact", "c1")]
