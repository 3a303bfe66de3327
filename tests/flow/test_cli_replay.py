"""`hearback rules diff`, `replay` and `reroute`: what a change of rules means, before and after it is in force."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from desk import Desk

from connector.cli.app import main
from connector.flows import replay, reroute
from connector.flows.reroute import Fate
from connector.store import mirror
from connector.store.mirror import MirrorRow

HAMBURG, MUNICH, BERLIN = "20095", "80331", "10115"
MIXED = (HAMBURG, MUNICH, BERLIN) * 4


@pytest.fixture
def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("HEARBACK_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HEARBACK_DATABASE_URL", database_url)
    monkeypatch.setenv("HEARBACK_DATA", str(tmp_path))
    # Some people are shown for the first time in a later run.
    monkeypatch.setattr(replay, "RUN", 2)
    made = Desk(database_url, tmp_path)
    made.edit("hearback.yaml", "publish: automatic", "publish: manual")
    made.publish()
    yield made
    made.close()


def rules(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["rules", *arguments])
    assert done.exit_code in (0, 1, 2), done.exception
    return done


def document(*arguments: str) -> Any:
    done = rules(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def answer(desk: Desk, *codes: str, **fields: str) -> None:
    """Post a person from each postal code of Germany."""
    (before,) = desk.rows("SELECT count(*) FROM lead")
    for number, code in enumerate(codes, before[0]):
        desk.post(vorname="Ada", nachname=f"Nr{number}", email=f"a{number}@firm{number}.example", plz=code, land="DE")
    desk.work()


def owners(desk: Desk) -> dict[str, str | None]:
    return {str(lead): owner for lead, owner in desk.rows("SELECT id, owner FROM lead ORDER BY id")}


def everything(desk: Desk) -> dict[str, list[tuple[Any, ...]]]:
    tables = desk.rows(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {table: desk.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for (table,) in tables}


# What differs.


def test_a_version_does_not_differ_from_its_own_folder(desk: Desk) -> None:
    assert rules("diff").output == "The rules are the same.\n"


def test_every_kind_of_change_is_told_in_the_cells_of_the_files(desk: Desk) -> None:
    desk.edit(
        "territories.csv", "20000..21149;22000..22769,,,,,,,,,,,,de-north,", "20000..21149;22*,,,,,,,,,,,,de-south,"
    )
    desk.edit("territories.csv", "\nde-hesse,de,210,", "\nde-hessen,de,205,")
    desk.edit("territories.csv", "\nde-berlin,de,120,", "\nde-berlin,de,90,")
    desk.edit("routing.yaml", "{person: katrin.seidel, weight: 3}", "{person: katrin.seidel, weight: 4}")
    desk.edit("routing.yaml", "      - pawel.duda\n", "")
    desk.edit("routing.yaml", "    overflow: de-south\n", "    off_shift: hold\n")
    desk.edit("routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    desk.edit("routing.yaml", "pools:\n", "caps:\n  big: {when: {employees: 100..499}, max: 2, per: day}\npools:\n")
    desk.edit("people.csv", "DE-SN,de,yes,1,24,", "DE-SN,de,yes,1,,")

    lines = rules("diff").output.splitlines()

    assert "rule de-hamburg: postal: 20000..21149;22000..22769 -> 20000..21149;22*" in lines
    assert "rule de-hamburg: pool: de-north -> de-south" in lines
    assert "rule de-hesse: removed" in lines
    assert any(line.startswith("rule de-hessen: added (order 205, ") for line in lines)
    assert "rule de-berlin: order: 120 -> 90" in lines
    assert "rule de-berlin: stands behind measuring-de-east now, stood behind de-bremen-weser-ems" in lines
    assert "pool de-north: member katrin.seidel: 3 -> 4" in lines
    assert "pool poland: member pawel.duda: not set any more (was 1)" in lines
    assert "pool de-north: overflow: not set any more (was de-south)" in lines
    assert "pool de-north: off_shift: ignore -> hold" in lines
    assert "max_hold: 4h -> 5h" in lines
    assert "cap big: 2 per day of employees 100..499 (was not set)" in lines
    assert "rep katrin.seidel: max_open: not set any more (was 24)" in lines


def test_who_gets_leads_now_and_who_none_any_more_is_said(desk: Desk) -> None:
    desk.edit("people.csv", "Europe/Berlin,DE-HH,de;en,yes,", "Europe/Berlin,DE-HH,de;en,no,")

    assert "Gets no leads any more: anna.brandt." in rules("diff").output


def test_two_versions_are_compared_by_name_and_as_json(desk: Desk) -> None:
    old = document("list")[0]["version"]
    desk.edit("routing.yaml", 'max_hold: "4h"', 'max_hold: "5h"')
    rules("publish")
    new = document("list")[0]["version"]

    told = document("diff", old[:10], new[:10])

    assert told["changes"] == [{"about": "setting", "key": "", "field": "max_hold", "before": "4h", "after": "5h"}]
    assert document("diff", new[:10], old[:10])["changes"][0]["after"] == "4h"
    assert document("diff", new[:10])["changes"] == []
    assert rules("diff", "ffff00").exit_code == 1


# What would have been.


def test_the_version_in_force_moves_nothing_and_touches_nothing(desk: Desk) -> None:
    """R40."""
    answer(desk, *MIXED, "00000")
    desk.run("UPDATE lead SET status = 'closed' WHERE id = (SELECT id FROM lead WHERE owner = 'anna.brandt' LIMIT 1)")
    desk.run("UPDATE ledger_entry SET open_leads = open_leads - 1 WHERE person = 'anna.brandt'")
    answer(desk, *MIXED)
    before = everything(desk)

    told = document("replay")
    text = rules("replay", "--since", "36h").output

    assert everything(desk) == before
    assert (told["decisions"], told["leads"], told["moved"], told["assumed"]) == (25, 25, [], 0)
    assert told["as_recorded"] == []
    assert told["before"] == told["after"]
    assert "25 decisions on 25 leads since " in text
    assert "As recorded, all of them come out the same again." in text
    assert "0 leads would have another owner." in text


def test_a_draft_lists_exactly_the_leads_it_moves_with_both_reasons(desk: Desk) -> None:
    """R41: Berlin to a rep of its own; nobody else's turn depends on it but de-north's."""
    answer(desk, *MIXED)
    before = owners(desk)
    berlin = {str(row[0]) for row in desk.rows("SELECT id FROM lead WHERE data ->> 'postal_code' = '10115'")}
    desk.edit("territories.csv", "10115..14199,,,,,,,,,,,,de-north,", "10115..14199,,,,,,,,,,,,,lukas.huber")

    told = document("replay")

    moved = {each["lead"]: each for each in told["moved"]}
    assert berlin <= moved.keys()
    assert all(moved[lead]["after"] == "lukas.huber" for lead in berlin)
    assert all(each["before"] == before[each["lead"]] != each["after"] for each in told["moved"])
    some = moved[min(berlin)]
    assert "Territory rule de-berlin is the first that fits." in some["why_before"]
    assert "Pool de-north: whoever is owed most takes the lead." in some["why_before"]
    assert "The territory belongs to Lukas Huber." in some["why_after"]
    # Whoever is in de-north has other turns without Berlin; the oracle is the draft, decided from the start.
    fresh = decided_from_the_start(desk)
    assert {lead: each["after"] for lead, each in moved.items()} == {
        lead: owner for lead, owner in fresh.items() if owner != before[lead]
    }
    assert told["after"]["owners"] == Counter(fresh.values())
    assert told["before"]["owners"] == Counter(before.values())


def decided_from_the_start(desk: Desk) -> dict[str, str | None]:
    """Decide the same leads in a world that began with the draft, by the same names."""
    leads = desk.rows("SELECT id, data FROM lead ORDER BY id")
    for table in ("assignment", "lead", "submission", "person_key", "ledger_entry", "command", "binding", "dedupe_key"):
        desk.run(f"TRUNCATE {table}")
    desk.run("UPDATE ledger SET decisions = 1000")
    desk.publish()
    for _, data in leads:
        fields = {"nachname": data["last_name"], "email": data["email"], "plz": data["postal_code"], "land": "DE"}
        desk.post(vorname="Ada", **fields)
    desk.work()
    again = dict(desk.rows("SELECT data ->> 'email', owner FROM lead"))
    return {str(lead): again[data["email"]] for lead, data in leads}


def test_a_new_rule_for_a_company_is_tried_on_the_leads_that_are_still_there(desk: Desk) -> None:
    answer(desk, HAMBURG, HAMBURG, HAMBURG)
    desk.edit(
        "territories.csv",
        "account-budomax,",
        "account-firm1,,5,,,,,,,,,firm1.example;firm2.example,,,,,,stefan.kruse\naccount-budomax,",
    )
    gone = desk.rows("SELECT id FROM lead WHERE domain = 'firm2.example'")[0][0]
    desk.run("DELETE FROM lead WHERE id = %s", gone)

    told = document("replay")

    lead = str(desk.rows("SELECT id FROM lead WHERE domain = 'firm1.example'")[0][0])
    assert [(each["lead"], each["after"]) for each in told["moved"] if each["after"] == "stefan.kruse"] == [
        (lead, "stefan.kruse")
    ]
    # Stefan is in no record of these, and of the third nobody knows the company any more.
    assert told["assumed"] == 2


def test_caps_count_what_was_given_before_the_window(desk: Desk) -> None:
    """The draft's cap of two a week: two leads of last hour leave no room for the third."""
    lone_berlin(desk)
    desk.run("UPDATE clock SET shift = '-3 hours'")
    answer(desk, BERLIN, BERLIN)
    desk.run("UPDATE clock SET shift = '0'")
    answer(desk, BERLIN)
    path = desk.folder / "people.csv"
    head, *rows = path.read_text("utf-8").splitlines()
    rows = [f"{row},{'2' if row.startswith('lukas.huber,') else ''}" for row in rows]
    path.write_text("\n".join([f"{head},max_per_week", *rows, ""]), "utf-8")

    told = document("replay", "--since", "1h")

    assert told["decisions"] == 1
    assert [(each["before"], each["after"]) for each in told["moved"]] == [("lukas.huber", None)]
    assert (told["before"]["capped"], told["after"]["capped"]) == (0, 1)
    assert told["after"]["owners"] == {"(waiting)": 1}
    assert "Lukas Huber -> nobody (waits)" in rules("replay", "--since", "1h").output
    assert document("replay")["after"]["owners"] == {"(waiting)": 1, "lukas.huber": 2}


