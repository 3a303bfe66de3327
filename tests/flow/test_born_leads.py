"""Open leads that were born in the CRM count for their owners' caps, so that routing needs no CRM call (issue 5, 4)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from desk import Desk, MemoryCrm

from connector.flows import born, held, sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Outcome, Record, RecordRef, Upsert, Value, WriteResult
from connector.store import crm_leads, decisions, ledger
from connector.store import sync as cursors

AGNIESZKA = "agnieszka.wilk"
POLAND = (AGNIESZKA, "michal.gorski", "zofia.krawczyk", "pawel.duda")
NOW = datetime.now(UTC)
CAP = 3
_NUMBERS = count(1)


class LinkingCrm(MemoryCrm):
    """Has every person already, as the record it is told to have."""

    has: str = ""

    def _write(self, command: Upsert) -> WriteResult:
        if self.has and command.object_type is ObjectType.LEAD and command.record is None:
            return WriteResult(RecordRef(ObjectType.LEAD, self.has), Outcome.LINKED)
        return super()._write(command)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.crm = made.services.crm = LinkingCrm()
    people = made.folder / "people.csv"
    header, *rows = people.read_text("utf-8").splitlines()
    at = header.split(",").index("max_open")
    changed = [header]
    for row in rows:
        cells = row.split(",")
        if cells[0] == AGNIESZKA:
            cells[at] = str(CAP)
        changed.append(",".join(cells))
    people.write_text("\n".join([*changed, ""]), "utf-8")
    members = "".join(f"      - {name}\n" for name in POLAND)
    made.edit("routing.yaml", f"    members:\n{members}", f"    members: [{AGNIESZKA}]\n")
    made.publish()
    yield made
    made.close()


def user(desk: Desk) -> str:
    return desk.services.current().settings.people[AGNIESZKA].users["sandbox"]


def tell(desk: Desk, record: str, *, type_: EventType = EventType.RECORD_CHANGED, **fields: Value) -> None:
    """Have the CRM tell of a lead of its own, each time a little later."""
    ref, at = RecordRef(ObjectType.LEAD, record), NOW + timedelta(seconds=next(_NUMBERS))
    said: dict[str, Value] = {"email": f"{record}@born.example", "owner": user(desk), "status": "working"} | fields
    held_record = Record(ref, said, at) if type_ is EventType.RECORD_CHANGED else None
    with desk.services.store.transaction() as tx:
        sync.apply(desk.services, tx, "sandbox", [CrmEvent(str(at), type_, ref, at, held_record)])


def post(desk: Desk, number: int) -> str:
    """Post a lead that only Agnieszka may take; return its status."""
    desk.post(vorname=f"P{number}", nachname="Kos", email=f"p{number}@kos.example", plz="00-950", land="PL")
    desk.work()
    return str(desk.rows("SELECT status FROM lead ORDER BY id DESC LIMIT 1")[0][0])


def open_of(desk: Desk) -> int:
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}
        return crm_leads.counts(tx, "sandbox").get(AGNIESZKA, 0)


def test_they_fill_the_cap_of_their_owner(desk: Desk) -> None:
    tell(desk, "b1")
    tell(desk, "b2")

    assert post(desk, 1) == "assigned"
    assert post(desk, 2) == "held"
    assert open_of(desk) == 2
    ((record,),) = desk.rows("SELECT record FROM decision WHERE outcome = 'held'")
    assert f"{CAP}/{CAP}" in record, "the record says which number stood against which cap"
    assert json.loads(record)["book"][AGNIESZKA][2] == CAP


@pytest.mark.parametrize(
    "fields", [{"status": "closed"}, {"status": "converted"}, {"owner": "U-somebody"}, {"owner": None}]
)
def test_one_that_ends_or_moves_makes_room_at_once(desk: Desk, fields: dict[str, Value]) -> None:
    for record in ("b1", "b2", "b3"):
        tell(desk, record)
    assert post(desk, 1) == "held"
    desk.woken.clear()

    tell(desk, "b2", **fields)

    assert "held" in desk.woken
    assert held.work(desk.services) == 1
    assert open_of(desk) == 2


def test_one_that_is_deleted_makes_room(desk: Desk) -> None:
    tell(desk, "b1")
    tell(desk, "b1", type_=EventType.RECORD_DELETED)

    assert open_of(desk) == 0


def test_a_person_counts_once(desk: Desk) -> None:
    """In two records of the CRM, and as an open lead of ours with the same owner."""
    tell(desk, "b1", email="p1@kos.example")
    tell(desk, "b2", email="p1@kos.example")
    tell(desk, "b3", email="")
    tell(desk, "b4", email="")
    assert open_of(desk) == 3

    tell(desk, "b4", status="closed")
    assert post(desk, 1) == "assigned"
    tell(desk, "b3", status="new")

    assert open_of(desk) == 1


def test_one_that_becomes_ours_is_not_counted_twice(desk: Desk) -> None:
    """A15: the CRM links our new lead to the one it has."""
    tell(desk, "b1")
    assert isinstance(desk.crm, LinkingCrm)
    desk.crm.has = "b1"

    assert post(desk, 1) == "assigned"
    desk.send()

    assert desk.rows("SELECT record_id FROM binding WHERE key LIKE 'lead:%'") == [("b1",)]
    assert open_of(desk) == 0
    assert desk.rows("SELECT FROM mirror_record WHERE object_type = 'lead'") == []


def test_the_ledger_stays_our_own(desk: Desk) -> None:
    """What is not ours is not written back: our row counts our leads."""
    tell(desk, "b1")
    post(desk, 1)
    post(desk, 2)

    assert desk.rows("SELECT open_leads FROM ledger_entry WHERE person = %s", AGNIESZKA) == [(2,)]


def test_nobody_is_counted_before_the_first_load_is_through(desk: Desk) -> None:
    with desk.services.store.transaction() as tx:
        cursors.begin(tx, "sandbox")
    tell(desk, "b1")
    assert open_of(desk) == 0

    with desk.services.store.transaction() as tx:
        cursors.advance(tx, "sandbox", "", "x", caught_up=True)
        born.recount_all(desk.services, tx, "sandbox")

    assert open_of(desk) == 1


def test_who_is_new_in_people_csv_is_counted_by_the_housekeeping(desk: Desk) -> None:
    tell(desk, "b1", owner="U-new")
    before = user(desk)
    desk.edit("people.csv", before, "U-new")
    desk.publish()

    born.work(desk.services)

    assert open_of(desk) == 1
    desk.edit("people.csv", "U-new", before)
    desk.publish()
    born.work(desk.services)
    assert open_of(desk) == 0
    assert desk.rows("SELECT FROM crm_open_lead WHERE user_id = 'U-new'") == []


def test_decisions_with_them_are_taken_again_to_the_same_bytes(desk: Desk) -> None:
    """P4: the record holds the sum, whatever it was made of."""
    tell(desk, "b1")
    post(desk, 1)
    with desk.services.store.transaction() as tx:
        (row,) = decisions.since(tx, 0, 10)
    assert json.loads(row.record)["book"][AGNIESZKA][2] == 1
