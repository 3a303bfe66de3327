"""After the assignment: accept, reject, respond, or see the lead go to somebody else."""

import csv
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import pytest
import requests
from frontline import START, Frontline

from connector.adapters.sandbox.crm.sender import signature
from connector.adapters.sandbox.process import SandboxProcess
from connector.errors import StoreUnavailable
from connector.flows import reroute, responses, sync
from connector.flows.accept import accept
from connector.jobs import Workers
from connector.model.crm import ObjectType
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.routing.ledger import TURN
from connector.routing.response import speed_to_lead
from connector.services import Services
from connector.store import Store, Transaction

HOUR = timedelta(hours=1)
ACCEPT = "response: {due: 4h, accept: yes, accept_due: 1h}"


@pytest.fixture
def line(database_url: str, tmp_path: Path) -> Iterator[Frontline]:
    made = Frontline(database_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def strict(database_url: str, tmp_path: Path) -> Iterator[Frontline]:
    """A line whose owners must accept within an hour."""
    made = Frontline(database_url, tmp_path, response=ACCEPT)
    yield made
    made.close()


# What an owner is given.


def test_an_owner_learns_in_the_crm_until_when_to_respond(line: Frontline) -> None:
    lead = line.lead()

    _, record = line.record(f"lead:{lead}")
    assert line.instant(lead, "touch_due") - line.instant(lead, "offered_at") == 4 * HOUR
    assert datetime.fromisoformat(record["response_due"]) == line.instant(lead, "touch_due")
    assert line.task(lead, line.owner(lead))["due"] == record["response_due"]


def test_due_times_are_working_time_on_the_owners_own_calendar(line: Frontline) -> None:
    line.set_clock(datetime(2026, 11, 27, 15, tzinfo=UTC))  # Friday, 16:00 in Warsaw

    lead = line.lead()

    assert abs(line.instant(lead, "touch_due") - datetime(2026, 11, 30, 11, tzinfo=UTC)) < timedelta(minutes=1)


def test_without_a_response_section_nobody_watches(line: Frontline) -> None:
    line.edit("routing.yaml", 'response: {due: "4h"}\n', "")
    line.publish()

    lead = line.lead()

    assert line.rows("SELECT FROM response") == []
    assert "response_due" not in line.record(f"lead:{lead}")[1]


def test_a_card_that_comes_three_days_late_is_due_from_its_assignment_and_speed_counts_from_the_event(
    line: Frontline,
) -> None:
    """R23"""
    said = START - timedelta(days=3)
    body = {"last_name": "Late", "email": "late@late.example", "country": "PL", "occurred_at": said.isoformat()}
    line.post_raw("api", orjson.dumps(body), "application/json")
    line.work()
    line.send()
    ((lead, event_at, assigned_at),) = line.rows("SELECT id, event_at, assigned_at FROM lead")

    line.look()

    assert line.rows("SELECT assign_seq, reminded FROM response") == [(1, 0)]
    assert line.instant(lead, "touch_due") == assigned_at + 4 * HOUR
    line.sets(lead, status="working")
    ((touched,),) = line.rows("SELECT touched_at FROM response")
    assert event_at == said
    assert speed_to_lead(event_at, touched) >= timedelta(days=3)


# Reminders.


def test_reminders_come_at_half_and_four_fifths_of_the_time_in_the_owners_words(line: Frontline) -> None:
    lead = line.lead()
    owner = line.owner(lead)

    line.look(START + 2 * HOUR - timedelta(seconds=9))
    assert line.given(lead)["reminded"] == 0
    line.look(START + 2 * HOUR + timedelta(minutes=1))

    task = line.task(lead, f"1:{owner}", "remind")
    assert task["title"] == "Skontaktuj się do 23.11.2026, 14:00: p0"
    assert "przejmie go ktoś inny" in task["body"]
    assert (task["owner"], task["status"]) == (line.user(owner), "open")
    task["status"] = "ignored"
    line.look(START + 3.3 * HOUR)
    assert line.task(lead, f"1:{owner}", "remind")["status"] == "open", "the second opens the first one's task again"
    line.look(START + 3.5 * HOUR)
    assert line.given(lead)["reminded"] == 2
    assert line.owner(lead) == owner


def test_reminders_slept_through_are_one_task(line: Frontline) -> None:
    line.lead()

    line.look(START + 3.5 * HOUR)

    assert line.rows("SELECT count(*) FROM command WHERE key LIKE 'remind:%%'") == [(1,)]


# Somebody responds.


def test_a_lead_in_work_is_left_alone(line: Frontline) -> None:
    lead = line.lead()
    owner = line.owner(lead)
    line.look(START + 2.5 * HOUR)

    assert line.sets(lead, status="working") == 1

    line.look(START + 9 * HOUR)
    assert (line.state(lead), line.owner(lead)) == ("touched", owner)
    assert line.task(lead, f"1:{owner}", "remind")["status"] == "done"


def test_a_ticked_task_is_a_response(line: Frontline) -> None:
    lead = line.lead()

    line.ticks(f"task:{lead}:{line.owner(lead)}")

    assert line.state(lead) == "touched"


@pytest.mark.parametrize(("by", "state"), [("owner", "touched"), ("somebody else", "offered")])
def test_a_call_by_the_owner_is_a_response(line: Frontline, by: str, state: str) -> None:
    lead = line.lead()
    record, _ = line.record(f"lead:{lead}")
    user = line.user(line.owner(lead)) if by == "owner" else "U-1001"

    line.tells(ObjectType.CALL, "c1", {"lead": record, "owner": user, "seconds": 60})

    assert line.state(lead) == state


def test_a_closed_lead_is_waited_for_no_more(line: Frontline) -> None:
    lead = line.lead()

    line.sets(lead, status="closed")

    assert line.state(lead) == "closed"
    line.look(START + 9 * HOUR)
    assert len(line.decisions()) == 1


def test_who_accepts_in_time_has_the_time_to_respond(strict: Frontline) -> None:
    lead = strict.lead()
    owner = strict.owner(lead)

    strict.sets(lead, response="accepted")

    strict.look(START + 3.9 * HOUR)
    assert (strict.state(lead), strict.owner(lead)) == ("accepted", owner)
    strict.look(START + 4.1 * HOUR)
    assert strict.owner(lead) != owner


def test_our_own_writes_are_no_answer(line: Frontline) -> None:
    """P9"""
    lead = line.lead()
    line.look(START + 4.1 * HOUR)
    before = line.given(lead)

    assert line.sets(lead) == 0

    assert line.given(lead) == before


# Nobody responds.


def test_a_breach_gives_the_lead_to_somebody_else_and_both_know_why(line: Frontline) -> None:
    """R9: the breach keeps the charge."""
    lead = line.lead()
    first = line.owner(lead)
    line.look(START + 3 * HOUR)

    line.look(START + 4 * HOUR + timedelta(minutes=1))

    second = line.owner(lead)
    assert second != first
    reason = "Poprzedni opiekun nie zareagował do 23.11.2026, 14:00."
    _, record = line.record(f"lead:{lead}")
    assert record["owner"] == line.user(second)
    assert record["reason"].startswith(reason)
    assert line.task(lead, second)["body"].startswith(reason)
    told = line.task(lead, first)
    name = line.services.current().settings.people[second].name
    assert told["status"] == "done"
    assert told["body"] == f"Do 23.11.2026, 14:00 nie było reakcji, dlatego lead przejmuje {name}."
    assert line.task(lead, f"1:{first}", "remind")["status"] == "done"
    assert line.balances()[first] < 0
    story = line.explained(lead)
    assert story[0].endswith("had not responded by 2026-11-23 13:00 UTC; the turn stays charged.")
    assert any("had this lead before" in part for part in story)


def test_an_acceptance_that_does_not_come_ends_the_assignment_too(strict: Frontline) -> None:
    lead = strict.lead()

    strict.look(START + 1.1 * HOUR)

    assert "had not accepted it by 2026-11-23 10:00 UTC" in strict.explained(lead)[0]


def test_who_gets_a_lead_back_and_lets_it_lie_again_has_that_task_closed(line: Frontline) -> None:
    """Each time a lead comes back its owner has a task of its own; the later breach closes that one."""
    lead = line.lead()
    first = line.owner(lead)
    line.look(START + 4.1 * HOUR)
    second = line.owner(lead)
    line.edit("territories.csv", "00-001..04-999,,,,,,,,,,,,poland,", f"00-001..04-999,,,,,,,,,,,,,{first}")
    line.publish()
    assert reroute.work(line.services) == {reroute.Fate.MOVED: 1}
    line.send()
    again = f"{first}:3"
    assert (line.owner(lead), line.task(lead, again)["status"]) == (first, "open")
    before = line.task(lead, first).copy()
    due = line.instant(lead, "touch_due")
    line.look(due - HOUR)

    line.look(due + HOUR)

    third = line.owner(lead)
    assert third not in {first, second}
    told = line.task(lead, again)
    assert (told["status"], told["owner"]) == ("done", line.user(first))
    assert line.services.current().settings.people[third].name in told["body"]
    assert line.task(lead, f"3:{first}", "remind")["status"] == "done"
    assert line.task(lead, first) == before, "the task of their first time is left alone"
    assert line.task(lead, third)["status"] == "open"
    still = [f["key"] for f in line.crm.records.values() if "title" in f and f["status"] == "open"]
    assert still == [f"task:{lead}:{third}"]


def test_after_as_many_moves_as_are_allowed_the_manager_gets_it(line: Frontline) -> None:
    line.edit("routing.yaml", '{due: "4h"}', '{due: "4h", max_moves: 1}')
    line.publish()
    lead = line.lead()

    line.look(START + 4.1 * HOUR)
    assert line.owner(lead) != "piotr.mazur"
    line.look(line.instant(lead, "touch_due"))

    assert line.owner(lead) == "piotr.mazur"
    assert line.rows("SELECT reason FROM lead")[0][0].endswith("dlatego trafia do Ciebie.")
    assert "The manager takes it: Piotr Mazur." in line.explained(lead)
    line.balances()
    line.look(line.instant(lead, "touch_due"))
    assert line.owner(lead) == "piotr.mazur"
    asked = next(fields for fields in line.crm.records.values() if fields["key"].startswith("unanswered:"))
    assert asked["title"].startswith("Noch keine Reaktion")


def test_sixty_one_reps_each_have_it_once_and_then_the_manager(database_url: str, tmp_path: Path) -> None:
    """R24"""
    made = Frontline(database_url, tmp_path)
    names = [f"rep{n}" for n in range(61)]
    with (made.folder / "people.csv").open("a", encoding="utf-8", newline="") as file:
        for n, name in enumerate(names):
            mail = f"{name}@nordhammer.example"
            row = [name, name, mail, "sales", "rep", "poland", "Europe/Warsaw", "PL", "en", "yes", "1", "", f"U-9{n}"]
            csv.writer(file, lineterminator="\n").writerow(row)
    made.edit("routing.yaml", "      - agnieszka.wilk\n      - michal.gorski\n      - zofia.krawczyk\n", "")
    made.edit("routing.yaml", "      - pawel.duda\n", "".join(f"      - {name}\n" for name in names))
    made.edit("routing.yaml", '{due: "4h"}', '{due: "4h", remind_at: [], max_moves: off}')
    made.publish()
    lead = made.lead()
    owners = [made.owner(lead)]

    for _ in range(61):
        made.set_clock(made.instant(lead, "touch_due"))
        responses.work(made.services)
        owners.append(made.owner(lead))

    assert sorted(owners[:61]) == sorted(names)
    assert owners[61] == "piotr.mazur"
    made.balances()
    made.close()


# Rejects.


@pytest.mark.parametrize("verdict", ["bad_data", "wrong_territory"])
def test_a_reject_for_a_good_reason_gives_the_turn_back_to_the_unit(line: Frontline, verdict: str) -> None:
    """R9"""
    line.lead()
    before = line.balances()
    lead = line.lead()
    first = line.owner(lead)

    line.sets(lead, response=f"rejected_{verdict}")
    line.look()

    posted = line.rows("SELECT person, sum(amount) FROM ledger_posting GROUP BY person")
    (decision,) = [row for row in line.decisions() if row.lead_id == lead and row.assign_seq == 2]
    book = orjson.loads(decision.record)["book"]
    assert sum(amount for _, amount in posted) == 0
    assert {person: row[0] for person, row in book.items() if row[0]} == before
    assert line.owner(lead) != first
    assert line.balances() != before
    assert line.record(f"lead:{lead}")[1]["response"] is None, "the next owner may answer"
    assert verdict.replace("_", " ") in line.explained(lead)[0]


def test_another_reject_keeps_the_charge(line: Frontline) -> None:
    """R9"""
    lead = line.lead()
    first = line.owner(lead)

    line.sets(lead, response="rejected_other")
    line.look()

    assert line.owner(lead) != first
    assert line.rows("SELECT FROM ledger_posting") == []
    assert line.balances()[first] < 0


def test_an_answer_the_earlier_owner_left_is_not_the_next_ones(line: Frontline) -> None:
    lead = line.lead()
    record, known = line.record(f"lead:{lead}")
    stale = {**known, "response": "rejected_other"}
    line.look(START + 4.1 * HOUR)
    second = line.owner(lead)

    line.tells(ObjectType.LEAD, record, stale, START + HOUR)

    assert (line.owner(lead), line.state(lead)) == (second, "offered")


def test_what_the_earlier_owner_saves_before_our_write_arrives_moves_nothing_back(line: Frontline) -> None:
    """P9: the owner in it is the one we wrote, and the next one's name is still on its way."""
    lead = line.lead()
    first = line.owner(lead)
    line.set_clock(START + 4.1 * HOUR)
    responses.work(line.services)

    line.sets(lead, status="working")

    assert (line.owner(lead) != first, line.state(lead)) == (True, "offered")
    assert line.given(lead)["pinned"] is False


# Moved by hand.


def test_a_lead_moved_by_hand_takes_its_turn_along_and_stays_where_it_was_put(line: Frontline) -> None:
    """R26"""
    lead = line.lead()
    first = line.owner(lead)
    before = line.balances()

    line.set_clock(START + HOUR)
    line.sets(lead, owner=line.user("anna.brandt"))
    line.send()

    after = line.balances()
    assert line.rows("SELECT person, amount, reason FROM ledger_posting ORDER BY id") == [
        (first, TURN, "moved by hand"),
        ("anna.brandt", -TURN, "moved by hand"),
    ]
    assert after.get(first, 0) == before[first] + TURN
    due = line.instant(lead, "touch_due")
    assert abs(due - (START + 5 * HOUR)) < timedelta(minutes=1), "the new owner has the whole time"
    line.look(START + 3.5 * HOUR)
    assert "erfährt es Ihre Leitung" in line.task(lead, "1:anna.brandt", "remind")["body"]
    line.look(due)
    asked = next(fields for fields in line.crm.records.values() if fields["key"].startswith("unanswered:"))
    assert (asked["owner"], asked["title"]) == (line.user("sabine.roth"), "Noch keine Reaktion: p0")
    line.look(due + 90 * HOUR)
    assert line.owner(lead) == "anna.brandt"
    assert len(line.decisions()) == 1


def test_a_lead_moved_to_and_fro_ends_where_it_was_moved_last(line: Frontline) -> None:
    """R26, P9: the first owner's name is what we wrote ourselves once."""
    lead = line.lead()
    first = line.owner(lead)
    before = line.balances()

    line.sets(lead, START + HOUR, owner=line.user("anna.brandt"))
    line.sets(lead, START + 2 * HOUR, owner=line.user(first))
    line.sets(lead, START + 1.5 * HOUR, owner=line.user("anna.brandt"))

    assert line.owner(lead) == first
    assert line.balances() == before


def test_a_lead_that_cost_nobody_a_turn_costs_none_when_it_is_moved(line: Frontline) -> None:
    lead = line.lead(land="FR", plz="75001")
    assert line.balances() == {}

    line.sets(lead, owner=line.user("anna.brandt"))

    assert line.owner(lead) == "anna.brandt"
    assert line.balances() == {}


def test_who_rejects_a_lead_put_there_by_hand_is_heard_but_keeps_it(line: Frontline) -> None:
    """R26"""
    lead = line.lead()
    line.sets(lead, owner=line.user("anna.brandt"))
    line.send()

    line.sets(lead, response="rejected_other")
    line.look()

    assert line.owner(lead) == "anna.brandt"
    assert any(fields["key"].startswith("unanswered:") for fields in line.crm.records.values())


# Whatever breaks off.


@pytest.mark.parametrize("hour", [2.1, 4.1], ids=["a reminder", "a breach"])
@pytest.mark.parametrize("kind", ["before", "after"])
def test_wherever_the_store_goes_away_it_happens_once(
    line: Frontline, monkeypatch: pytest.MonkeyPatch, hour: float, kind: str
) -> None:
    """P3: the store goes before, or right after, each commit in turn; the next look makes up for it."""
    original, commits = Store.transaction, 0
    leads = [line.lead() for _ in range(6)]
    line.set_clock(START + hour * HOUR)

    for at in range(2, 12):
        commits = 0

        @contextmanager
        def transaction(self: Store, at: int = at) -> Iterator[Transaction]:
            nonlocal commits
            commits += 1
            mine = commits == at
            with original(self) as tx:
                yield tx
                if mine and kind == "before":
                    raise StoreUnavailable("gone")
            if mine:
                raise StoreUnavailable("gone")

        monkeypatch.setattr(Store, "transaction", transaction)
        with suppress(StoreUnavailable):
            responses.work(line.services)
        monkeypatch.undo()
    line.look()

    moved = hour > 4
    tasks = line.rows("SELECT key FROM command WHERE key LIKE 'remind:%%' AND fields ->> 'status' = 'open'")
    assert len(tasks) == len(set(tasks)) == (0 if moved else len(leads))
    assert len(line.decisions()) == len(leads) * (2 if moved else 1)
    line.balances()


# In time, and with one winner.


def test_a_breach_is_seen_to_within_two_seconds(line: Frontline) -> None:
    """R22: no sweep comes in between; the worker's own alarm does."""
    lead = line.lead()
    first, due = line.owner(lead), line.instant(lead, "touch_due")
    line.look(due - timedelta(seconds=1))
    workers = Workers(line.services)
    line.services.wake = lambda job: workers.run(job) if job == "responses" else None

    workers.run("responses")

    assert line.owner(lead) == first
    deadline = time.monotonic() + 3
    while line.owner(lead) == first and time.monotonic() < deadline:
        time.sleep(0.02)
    assert line.owner(lead) != first


@pytest.mark.slow
def test_a_worker_process_reassigns_within_two_seconds(line: Frontline, database_url: str) -> None:
    """R22: through sweep, alarm, wake-up and job."""
    lead = line.lead()
    due = line.instant(lead, "touch_due")
    variables = {"HEARBACK_DATABASE_URL": database_url, "HEARBACK_SECRET_KEY": "x" * 40}
    command = [sys.executable, "-m", "connector.cli", "worker"]

    with subprocess.Popen(command, env={**os.environ, **variables}) as worker:
        line.set_clock(due - timedelta(seconds=12))
        deadline = time.monotonic() + 40
        while len(line.decisions()) == 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        worker.terminate()

    late = line.decisions()[-1].decided_at - due
    assert timedelta(0) <= late < timedelta(seconds=2)


@pytest.mark.slow
def test_a_late_acceptance_and_a_breach_have_one_winner(strict: Frontline) -> None:
    """R22: 1,000 trials on two threads."""
    trials = 1000
    strict.edit("people.csv", ",yes,1,40,", ",yes,1,,")
    strict.publish()
    for n in range(trials):
        strict.post(nachname=f"p{n}", email=f"p{n}@p{n}.example", plz="00-950", land="PL")
    strict.work()
    strict.send()
    found = strict.rows("SELECT l.id, l.owner, b.record_id FROM lead l JOIN binding b ON b.key = 'lead:' || l.id")
    strict.set_clock(START + 2 * HOUR)
    start = threading.Barrier(2)

    def race(act: Callable[[UUID, str], None]) -> None:
        for lead, _, record in found:
            start.wait(30)
            act(lead, record)

    def answer(_lead: UUID, record: str) -> None:
        fields = {**strict.crm.records[record], "response": "accepted"}
        strict.tells(ObjectType.LEAD, record, fields)

    def breach(lead: UUID, _record: str) -> None:
        responses.advance(strict.services, lead)

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(race, act) for act in (answer, breach)]:
            running.result()

    wins = {"accepted": 0, "offered": 0}
    for lead, first, _ in found:
        state, kept = strict.state(lead), strict.owner(lead) == first
        assert (state, kept) in {("accepted", True), ("offered", False)}
        wins[state] += 1
    assert sum(wins.values()) == trials
    assert all(wins.values()), "a race one side always wins is none"
    assert strict.rows("SELECT count(*) FROM decision") == [(trials + wins["offered"],)]
    strict.balances()


