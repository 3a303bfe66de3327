"""Capacity over time, with the store's own rows: rolling caps, shifts, leave, and the queue that waits for them."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from desk import Desk, jan

from connector.flows import held
from connector.store import leads, ledger

#: A Wednesday, 10:00 in Poland.
OPEN = datetime(2026, 12, 2, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MEMBERS = ("agnieszka.wilk", "michal.gorski", "zofia.krawczyk", "pawel.duda")


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    at(made, OPEN)
    yield made
    made.close()


def at(desk: Desk, instant: datetime) -> None:
    desk.run("UPDATE clock SET shift = %s - clock_timestamp()", instant)


def alone(desk: Desk, extra: str = "") -> None:
    """Leave Warsaw to Agnieszka, under conditions."""
    people = "".join(f"      - {name}\n" for name in MEMBERS)
    desk.edit("routing.yaml", f"    members:\n{people}", f"    members: [agnieszka.wilk]\n{extra}")
    desk.publish()


def rate(desk: Desk, column: str, cell: str, person: str = "agnieszka.wilk") -> None:
    path = desk.folder / "people.csv"
    head, *rows = path.read_text("utf-8").splitlines()
    rows = [f"{row},{cell if row.startswith(person + ',') else ''}" for row in rows]
    path.write_text("\n".join([f"{head},{column}", *rows, ""]), "utf-8")


def answers(desk: Desk, count: int, start: int = 0, **fields: str) -> None:
    for number in range(start, start + count):
        desk.post(**jan(email=f"jan{number}@kos{number}.example", **fields))
    desk.work()


def owners(desk: Desk) -> Counter[str]:
    return Counter(row[0] for row in desk.rows("SELECT coalesce(owner, status) FROM lead"))


def test_a_rolling_cap_holds_over_batches_and_the_queue_drains_when_it_frees(desk: Desk) -> None:
    """R12, R27: at the very instant, and the waiting lead knows it."""
    rate(desk, "max_per_day", "3")
    desk.edit("routing.yaml", 'max_hold: "4h"', 'max_hold: "100h"')
    alone(desk)

    answers(desk, 2)
    at(desk, OPEN + HOUR)
    answers(desk, 3, 2)

    assert owners(desk) == {"agnieszka.wilk": 3, "held": 2}
    frees = OPEN + DAY
    with desk.services.store.transaction() as tx:
        wake = leads.next_wake(tx, tx.now())
    assert wake is not None
    assert timedelta(0) <= wake - frees < timedelta(seconds=30)

    at(desk, frees - timedelta(seconds=10))
    assert held.work(desk.services) == 0
    at(desk, wake)
    assert held.work(desk.services) == 2
    assert owners(desk) == {"agnieszka.wilk": 5}


def test_a_rate_is_one_over_pools_and_counts_what_was_given_before_it_was_set(desk: Desk) -> None:
    """R12: three pools, one person, one cap."""
    alone(desk)
    answers(desk, 2)
    rate(desk, "max_per_week", "3")
    desk.publish()

    answers(desk, 2, 2)

    assert owners(desk) == {"agnieszka.wilk": 3, "held": 1}


def test_a_cap_with_a_tag_lets_other_leads_pass(desk: Desk) -> None:
    """R28: five big ones wait in front, and the small one behind them is not kept waiting."""
    alone(desk)
    desk.edit("routing.yaml", "pools:\n", "caps:\n  large: {when: {employees: 100..499}, max: 1, per: week}\npools:\n")
    desk.publish()

    answers(desk, 6, mitarbeiter="250")
    answers(desk, 1, 6)

    assert owners(desk) == {"agnieszka.wilk": 2, "held": 5}
    assert desk.rows("SELECT count(*) FROM assignment WHERE tags = '{large}'") == [(1,)]


def test_a_long_ineligible_head_does_not_block_whoever_can_be_placed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R28"""
    monkeypatch.setattr(held, "LIMIT", 3)
    alone(desk)
    desk.edit("routing.yaml", "pools:\n", "caps:\n  large: {when: {employees: 100..499}, max: 1, per: week}\npools:\n")
    desk.publish()
    answers(desk, 8, mitarbeiter="250")
    cap_one(desk, 1)
    answers(desk, 2, 8)
    assert owners(desk) == {"agnieszka.wilk": 1, "held": 9}

    cap_one(desk, 40)

    assert held.work(desk.services) == 2
    assert owners(desk) == {"agnieszka.wilk": 3, "held": 7}


def cap_one(desk: Desk, limit: int) -> None:
    """Set Agnieszka's limit of open leads."""
    path = desk.folder / "people.csv"
    rows = path.read_text("utf-8").splitlines()
    at_ = rows[0].split(",").index("max_open")
    for number, row in enumerate(rows):
        cells = row.split(",")
        if cells[0] == "agnieszka.wilk":
            cells[at_] = str(limit)
            rows[number] = ",".join(cells)
    path.write_text("\n".join([*rows, ""]), "utf-8")
    desk.publish()


