"""The same people through two worker processes at once: one lead each, and a ledger that adds up."""

import json
import multiprocessing
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import crash_scenario
import psycopg
import pytest
import race_worker
from crash_driver import ENVIRON, SECRET_KEY
from psycopg.rows import dict_row

from connector import publishing
from connector.flows import intake
from connector.flows.accept import accept_many
from connector.model.delivery import Delivery
from connector.routing.ledger import TURN
from connector.services import Services
from connector.store import Store, ledger
from connector.vault import Vault

PEOPLE = 500
#: Leads that are there before, half of which the workers hear are closed.
EARLIER = 60
BATCH = race_worker.BATCH


@dataclass
class Arena:
    """A database where the posts of a race wait to be worked."""

    url: str
    store: Store
    earlier: list[UUID] = field(default_factory=list)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def post(self, answers: list[tuple[int, str]]) -> None:
        services = Services(self.store, Vault(SECRET_KEY), environ=ENVIRON)
        first = self.rows("SELECT count(*) AS n FROM delivery")[0]["n"]
        accept_many(services, [_delivery(first + n, person, said) for n, (person, said) in enumerate(answers)])

    def race(self, mutant: str = "") -> list[int]:
        """Let two processes work everything off at once; return how many errors each logged."""
        spawn = multiprocessing.get_context("spawn")
        start = spawn.Barrier(2)
        records = [f"ld-{n}" for n in range(EARLIER // 2)]
        workers = [
            spawn.Process(
                target=race_worker.work, args=(race_worker.Shift(self.url, tuple(records[i::2]), mutant), start)
            )
            for i in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
            worker.kill()
        return [worker.exitcode if worker.exitcode is not None else -1 for worker in workers]


def _delivery(number: int, person: int, said: str) -> Delivery:
    # Some live where two pools that share a rep meet, so that turns in one count in the other.
    postal = "80331" if person % 3 else "20095"
    # A company's domain would lead to its people by another way than their keys.
    host = "gmail.com" if person % 2 else f"p{person}.example"
    fields = {"email": f"p{person}@{host}", "vorname": f"P{person}", "plz": postal, "nachricht": said}
    # Deliveries are claimed in the order of their ids.
    id_ = UUID(int=(1 << 120) + number)
    form = "application/x-www-form-urlencoded"
    return Delivery(id_, "site", datetime.now(UTC), form, urlencode(fields).encode(), {}, {})


@pytest.fixture
def arena(database_url: str, tmp_path: Path) -> Iterator[Arena]:
    crash_scenario.write_organisation(tmp_path / "config")
    _change(tmp_path / "config" / "people.csv", {",1,40,": ",1,,", ",1,1,": ",1,,"})
    _change(tmp_path / "config" / "territories.csv", {"saxony,20,DE,01000..09999,,,cleo": "south,20,DE,8*,,south,"})
    pools = "north: {members: [{person: anna, weight: 3}, {person: bert, weight: 2}]}\n  south: {members: [bert, cleo]}"
    _change(tmp_path / "config" / "routing.yaml", {"north: {members: [anna, bert]}": pools})
    with Store(database_url, size=2) as store:
        published = publishing.publish(store, tmp_path / "config")
        assert published.hash, published.complaints
        arena = Arena(database_url, store)
        arena.post([(PEOPLE + n, "earlier") for n in range(EARLIER)])
        assert intake.work(Services(store, Vault(SECRET_KEY), environ=ENVIRON)) == EARLIER
        arena.earlier = [row["id"] for row in arena.rows("SELECT id FROM lead ORDER BY id")]
        with store.transaction() as tx:
            for n, lead in enumerate(arena.earlier):
                tx.run(
                    "INSERT INTO binding (connection, key, object_type, record_id) VALUES ('crm', %s, 'lead', %s)",
                    f"lead:{lead}",
                    f"ld-{n}",
                )
        yield arena


def _change(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def everybody_twice() -> list[tuple[int, str]]:
    """Put the answers in an order in which batches claimed side by side share everybody, or nobody."""
    batches: list[list[tuple[int, str]]] = []
    groups = [range(first, first + BATCH) for first in range(0, PEOPLE, BATCH)]
    for group in groups[:5]:
        batches += [[(person, said) for person in group] for said in ("first", "second")]
    for said in ("first", "second"):
        batches += [[(person, said) for person in group] for group in groups[5:]]
    return [answer for batch in batches for answer in batch]


def complaints(arena: Arena, errors: list[int]) -> list[str]:
    """Say everything that is wrong after a race."""
    return [
        *(f"worker {n} ended with {count} errors" for n, count in enumerate(errors) if count),
        *_about_people(arena),
        *_about_deliveries(arena),
        *_about_the_ledger(arena),
    ]


def _about_people(arena: Arena) -> Iterator[str]:
    rows = arena.rows(
        "SELECT l.data ->> 'email' AS email, count(DISTINCT l.id) AS leads, array_agg(s.relation ORDER BY s.relation) "
        "AS relations FROM lead l JOIN submission s ON s.lead_id = l.id GROUP BY 1"
    )
    people = {row["email"]: row for row in rows if int(row["email"].split("@")[0][1:]) < PEOPLE}
    if len(people) != PEOPLE:
        yield f"{len(people)} people have a lead, not {PEOPLE}"
    for email, row in people.items():
        if row["leads"] != 1:
            yield f"{email} has {row['leads']} leads"
        elif row["relations"] != ["attached", "created"]:
            yield f"{email} has the submissions {row['relations']}"


def _about_deliveries(arena: Arena) -> Iterator[str]:
    counts = arena.rows("SELECT state, fate, attempts, count(*) AS n FROM delivery GROUP BY 1, 2, 3")
    for row in counts:
        if (row["state"], row["fate"], row["attempts"]) != ("done", "leads", 0):
            yield f"{row['n']} deliveries are {row['state']} ({row['fate']}) after {row['attempts']} failures"


@dataclass
class Replay:
    """The ledger as it must be after the decisions so far."""

    balances: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    last: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    opened: Counter[str] = field(default_factory=Counter)

    def post(self, seq: int, owner: str, postings: dict[str, list[int]]) -> Iterator[str]:
        for person, (_, share, before, after) in postings.items():
            if before != self.balances[person]:
                yield f"decision {seq} read {before} for {person}, who had {self.balances[person]}"
            if after != before + share - (TURN if person == owner else 0):
                yield f"decision {seq} posts {after} to {person}"
            self.balances[person] = after
        if sum(self.balances.values()):
            yield f"after decision {seq} the balances sum to {sum(self.balances.values())}"
        self.last[owner] = seq
        self.opened[owner] += 1

    def correct(self, person: str, amount: int) -> None:
        self.balances[person] += amount

    def differs(self, person: str, entry: dict[str, Any]) -> Iterator[str]:
        replayed = {
            "balance": self.balances[person],
            "last_seq": self.last[person],
            "open_leads": self.opened[person],
        }
        for name, value in replayed.items():
            if entry[name] != value:
                yield f"{person}: {name} is {entry[name]}, replayed it is {value}"


def _about_the_ledger(arena: Arena) -> Iterator[str]:
    """Replay every posting from zero, in the order of the decisions."""
    rows = arena.rows("SELECT seq, owner, record, decided_at FROM decision ORDER BY seq")
    if [row["seq"] for row in rows] != list(range(1, len(rows) + 1)):
        yield "the decisions are not numbered from 1 without a gap"
    if any(earlier["decided_at"] > later["decided_at"] for earlier, later in pairwise(rows)):
        yield "the decisions are not in the order of their times"
    replay = Replay()
    corrections = arena.rows("SELECT decisions, person, amount FROM ledger_posting ORDER BY id")
    for row in rows:
        while corrections and corrections[0]["decisions"] < row["seq"]:
            correction = corrections.pop(0)
            replay.correct(correction["person"], correction["amount"])
        yield from replay.post(row["seq"], row["owner"], json.loads(row["record"])["postings"])
    for correction in corrections:
        replay.correct(correction["person"], correction["amount"])
    closed = arena.rows("SELECT owner FROM lead WHERE status = 'closed'")
    if len(closed) != EARLIER // 2:
        yield f"{len(closed)} leads are closed, not {EARLIER // 2}"
    replay.opened.subtract(row["owner"] for row in closed)
    table = {row["person"]: row for row in arena.rows("SELECT * FROM ledger_entry")}
    nothing = {"balance": 0, "last_seq": 0, "open_leads": 0}
    for person in sorted(table.keys() | replay.opened.keys()):
        yield from replay.differs(person, table.get(person, nothing))
    if arena.rows("SELECT decisions FROM ledger") != [{"decisions": len(rows)}]:
        yield f"the ledger does not count {len(rows)} decisions"
    with arena.store.transaction() as tx:
        drift = ledger.recount(tx)
    yield from (f"{person}: counted and actual open leads are {pair}" for person, pair in drift.items())


@pytest.mark.slow
def test_everybody_posted_by_two_workers_at_once_has_one_lead_and_the_ledger_adds_up(arena: Arena) -> None:
    """I22, R12: and leads that are closed meanwhile free their places exactly once."""
    arena.post(everybody_twice())

    errors = arena.race()

    assert complaints(arena, errors) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "complaint"),
    [
        ("without the ledger lock", r"replayed it is|ended with \d+ errors"),
        ("without person keys", "has 2 leads"),
        ("looking before claiming", "has 2 leads"),
    ],
)
def test_without_the_safeguard_the_same_check_fails(arena: Arena, mutant: str, complaint: str) -> None:
    arena.post(everybody_twice())

    errors = arena.race(mutant)

    found = complaints(arena, errors)
    assert any(re.search(complaint, line) for line in found), found
