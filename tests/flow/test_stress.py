"""Sixteen workers, duplicate deliveries, new rules meanwhile, workers killed: one owner each, no cap exceeded (R36)."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import crash_scenario
import pytest
import stress_worker
from crash_driver import ENVIRON, SECRET_KEY

from connector import publishing
from connector.flows import verify
from connector.flows.accept import accept_many
from connector.model.delivery import Delivery
from connector.services import Services
from connector.store import Store
from connector.vault import Vault

FULL = bool(os.environ.get("HEARBACK_FULL"))
LEADS = 10_000 if FULL else 1_200
WORKERS = 16
KILLS = 24 if FULL else 6
PUBLISHED = 8 if FULL else 3
REPS = 12
#: Every rep: at most so many open leads, and so many in any hour.
MAX_OPEN, MAX_PER_HOUR = LEADS // REPS // 2, LEADS // REPS // 3
GONE_WITH_A_SIGNAL = -signal.SIGKILL


class Floor:
    """A database, a folder to publish from, and workers that come and go."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.store = Store(url, size=2).open()
        self.spawn = multiprocessing.get_context("spawn")
        self.all_in = self.spawn.Event()
        self.workers = [self.hire() for _ in range(WORKERS)]
        self.versions: set[str] = set()

    def hire(self) -> multiprocessing.process.BaseProcess:
        worker = self.spawn.Process(target=stress_worker.work, args=(self.url, self.all_in))
        worker.start()
        return worker

    def publish(self, number: int) -> None:
        """Publish another version: pools that overlap, with other weights each time."""
        pools = "".join(
            f"  pool-{pool}: {{members: [{', '.join(members)}]}}\n" for pool, members in enumerate(pools_of(number))
        )
        text = f'fallback: mona\nholding: {{max_hold: "900h"}}\npools:\n{pools}'
        (self.folder / "routing.yaml").write_text(text, "utf-8")
        published = publishing.publish(self.store, self.folder)
        assert published.hash, published.complaints
        self.versions.add(published.hash)

    def post(self, people: list[int], first: int) -> None:
        services = Services(self.store, Vault(SECRET_KEY), environ=ENVIRON)
        accept_many(services, [delivery(first + number, person) for number, person in enumerate(people)])

    def keep_up(self, leads: int) -> None:
        """Wait until so many leads are decided: versions and kills shall meet workers in full swing."""
        deadline = time.monotonic() + 120
        while self.rows("SELECT decisions FROM ledger")[0][0] < leads and time.monotonic() < deadline:
            time.sleep(0.05)

    def kill_one(self, chance: random.Random) -> None:
        at = chance.randrange(WORKERS)
        if (victim := self.workers[at]).is_alive():
            victim.kill()
            victim.join()
            self.workers[at] = self.hire()

    def finish(self) -> None:
        self.all_in.set()
        for worker in self.workers:
            worker.join(600)
            assert worker.exitcode == 0

    def rows(self, query: str) -> list[tuple]:  # type: ignore[type-arg]  # whatever the query returns
        with self.store.transaction() as tx:
            return tx.all(query)


def rep(number: int) -> str:
    return f"rep{number:02d}"


def pools_of(version: int) -> list[list[str]]:
    chance = random.Random(version)
    return [
        [f"{{person: {rep(n)}, weight: {chance.randint(1, 4)}}}" for n in chance.sample(range(REPS), 7)]
        for _ in range(4)
    ]


def delivery(number: int, person: int) -> Delivery:
    said = {"email": f"p{person}@p{person}.example", "vorname": f"P{person}", "plz": f"{person % 4 + 1}0115"}
    form = "application/x-www-form-urlencoded"
    return Delivery(UUID(int=(1 << 120) + number), "site", datetime.now(UTC), form, urlencode(said).encode(), {}, {})


@pytest.fixture
def floor(database_url: str, tmp_path: Path) -> Iterator[Floor]:
    folder = tmp_path / "config"
    crash_scenario.write_organisation(folder)
    head = "key,name,email,lane,role,team,timezone,calendar,languages,active,weight,max_open,max_per_hour,user:crm"
    limits = f"{MAX_OPEN},{MAX_PER_HOUR}"
    people = [
        f"{rep(n)},Rep {n},{rep(n)}@nordhammer.example,sales,rep,sales,Europe/Berlin,DE,de,yes,1,{limits},U-{n}"
        for n in range(REPS)
    ]
    mona = "mona,Mona Voss,mona@nordhammer.example,sales,manager,sales,Europe/Berlin,DE-HB,en,yes,,,,U-mona"
    (folder / "people.csv").write_text("\n".join([head, *people, mona, ""]), "utf-8")
    rules = [f"zone-{n},{n},DE,{n + 1}*,pool-{n}" for n in range(4)]
    (folder / "territories.csv").write_text("\n".join(["rule,order,country,postal,pool", *rules, ""]), "utf-8")
    (folder / "goals.csv").write_text("person,metric,start,end,amount,currency\n", "utf-8")
    made = Floor(database_url, folder)
    made.publish(0)
    yield made
    for worker in made.workers:
        worker.kill()
    made.store.close()


