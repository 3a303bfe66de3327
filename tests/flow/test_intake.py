"""From stored deliveries to leads: one fate each, nothing twice, nothing lost."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from desk import Desk, jan

from connector.flows import held, intake, sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.store import deliveries, ledger


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    yield made
    made.close()


def typeform(token: str, *, kind: str = "form_response", **answers: str) -> bytes:
    fields = [{"id": f"f{n}", "ref": ref, "type": "short_text", "title": ref} for n, ref in enumerate(answers)]
    return json.dumps(
        {
            "event_id": "e1",
            "event_type": kind,
            "form_response": {
                "form_id": "form",
                "token": token,
                "definition": {"id": "form", "title": "t", "fields": fields},
                "answers": [
                    {"type": "text", "text": value, "field": {"id": f"f{n}", "ref": ref, "type": "short_text"}}
                    for n, (ref, value) in enumerate(answers.items())
                ],
            },
        }
    ).encode()


def test_a_known_person_is_attached_and_fills_what_was_not_known(desk: Desk) -> None:
    first = desk.post(**jan())
    desk.work()
    second = desk.post(**jan(telefon="+48 22 555 01 01", nachricht="Katalog?"))
    desk.work()

    assert desk.fate(first)[:2] == desk.fate(second)[:2] == ("done", "leads")
    ((phone, count),) = desk.rows("SELECT data->>'phone', (SELECT count(*) FROM submission) FROM lead")
    assert (phone, count) == ("+48225550101", 2)
    assert desk.rows("SELECT relation FROM submission ORDER BY relation") == [("attached",), ("created",)]


def test_a_known_person_in_one_batch_is_attached_too(desk: Desk) -> None:
    desk.post(**jan())
    desk.post(**jan(telefon="+48 22 555 01 01"))
    desk.work()

    assert desk.rows("SELECT count(*), max(data->>'phone') FROM lead") == [(1, "+48225550101")]
    assert desk.rows("SELECT kind, count(DISTINCT lead_id) FROM person_key GROUP BY kind ORDER BY kind") == [
        ("email", 1),
        ("phone", 1),
    ]


def test_the_same_content_twice_within_minutes_is_a_duplicate_that_names_the_first(desk: Desk) -> None:
    """I10, I11."""
    first = desk.post(**jan())
    desk.work()
    second = desk.post(**jan())
    desk.work()

    assert desk.fate(second)[:2] == ("done", "duplicate")
    assert desk.rows("SELECT first_delivery FROM delivery WHERE id = %s", second) == [(first,)]


def test_the_same_content_much_later_is_a_new_answer(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.run("UPDATE dedupe_key SET seen_at = seen_at - interval '11 minutes'")
    second = desk.post(**jan())
    desk.work()

    assert desk.fate(second)[:2] == ("done", "leads")
    assert desk.rows("SELECT count(*) FROM lead") == [(1,)]


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_the_final_answer_updates_the_lead_of_the_partial_one(desk: Desk, together: bool) -> None:
    """I8: a newer version of the same submission."""
    partial = typeform("t1", kind="form_response_partial", email="nora@fink.example", vorname="Nora")
    final = typeform("t1", email="nora@fink.example", vorname="Nora", nachname="Fink")
    first = desk.post_raw("typeform", partial, "application/json")
    if not together:
        desk.work()
    second = desk.post_raw("typeform", final, "application/json")
    desk.work()

    assert desk.rows("SELECT count(*), max(data->>'last_name') FROM lead") == [(1, "Fink")]
    fates = [desk.fate(receipt)[1] for receipt in (first, second)]
    assert fates == (["duplicate", "leads"] if together else ["leads", "updated"])


def test_an_older_version_after_the_final_one_changes_nothing(desk: Desk) -> None:
    desk.post_raw("typeform", typeform("t1", email="n@fink.example", nachname="Fink"), "application/json")
    desk.work()
    late = desk.post_raw(
        "typeform",
        typeform("t1", kind="form_response_partial", email="n@fink.example", nachname="F"),
        "application/json",
    )
    desk.work()

    assert desk.fate(late)[1] == "duplicate"
    assert desk.rows("SELECT data->>'last_name' FROM lead") == [("Fink",)]


def test_a_bot_is_set_aside_and_can_be_released(desk: Desk) -> None:
    """I26: quarantined, listed, released with one command."""
    receipt = desk.post(**jan(website="http://spam.example"))
    desk.work()
    assert desk.fate(receipt)[0] == "quarantined"

    with desk.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)
    desk.work()

    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_a_body_nobody_can_read_is_kept_with_its_reason(desk: Desk) -> None:
    """I7, P2."""
    receipt = desk.post_raw("typeform", b"{not json", "application/json")
    desk.work()

    state, _, reason = desk.fate(receipt)
    assert state == "quarantined"
    assert reason.startswith("unreadable")


def test_a_delivery_of_a_source_that_is_gone_waits_for_it_to_come_back(desk: Desk) -> None:
    receipt = desk.post(source="gone", **jan())
    desk.work()

    assert desk.fate(receipt)[0] == "quarantined"
    assert "not configured any more" in desk.fate(receipt)[2]


def test_one_poisonous_delivery_does_not_hold_up_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = desk.post(**jan(email="poison@kos.example"))
    good = desk.post(**jan(email="good@lis.example"))
    read = intake.read.read

    def fragile(services: object, settings: object, stored: deliveries.StoredDelivery) -> object:
        if stored.id == poison:
            raise RuntimeError("a bug")
        return read(services, settings, stored)  # type: ignore[arg-type]

    monkeypatch.setattr(intake.read, "read", fragile)
    for _ in range(3):
        intake.work(desk.services)

    assert desk.fate(good)[:2] == ("done", "leads")
    assert desk.fate(poison)[0] == "quarantined"
    assert "could not be worked (RuntimeError)" in desk.fate(poison)[2]


def full_katrin(desk: Desk) -> None:
    desk.edit("people.csv", ",24,U-1004", ",1,U-1004")
    desk.publish()


def measuring(name: str) -> dict[str, str]:
    return {
        "vorname": name,
        "email": f"{name.lower()}@{name.lower()}.example",
        "plz": "04109",
        "land": "DE",
        "produktgruppe": "measuring",
    }


def closed(desk: Desk, key: str, at: str = "2026-11-21T12:00:00+00:00") -> None:
    """The rep closes a lead in the CRM."""
    ((record,),) = desk.rows("SELECT record_id FROM binding WHERE key = %s", key)
    ref = RecordRef(ObjectType.LEAD, record)
    fields = {**desk.crm.records[record], "status": "closed"}
    moment = datetime.fromisoformat(at)
    event = CrmEvent("1", EventType.RECORD_CHANGED, ref, moment, Record(ref, fields, moment))
    with desk.services.store.transaction() as tx:
        sync.apply(desk.services, tx, "sandbox", [event])


def test_a_full_rep_holds_the_lead_and_gets_it_when_one_is_closed(desk: Desk) -> None:
    """R25: the longest waiting goes first; a repeated closing counts once."""
    full_katrin(desk)
    for name in ("Ida", "Ole", "Uwe"):
        desk.post(**measuring(name))
        desk.work()
    desk.send()
    held_now = "SELECT data->>'first_name' FROM lead WHERE status = 'held' ORDER BY created_at"
    assert desk.rows(held_now) == [("Ole",), ("Uwe",)]

    ((ida,),) = desk.rows("SELECT 'lead:' || id FROM lead WHERE data->>'first_name' = 'Ida'")
    closed(desk, ida)
    closed(desk, ida, at="2026-11-21T12:00:01+00:00")
    assert held.work(desk.services) == 1

    assert desk.rows(held_now) == [("Uwe",)]
    assert desk.rows("SELECT outcome FROM decision ORDER BY seq") == [
        ("assigned",),
        ("held",),
        ("held",),
        ("assigned",),
    ]
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}


def test_who_waited_too_long_goes_to_the_fallback_owner(desk: Desk) -> None:
    full_katrin(desk)
    for name in ("Ida", "Ole"):
        desk.post(**measuring(name))
    desk.work()
    desk.run("UPDATE lead SET held_until = now() - interval '1 s' WHERE status = 'held'")

    held.work(desk.services)

    assert desk.rows("SELECT owner FROM lead WHERE data->>'first_name' = 'Ole'") == [("henrik.voss",)]


def test_a_new_configuration_decides_anew_about_whom_a_lost_pool_kept_waiting(desk: Desk) -> None:
    full_katrin(desk)
    for name in ("Ida", "Ole"):
        desk.post(**measuring(name))
    desk.work()
    desk.edit("people.csv", ",1,U-1004", ",24,U-1004")
    desk.publish()

    held.work(desk.services)

    assert desk.rows("SELECT status FROM lead") == [("assigned",), ("assigned",)]


def test_a_test_submission_takes_nobody_s_turn_and_writes_nothing(desk: Desk) -> None:
    """I17."""
    receipt = desk.post(**jan(_test="1"))
    desk.work()

    assert desk.rows("SELECT is_test, fate FROM delivery WHERE id = %s", receipt) == [(True, "leads")]
    assert desk.rows("SELECT count(*) FROM command") == [(0,)]
    assert desk.rows("SELECT count(*) FROM ledger_entry WHERE open_leads > 0") == [(0,)]


def test_our_own_write_coming_back_is_no_news(desk: Desk) -> None:
    """P9."""
    desk.post(**jan())
    desk.work()
    desk.send()
    ref = RecordRef(ObjectType.LEAD, "r1")
    fields = {name: value for name, value in desk.crm.records["r1"].items() if name != "key"}
    echo = CrmEvent("1", EventType.RECORD_CHANGED, ref, datetime.now(UTC), Record(ref, fields))
    with desk.services.store.transaction() as tx:
        assert sync.apply(desk.services, tx, "sandbox", [echo]) == 0


def test_a_person_who_moves_a_lead_in_the_crm_has_the_last_word(desk: Desk) -> None:
    """R26: the manual owner stays, and capacity follows."""
    desk.post(**jan())
    desk.work()
    desk.send()
    ref = RecordRef(ObjectType.LEAD, "r1")
    moved = CrmEvent(
        "1", EventType.RECORD_CHANGED, ref, datetime.now(UTC), Record(ref, desk.crm.records["r1"] | {"owner": "U-1010"})
    )
    with desk.services.store.transaction() as tx:
        assert sync.apply(desk.services, tx, "sandbox", [moved]) == 1

    held.work(desk.services)
    assert desk.rows("SELECT owner FROM lead") == [("michal.gorski",)]
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}


def test_a_post_under_an_unknown_oid_is_worked_once_the_oid_is_configured(desk: Desk) -> None:
    receipt = desk.post(source="oid:00DYY0000000002", **jan())
    desk.work()
    assert desk.fate(receipt)[0] == "quarantined"

    desk.edit("hearback.yaml", "oid: 00DXX0000000001", "oid: 00DYY0000000002")
    desk.publish()
    with desk.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)
    desk.work()

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert desk.rows("SELECT source FROM lead") == [("web-to-lead",)]