def lone_berlin(desk: Desk) -> None:
    desk.edit("territories.csv", "10115..14199,,,,,,,,,,,,de-north,", "10115..14199,,,,,,,,,,,,,lukas.huber")
    desk.publish()


def test_a_decision_that_was_changed_is_named(desk: Desk) -> None:
    answer(desk, HAMBURG)
    with desk.services.store.transaction() as tx:
        tx.run("SET LOCAL session_replication_role = replica")
        tx.run("UPDATE decision SET owner = 'jens.petersen' WHERE owner <> 'jens.petersen'")

    assert "1 do not come out the same again: 1 (the columns do not say what the record says)" in rules("replay").output


def test_a_published_version_can_be_tried_and_a_wrong_length_of_time_is_refused(desk: Desk) -> None:
    answer(desk, BERLIN)
    lone_berlin(desk)
    old = document("list")[1]["version"]

    assert len(document("replay")["moved"]) == 1
    assert document("replay", old[:8])["moved"] == []
    refused = rules("replay", "--since", "soon")
    assert refused.exit_code == 2
    assert "'soon' is no length of time" in refused.output


# What is done about it.


def test_open_leads_follow_the_rules_in_force_and_once_is_enough(desk: Desk) -> None:
    answer(desk, *MIXED)
    desk.send()
    before = owners(desk)
    berlin = [lead for (lead,) in desk.rows("SELECT id FROM lead WHERE data ->> 'postal_code' = '10115' ORDER BY id")]
    closed, moved_by_hand, *rest = berlin
    desk.run("UPDATE lead SET status = 'closed' WHERE id = %s", closed)
    desk.run("UPDATE lead SET reason = 'owner changed in the CRM' WHERE id = %s", moved_by_hand)
    desk.run("UPDATE ledger_entry SET open_leads = open_leads - 1 WHERE person = %s", before[str(closed)])
    desk.edit("territories.csv", "10115..14199,,,,,,,,,,,,de-north,", "10115..14199,,,,,,,,,,,,,lukas.huber")

    told = rules("publish").output
    listed = document("reroute", "--dry-run")
    done = document("reroute")

    assert "These rules lead 2 open leads elsewhere: `hearback rules reroute` decides them anew." in told
    assert [(each["lead"], each["rule then"], each["rule now"]) for each in listed] == [
        (str(lead), "de-berlin", "de-berlin") for lead in rest
    ]
    assert done == [{"moved": 2, "same": 0, "no room": 0, "elsewhere": 0}]
    after = owners(desk)
    assert {lead for lead in before if before[lead] != after[lead]} == {str(lead) for lead in rest}
    assert {after[str(lead)] for lead in rest} == {"lukas.huber"}
    open_leads = Counter(owner for (owner,) in desk.rows("SELECT owner FROM lead WHERE status = 'assigned'"))
    counted = dict(desk.rows("SELECT person, open_leads FROM ledger_entry WHERE open_leads > 0"))
    assert counted == open_leads
    assert desk.rows("SELECT sum(balance) FROM ledger_entry") == [(0,)]
    desk.send()
    users = {fields["key"]: fields.get("owner") for fields in desk.crm.records.values()}
    assert {users[f"lead:{lead}"] for lead in rest} == {"U-1005"}
    assert rules("reroute").output == "No open lead is led elsewhere.\n"
    assert rules("reroute", "--dry-run").output == "Nothing here.\n"