# The same through a CRM's webhooks.


@pytest.fixture
def crm(empty_database_url: str) -> Iterator[SandboxProcess]:
    with SandboxProcess(empty_database_url, search_lag=0.0) as process:
        yield process


def told(line: Frontline, crm: SandboxProcess, seen: int) -> int:
    """Deliver what the CRM has to tell since event number `seen` as one signed webhook; return the newest number."""
    answer = requests.get(
        f"{crm.url}/api/changes?cursor={seen}&limit=200",
        headers={"Authorization": f"Bearer {crm.token}"},
        timeout=10,
    ).json()
    body = orjson.dumps({"account": "sandbox", "events": answer["changes"]})
    now = datetime.now(UTC)
    headers = {"x-sandbox-signature": signature(crm.webhook_secret, int(now.timestamp()), body)}
    delivery = Delivery(new_id(), "crm:sandbox", now, "application/json", body, headers, {})
    line.services.adapter(line.services.current().settings, "sandbox").verify_webhook(delivery)
    accept(line.services, delivery)
    while sync.work(line.services):
        pass
    line.send()
    return int(answer["cursor"])


def staffed(line: Frontline, crm: SandboxProcess) -> Frontline:
    """Let everybody of the organisation work in a CRM."""
    people = line.services.current().settings.people
    line.edit("hearback.yaml", "http://127.0.0.1:8651", crm.url)
    line.publish()
    secrets = line.services.current().settings.connections["sandbox"].secrets
    environ = {secrets["token"]: crm.token, secrets["webhook"]: crm.webhook_secret}
    line.services = Services(line.services.store, line.services.vault, environ=environ)
    for person in people.values():
        if user := person.users.get("sandbox"):
            crm.create("users", {"Name": person.name, "Email": person.email}, id_=user, actor="administrator")
    return line