def test_all_off_shift_wait_for_the_first_to_begin_however_old_the_lead(desk: Desk) -> None:
    """R27: Poland's Friday evening until Monday morning, and the hold counts working time only."""
    alone(desk, "    off_shift: hold\n")
    friday = datetime(2026, 12, 4, 20, tzinfo=UTC)
    at(desk, friday)

    answers(desk, 1)

    opens = datetime(2026, 12, 7, 8, tzinfo=UTC)
    assert desk.rows("SELECT status, wake_at FROM lead") == [("held", opens)]
    desk.run("UPDATE lead SET created_at = created_at - interval '30 days'")
    at(desk, opens - timedelta(seconds=1))
    assert held.work(desk.services) == 0
    at(desk, opens)
    assert held.work(desk.services) == 1
    assert owners(desk) == {"agnieszka.wilk": 1}


@pytest.mark.slow
def test_a_worker_assigns_within_two_seconds_of_the_opening(desk: Desk, database_url: str) -> None:
    """R27: through sweep, alarm, wake-up and job."""
    alone(desk, "    off_shift: hold\n")
    opens = datetime(2026, 12, 7, 8, tzinfo=UTC)
    at(desk, datetime(2026, 12, 4, 20, tzinfo=UTC))
    answers(desk, 1)
    variables = {"HEARBACK_DATABASE_URL": database_url, "HEARBACK_SECRET_KEY": "x" * 40}

    with subprocess.Popen([sys.executable, "-m", "connector.cli", "worker"], env={**os.environ, **variables}) as worker:
        at(desk, opens - timedelta(seconds=12))
        deadline = time.monotonic() + 40
        while owners(desk) == {"held": 1} and time.monotonic() < deadline:
            time.sleep(0.1)
        worker.terminate()

    ((late,),) = desk.rows("SELECT decided_at - %s FROM decision ORDER BY seq DESC LIMIT 1", opens)
    assert timedelta(0) <= late < timedelta(seconds=2)


def test_leave_passes_people_over_and_a_paced_pool_lets_them_catch_up(desk: Desk) -> None:
    """R6, R19"""
    desk.edit("routing.yaml", "  poland:\n", "  poland:\n    absence: paced\n")
    (desk.folder / "absences.csv").write_text("person,from,to\npawel.duda,2026-12-02,2026-12-02\n", "utf-8")
    desk.publish()

    answers(desk, 30)
    assert owners(desk) == dict.fromkeys(MEMBERS[:3], 10)
    ((units, until),) = desk.rows("SELECT grant_units, grant_until FROM ledger_entry WHERE person = 'pawel.duda'")
    assert units == 30 * 10**9 // 4
    assert until > OPEN + 30 * DAY

    at(desk, OPEN + DAY)
    answers(desk, 60, 30)

    back = owners(desk)["pawel.duda"]
    assert 20 <= back <= 23, "a quarter of sixty, and half as many again at most"
    ((left,),) = desk.rows("SELECT grant_units FROM ledger_entry WHERE person = 'pawel.duda'")
    assert 0 <= left < units
    with desk.services.store.transaction() as tx:
        assert sum(entry[0] for entry in ledger.entries(tx).values()) == 0


def test_new_people_begin_with_a_part_of_their_weight(desk: Desk) -> None:
    rate(desk, "starts", str(date(2026, 12, 2)), "pawel.duda")
    desk.edit("routing.yaml", "pools:\n", "ramp_up: {start: 25, days: 30}\npools:\n")
    desk.publish()

    answers(desk, 26)
    at(desk, OPEN + 30 * DAY)
    answers(desk, 40, 26)

    assert owners(desk)["pawel.duda"] == 2 + 10


def test_what_waits_is_decided_again_when_a_newer_version_gives_room(desk: Desk) -> None:
    rate(desk, "max_per_day", "0")
    alone(desk)
    answers(desk, 1)
    assert owners(desk) == {"held": 1}

    text = (desk.folder / "people.csv").read_text("utf-8")
    (desk.folder / "people.csv").write_text(text.replace(",0\n", ",1/2\n"), "utf-8")
    desk.publish()

    assert held.work(desk.services) == 1
    answers(desk, 1, 1)
    assert owners(desk) == {"agnieszka.wilk": 1, "held": 1}
    ((wake,),) = desk.rows("SELECT wake_at FROM lead WHERE status = 'held'")
    assert timedelta(0) <= wake - (OPEN + 2 * DAY) < timedelta(seconds=30), "half a lead a day is one in two days"