def test_every_rerouted_lead_has_a_decision_that_verifies_and_replays(desk: Desk) -> None:
    """R40: with decisions of two versions in the window, the records still come out the same."""
    answer(desk, *MIXED)
    desk.edit("routing.yaml", "  de-south:\n    members:\n", "  de-south:\n    members:\n      - anna.brandt\n")
    desk.edit("territories.csv", "10115..14199,,,,,,,,,,,,de-north,", "10115..14199,,,,,,,,,,,,de-south,")
    rules("publish")

    assert reroute.work(desk.services).total() == 4
    told = document("replay")

    assert told["as_recorded"] == []
    assert desk.rows("SELECT max(assign_seq), count(*) FROM decision") == [(2, 16)]
    assert desk.rows(
        "SELECT count(*) FROM lead l JOIN decision d ON d.lead_id = l.id AND d.assign_seq = l.assign_seq"
    ) == [(12,)]


def test_who_comes_out_again_keeps_the_lead_and_hears_nothing(desk: Desk) -> None:
    lone_berlin(desk)
    answer(desk, BERLIN)
    desk.send()
    (assigned,) = desk.rows("SELECT assigned_at, reason FROM lead")
    desk.edit("territories.csv", ",,,,,,,,,,,,,lukas.huber", ",,,,,,,,,,,,bavaria,")
    desk.edit("routing.yaml", "pools:\n", "pools:\n  bavaria:\n    members: [lukas.huber]\n")
    desk.publish()
    commands = desk.rows("SELECT count(*) FROM command")

    assert reroute.work(desk.services) == Counter({Fate.SAME: 1})

    assert desk.rows("SELECT count(*) FROM command") == commands
    assert desk.rows("SELECT assigned_at, reason FROM lead") == [assigned]
    assert desk.rows("SELECT open_leads FROM ledger_entry WHERE person = 'lukas.huber'") == [(1,)]
    assert reroute.affected(desk.services) == []