def test_who_loses_a_lead_to_new_rules_hears_of_it_in_the_crm(
    database_url: str, tmp_path: Path, crm: SandboxProcess
) -> None:
    """The task and the reminder of the earlier owner are closed, in their language; the new owner has one."""
    line = staffed(Frontline(database_url, tmp_path), crm)
    line.post(nachname="Kos", email="jan@kos.example", plz="10115", land="DE")
    line.work()
    line.look(START + 2.5 * HOUR)
    ((lead, first),) = line.rows("SELECT id, owner FROM lead")
    line.edit("territories.csv", "10115..14199,,,,,,,,,,,,de-north,", "10115..14199,,,,,,,,,,,,,lukas.huber")
    line.publish()

    assert reroute.work(line.services) == {reroute.Fate.MOVED: 1}
    line.send()

    def task(key: str) -> tuple[str, str, str]:
        ((record,),) = line.rows("SELECT record_id FROM binding WHERE key = %s", key)
        shown = crm.read("tasks", record)
        return shown["OwnerId"], shown["Status"], shown["Body"]

    said = "Die Regeln für Leads haben sich geändert, deshalb hat den Lead jetzt Lukas Huber."
    assert task(f"task:{lead}:{first}") == (line.user(first), "Done", said)
    assert task(f"remind:{lead}:1:{first}")[:2] == (line.user(first), "Done")
    assert task(f"task:{lead}:lukas.huber")[:2] == (line.user("lukas.huber"), "Open")
    line.close()