@pytest.mark.slow
def test_sixteen_workers_give_every_lead_one_owner_and_exceed_no_cap(floor: Floor) -> None:
    """R12, R35, R36, R43: whatever a killed worker had not committed, another decides."""
    chance = random.Random(36)
    # One in five comes twice, and anywhere.
    answers = list(range(LEADS)) + chance.sample(range(LEADS), LEADS // 5)
    chance.shuffle(answers)
    parts = 12
    size = -(-len(answers) // parts)
    kills = 0

    for part in range(parts):
        floor.post(answers[part * size : (part + 1) * size], part * size)
        floor.keep_up(part * size // 2)
        if part % -(-parts // PUBLISHED) == 1:
            floor.publish(part)
        for _ in range(-(-KILLS // parts)):
            time.sleep(chance.random() / 5)
            floor.kill_one(chance)
            kills += 1
    floor.finish()

    assert_one_decision_chain_each(floor)
    assert_no_cap_was_exceeded(floor)
    report = verify.verify(floor.url, processes=2)
    ((decisions,),) = floor.rows("SELECT count(*) FROM decision")
    assert (report.decisions, report.problems) == (decisions, ())
    named = {row[0] for row in floor.rows("SELECT DISTINCT rule_set FROM decision")}
    waiting = floor.rows("SELECT count(*) FROM lead WHERE status = 'held'")[0][0]
    print(f"\n{LEADS} leads of {len(answers)} deliveries, {kills} kills, {len(named)} versions, {waiting} wait")
    assert len(named) > 1
    assert kills >= KILLS


def assert_one_decision_chain_each(floor: Floor) -> None:
    assert floor.rows("SELECT count(*), count(DISTINCT data ->> 'email') FROM lead") == [(LEADS, LEADS)]
    assert dict(floor.rows("SELECT fate, count(*) FROM delivery GROUP BY fate")) == {
        "leads": LEADS,
        "duplicate": LEADS // 5,
    }
    # Numbers without a gap, and the last decision of each lead is what the lead says.
    ((count, last, counted),) = floor.rows("SELECT count(*), max(seq), (SELECT decisions FROM ledger) FROM decision")
    assert count == last == counted
    assert (
        floor.rows(
            "SELECT l.id FROM lead l JOIN decision d ON d.lead_id = l.id AND d.assign_seq = l.assign_seq "
            "WHERE l.owner IS DISTINCT FROM d.owner"
        )
        == []
    )
    assert floor.rows("SELECT lead_id FROM decision WHERE owner IS NOT NULL GROUP BY lead_id HAVING count(*) > 1") == []
    assert floor.rows("SELECT sum(balance) FROM ledger_entry") == [(0,)]
    commands = (
        "SELECT key FROM command WHERE object_type = 'lead' AND purpose = 'assign' GROUP BY key HAVING count(*) > 1"
    )
    assert floor.rows(commands) == []
    assigned = floor.rows("SELECT count(*) FROM lead WHERE status = 'assigned'")
    assert floor.rows("SELECT count(*) FROM command WHERE object_type = 'lead' AND purpose = 'assign'") == assigned
    assert floor.rows("SELECT count(*) FROM assignment") == assigned


def assert_no_cap_was_exceeded(floor: Floor) -> None:
    given: dict[str, list[datetime]] = defaultdict(list)
    for owner, at in floor.rows("SELECT owner, decided_at FROM decision WHERE owner IS NOT NULL ORDER BY seq"):
        given[owner].append(at)
    opened = Counter({person: len(times) for person, times in given.items() if person != "mona"})
    assert max(opened.values()) <= MAX_OPEN
    for person, times in given.items():
        for number, at in enumerate(times):
            recent = sum(at - timedelta(hours=1) < earlier for earlier in times[: number + 1])
            assert person == "mona" or recent <= MAX_PER_HOUR
    assert max(opened.values()) == MAX_PER_HOUR, "the cap was reached"