def test_who_gets_a_lead_back_gets_a_task_of_its_own(desk: Desk) -> None:
    """A lead that goes A, B, A, B: each time is a task; what was written of the first time keeps its key."""
    answer(desk, BERLIN)
    ((lead, first),) = desk.rows("SELECT id, owner FROM lead")
    for member in (first, "lukas.huber", first, "lukas.huber"):
        sole_berlin(desk, member)
        reroute.work(desk.services)
        desk.send()

    assert owners(desk) == {str(lead): "lukas.huber"}
    tasks = {fields["key"]: fields["owner"] for fields in desk.crm.records.values() if fields["key"].startswith("task")}
    people = desk.services.current().settings.people
    assert tasks == {
        f"task:{lead}:{first}": people[first].users["sandbox"],
        f"task:{lead}:lukas.huber": "U-1005",
        f"task:{lead}:{first}:4": people[first].users["sandbox"],
        f"task:{lead}:lukas.huber:5": "U-1005",
    }


def sole_berlin(desk: Desk, person: str) -> None:
    """Publish rules by which one person has Berlin."""
    path = desk.folder / "territories.csv"
    said = re.sub(r"10115\.\.14199,(,{10}).*", rf"10115..14199,\1,,{person}", path.read_text("utf-8"))
    path.write_text(said, "utf-8")
    desk.publish()