def test_reps_answer_through_the_webhooks_of_their_crm(database_url: str, tmp_path: Path, crm: SandboxProcess) -> None:
    """R22, R9, P9: a reject, then an acceptance, then a response; our own writes come back and are no news."""
    line = staffed(Frontline(database_url, tmp_path, response=ACCEPT), crm)
    line.post(nachname="Kos", email="jan@kos.example", plz="00-950", land="PL")
    line.work()
    line.send()
    ((lead, first),) = line.rows("SELECT id, owner FROM lead")
    ((record,),) = line.rows("SELECT record_id FROM binding WHERE key = %s", f"lead:{lead}")
    seen = told(line, crm, 0)
    assert line.state(lead) == "offered"

    crm.change("leads", record, {"x_hearback_response": "rejected_wrong_territory"}, actor=line.user(first))
    seen = told(line, crm, seen)
    line.look()
    seen = told(line, crm, seen)

    second = line.owner(lead)
    shown = crm.read("leads", record)
    assert second != first
    assert (shown["OwnerId"], shown.get("x_hearback_response")) == (line.user(second), None)
    assert line.state(lead) == "offered"
    assert line.balances()[second] < 0
    assert first not in {person for person, balance in line.balances().items() if balance < 0}

    crm.change("leads", record, {"x_hearback_response": "accepted"}, actor=line.user(second))
    seen = told(line, crm, seen)
    assert line.state(lead) == "accepted"

    crm.change("leads", record, {"Status": "Working"}, actor=line.user(second))
    told(line, crm, seen)
    line.look(START + 9 * HOUR)
    assert (line.state(lead), line.owner(lead)) == ("touched", second)
    line.close()
