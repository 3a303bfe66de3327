"""A CRM tells of our lead before the answer to the command that made it is recorded: it is known by its key (P9)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from desk import Desk, jan

from connector.flows import sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.store import ledger


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.post(**jan())
    made.work()
    yield made
    made.close()


def tell(desk: Desk, key: str, status: str, *, record: str = "r1") -> int:
    """Have the CRM tell of a lead that carries a key."""
    ref = RecordRef(ObjectType.LEAD, record)
    now = datetime.now(UTC)
    lead = Record(ref, {"email": "jan@kos.example", "owner": "U-1010", "status": status}, now, key)
    with desk.services.store.transaction() as tx:
        return sync.apply(desk.services, tx, "sandbox", [CrmEvent(str(now), EventType.RECORD_CHANGED, ref, now, lead)])


def key_of(desk: Desk) -> str:
    return str(desk.rows("SELECT 'lead:' || id FROM lead")[0][0])


def test_it_is_not_mistaken_for_a_lead_of_the_crms_own(desk: Desk) -> None:
    tell(desk, key_of(desk), "new")

    assert desk.rows("SELECT FROM mirror_record") == []


def test_closing_it_frees_its_place_although_nothing_binds_it_yet(desk: Desk) -> None:
    tell(desk, key_of(desk), "closed")
    desk.send()

    assert desk.rows("SELECT status FROM lead") == [("closed",)]
    assert sum(entry[2] for entry in entries(desk).values()) == 0


def entries(desk: Desk) -> dict[str, ledger.Entry]:
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}
        return ledger.entries(tx)


@pytest.mark.parametrize("key", ["lead:not-an-id", f"lead:{uuid4()}", "deal:1", "anything"])
def test_a_key_that_is_none_of_ours_makes_a_record_nothing_special(desk: Desk, key: str) -> None:
    """Anybody in the CRM may write to the field; a copy of the database may know fewer leads."""
    tell(desk, key, "new")

    assert desk.rows("SELECT record_id FROM mirror_record") == [("r1",)]


def test_a_copy_that_carries_the_key_of_a_bound_lead_is_not_that_lead(desk: Desk) -> None:
    desk.send()

    tell(desk, key_of(desk), "closed", record="copy")

    assert desk.rows("SELECT status FROM lead") == [("assigned",)]
    assert desk.rows("SELECT record_id FROM mirror_record") == [("copy",)]