def test_a_lead_nobody_new_can_take_stays_with_its_owner(desk: Desk) -> None:
    answer(desk, BERLIN)
    before = owners(desk)
    desk.edit("people.csv", "Europe/Berlin,DE-BY,de;en,yes,1,40,", "Europe/Berlin,DE-BY,de;en,yes,1,0,")
    lone_berlin(desk)

    assert reroute.work(desk.services) == Counter({Fate.NO_ROOM: 1})

    assert owners(desk) == before
    assert desk.rows("SELECT open_leads FROM ledger_entry WHERE open_leads <> 0") == [(1,)]
    assert desk.rows("SELECT count(*) FROM decision") == [(1,)]


def test_the_owners_own_full_desk_does_not_count_against_them(desk: Desk) -> None:
    """The lead that is decided anew is one of those that fill it."""
    desk.edit("people.csv", "Europe/Berlin,DE-BY,de;en,yes,1,40,", "Europe/Berlin,DE-BY,de;en,yes,1,1,")
    lone_berlin(desk)
    answer(desk, BERLIN)
    desk.edit("territories.csv", ",,,,,,,,,,,,,lukas.huber", ",,,,,,,,,,,,bavaria,")
    desk.edit("routing.yaml", "pools:\n", "pools:\n  bavaria:\n    members: [lukas.huber]\n")
    desk.publish()

    assert reroute.work(desk.services) == Counter({Fate.SAME: 1})


def test_an_interrupted_reroute_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(desk, *[BERLIN] * 5)
    lone_berlin(desk)
    monkeypatch.setattr(reroute, "LIMIT", 2)

    class Interrupted(Exception):
        pass

    def interrupt(done: int, _total: int) -> None:
        if done == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        reroute.work(desk.services, progress=interrupt)
    assert len(reroute.affected(desk.services)) == 3

    assert reroute.work(desk.services) == Counter({Fate.MOVED: 3})
    assert desk.rows("SELECT count(*) FROM decision WHERE assign_seq = 2") == [(5,)]


def test_a_lead_with_the_owner_of_a_known_record_stays_with_them(desk: Desk) -> None:
    """R21: the match is part of the decision, also of a later one."""
    account = MirrorRow("sandbox", "account", "a1", "", "", "firm0.example", "U-1001", True, {}, datetime.now(UTC))
    with desk.services.store.transaction() as tx:
        mirror.put(tx, [account])
    answer(desk, BERLIN)
    assert set(owners(desk).values()) == {"anna.brandt"}
    lone_berlin(desk)

    assert reroute.work(desk.services) == Counter({Fate.SAME: 1})
    assert set(owners(desk).values()) == {"anna.brandt"}
