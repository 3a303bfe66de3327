"""R28: events, and the leads' own times, leave nothing for the sweep of the holding queue to find.

300 events by default, 10,000 with HEARBACK_FULL.
"""

import csv
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from frontline import START, Frontline

from connector.flows import held, intake, responses, sync
from connector.store import configuration, held_news, ledger
from webhooks.metrics import Metrics

EVENTS = 10_000 if os.environ.get("HEARBACK_FULL") else 300
POLAND = ("agnieszka.wilk", "michal.gorski", "zofia.krawczyk", "pawel.duda")
#: Where Poland overflows to.
SOUTH = ("lukas.huber", "miriam.keller", "stefan.kruse", "aylin.demir")
PEOPLE = (*POLAND, *SOUTH)
#: Who does not say what they want, or is large, may wait while others pass by.
CAPS = """\
caps:
  large: {when: {employees: 100..499}, max: 2, per: day}
  vague: {when: {product: (none)}, max: 2, per: day}
pools:
"""


def found(line: Frontline) -> int:
    with line.services.store.transaction() as tx:
        return held_news.found(tx)


class Floor(Frontline):
    """Reps with little room, leads that wait for them, and whatever may change that, by chance."""

    def __init__(self, url: str, folder: Path, chance: random.Random) -> None:
        super().__init__(url, folder, response='response: {due: "9h", remind_at: []}')
        self.chance = chance
        self.posted = 0
        self.drained: Counter[str] = Counter()
        self.looked = START
        self.edit("routing.yaml", 'max_hold: "4h"', 'max_hold: "1000h"')
        self.edit("routing.yaml", "  poland:\n", "  poland:\n    off_shift: hold\n    overflow: de-south\n")
        self.edit("routing.yaml", "pools:\n", CAPS)
        lines = (self.folder / "people.csv").read_text("utf-8").splitlines()
        self.people = [{**row, "max_per_day": ""} for row in csv.DictReader(lines)]
        for row in self.people:
            if row["key"] in PEOPLE:
                row["max_open"] = "3" if row["key"] in POLAND else "1"
        self.absences: list[tuple[str, str, str, str]] = []
        self.change()

    # What happens.

    def new(self) -> None:
        """Some ask for somebody, some are large, some are for one rep alone."""
        for _ in range(self.chance.choice((1, 1, 3))):
            self.posted += 1
            name = f"p{self.posted}"
            where = self.chance.choice(("budomax", name, name, name))
            size = self.chance.choice(("", "", "250", "900"))
            mail, product = f"{name}@{where}.example", self.chance.choice(("", "storage"))
            said = {"mitarbeiter": size, "produktgruppe": product}
            self.post(nachname=name, email=mail, plz="00-950", land="PL", **said)
        self.work()

    def again(self) -> None:
        """Somebody who waits says more of themselves."""
        waiting = self.rows("SELECT data ->> 'email' FROM lead WHERE status = 'held' AND NOT data ? 'product'")
        if waiting:
            ((email,),) = self.chance.choices(waiting)
            self.post(nachname="again", email=email, produktgruppe="storage")
            self.work()

    def closed(self) -> None:
        for lead in self.some(3):
            self.sets(lead, status="closed")

    def moved(self) -> None:
        for lead in self.some(1):
            self.sets(lead, owner=self.user(self.chance.choice(PEOPLE)))

    def rejected(self) -> None:
        for lead in self.some(2):
            self.sets(lead, response=f"rejected_{self.chance.choice(('bad_data', 'other'))}")

    def limited(self) -> None:
        """Somebody's limits change."""
        row = self.chance.choice([row for row in self.people if row["key"] in PEOPLE])
        row["max_open"] = self.chance.choice(("1", "2", "4", "6"))
        row["max_per_day"] = self.chance.choice(("", "", "2", "5"))
        self.change()

    def paused(self) -> None:
        """Somebody stops, or resumes."""
        row = self.chance.choice([row for row in self.people if row["key"] in PEOPLE])
        row["active"] = "no" if row["active"] == "yes" else "yes"
        self.change()

    def away(self) -> None:
        """Somebody goes on leave soon, perhaps with a stand-in."""
        now = self.now()
        begin, end = sorted(now + timedelta(hours=self.chance.uniform(-2, 20)) for _ in "ab")
        person, other = self.chance.sample(PEOPLE, 2)
        days = [f"{at:%Y-%m-%d %H:%M}" for at in (begin, end + timedelta(hours=1))]
        self.absences = [*self.absences[-2:], (person, *days, self.chance.choice(("", other)))]
        self.change()

    def later(self) -> None:
        """Time goes by: shifts open, leaves begin and end, caps have room; the worker's alarm goes off each time."""
        until = self.now() + timedelta(hours=self.chance.choice((0.5, 3, 16)))
        while (seconds := held.seconds_to_next(self.services, self.looked)) is not None:
            at = self.now() + timedelta(seconds=seconds + 0.001)
            if at > until:
                break
            self.set_clock(at)
            self.looked = self.now()
            self.drained["later"] += held.work(self.services)
        self.set_clock(until)
        responses.work(self.services)

    # How it is seen to.

    def sweep(self) -> int:
        """Return how many leads the sweep gave an owner, but for those whose time came after the alarm's last look."""
        since, until = self.looked, self.now() + timedelta(minutes=1)
        before, self.looked = self.awake(since, until), self.now()
        late = held.work(self.services)
        return late - (self.awake(since, until) - before)

    def awake(self, since: datetime, until: datetime) -> int:
        """Count the leads with an owner whose time came between two instants."""
        query = "SELECT count(*) FROM lead WHERE status = 'assigned' AND wake_at > %s AND wake_at < %s"
        return int(self.rows(query, since - timedelta(seconds=1), until)[0][0])

    def some(self, count: int) -> list:  # type: ignore[type-arg]  # ids
        rows = self.rows(
            "SELECT l.id FROM lead l JOIN binding b ON b.key = 'lead:' || l.id WHERE status = 'assigned' ORDER BY l.id"
        )
        return self.chance.sample([row[0] for row in rows], min(count, len(rows)))

    def now(self) -> datetime:
        with self.services.store.transaction() as tx:
            return tx.now()

    def change(self) -> None:
        """Publish people and leaves as they are, as `hearback rules publish` does."""
        with (self.folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.people[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.people)
        rows = [",".join(row) for row in self.absences]
        (self.folder / "absences.csv").write_text("\n".join(["person,from,to,delegate", *rows, ""]), "utf-8")
        self.publish()
        self.woken.append("held")

    def follow(self, name: str) -> None:
        """Run the jobs that events woke, and only those."""
        while wanted := set(self.woken) & {"held", "responses"}:
            self.woken.clear()
            if "responses" in wanted:
                responses.work(self.services)
            if "held" in wanted:
                self.drained[name] += held.work(self.services)
        self.send()


KINDS: dict[Callable[[Floor], None], int] = {
    Floor.new: 30,
    Floor.again: 8,
    Floor.closed: 20,
    Floor.moved: 4,
    Floor.rejected: 5,
    Floor.limited: 5,
    Floor.paused: 5,
    Floor.away: 4,
    Floor.later: 12,
}


@contextmanager
def floor_of(url: str, folder: Path, seed: int) -> Iterator[Floor]:
    made = Floor(url, folder, random.Random(seed))
    made.set_clock(START)
    made.follow("start")
    yield made
    made.close()


def play(floor: Floor, events: int) -> Iterator[tuple[str, int]]:
    """Let things happen; yield what each was, and how many waiting leads the sweep after it gave an owner."""
    for kind in floor.chance.choices(list(KINDS), list(KINDS.values()), k=events):
        kind(floor)
        floor.follow(kind.__name__)
        yield kind.__name__, floor.sweep()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_events_leave_the_sweep_nothing_to_find(database_url: str, tmp_path: Path) -> None:
    """R28"""
    with floor_of(database_url, tmp_path, seed=28) as floor:
        for number, (kind, late) in enumerate(play(floor, EVENTS)):
            assert (late, found(floor)) == (0, 0), f"after event {number}, {kind}"

        assert min(floor.drained["closed"], floor.drained["later"]) > EVENTS / 100, floor.drained
        assert floor.rows("SELECT FROM held_news") == []
        with floor.services.store.transaction() as tx:
            assert ledger.recount(tx) == {}
            assert sum(entry[0] for entry in ledger.entries(tx).values()) == 0


def _deaf(_services: object, _tx: object) -> None: ...


BROKEN: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a lead is closed or moved": lambda patch: patch.setattr(sync, "held", SimpleNamespace(announce=_deaf)),
    "a lead is handed on": lambda patch: patch.setattr(responses, "held", SimpleNamespace(announce=_deaf)),
    "a version is published": lambda patch: patch.setattr(configuration, "_announced", lambda _tx, changed: changed),
    "time is not foreseen": lambda patch: patch.setattr(held, "_foresee", lambda *_: None),
    "somebody says more": lambda patch: patch.setattr(
        intake, "held", SimpleNamespace(announce=_deaf, drain=held.drain, wakes_soon=held.wakes_soon)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("unsaid", BROKEN)
def test_what_is_not_announced_is_counted(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsaid: str
) -> None:
    """R28: a mutant for each kind of event."""
    with floor_of(database_url, tmp_path, seed=28) as floor:
        BROKEN[unsaid](monkeypatch)

        assert any(found(floor) for _ in play(floor, 1000)), floor.drained


# One rep with room for one lead, and one or two that wait.


@pytest.fixture
def line(database_url: str, tmp_path: Path) -> Iterator[Frontline]:
    made = Frontline(database_url, tmp_path)
    made.edit("routing.yaml", "".join(f"      - {name}\n" for name in POLAND[1:]), "")
    made.edit("people.csv", "PL,pl;en,yes,1,40,U-1009", "PL,pl;en,yes,1,1,U-1009")
    made.publish()
    held.work(made.services)
    yield made
    made.close()


def free(line: Frontline) -> None:
    """Make room behind everybody's back."""
    line.run("UPDATE ledger_entry SET open_leads = 0")


def test_a_find_is_counted_where_operators_look_and_logged_without_personal_data(
    line: Frontline, caplog: pytest.LogCaptureFixture
) -> None:
    """R28, P10"""
    line.lead()
    waits = line.lead()
    free(line)

    assert held.work(line.services) == 1

    assert "\nhearback_sweep_found_total 1.0\n" in Metrics(line.services).exposition().decode()
    (told,) = [record for record in caplog.records if record.name == held.__name__]
    assert (told.levelname, told.__dict__["leads"]) == ("WARNING", [str(waits)])
    assert "p1" not in str(told.__dict__)


def test_what_a_new_lead_finds_waiting_is_counted_too(line: Frontline) -> None:
    """R28: a fault is not hidden by the lead that comes in before the sweep."""
    line.lead()
    line.lead()
    free(line)

    line.lead()

    assert found(line) == 1


def test_a_sweep_that_overtakes_an_event_finds_nothing(line: Frontline) -> None:
    """R28: also where the event's own job was lost with its process."""
    first, waits = line.lead(), line.lead()
    line.sets(first, status="closed")
    assert line.woken[-1] == "held"

    assert held.work(line.services) == 1

    assert line.owner(waits) == "agnieszka.wilk"
    assert found(line) == 0
    assert line.rows("SELECT FROM held_news") == []


def test_news_stay_until_the_whole_queue_was_looked_at(line: Frontline, monkeypatch: pytest.MonkeyPatch) -> None:
    """R28: whoever goes on after a look that broke off halfway finds nothing either."""
    first, *_ = [line.lead() for _ in range(3)]
    line.edit("people.csv", "PL,pl;en,yes,1,1,U-1009", "PL,pl;en,yes,1,2,U-1009")
    line.publish()
    line.sets(first, status="closed")
    monkeypatch.setattr(held, "LIMIT", 1)
    with line.services.store.transaction() as tx:
        news = held_news.read(tx)
    looked = held._work_batch(line.services, None, news)
    assert looked.place is not None, "there is more to look at, and whoever was to do it dies"
    assert line.rows("SELECT count(*) FROM lead WHERE status = 'held'") == [(1,)]

    assert held.work(line.services) == 1

    assert found(line) == 0
    assert line.rows("SELECT FROM held_news") == []


def test_who_waited_long_enough_is_no_find(line: Frontline) -> None:
    line.lead()
    waits = line.lead()

    line.set_clock(START + timedelta(hours=5))

    assert held.work(line.services) == 1
    assert (line.owner(waits), found(line)) == ("henrik.voss", 0)


def test_a_lead_put_on_hold_just_before_an_opening_has_its_alarm_set(line: Frontline) -> None:
    """R27: the next sweep may come too late for it."""
    line.edit("routing.yaml", "  poland:\n", "  poland:\n    off_shift: hold\n")
    line.publish()
    opens = START - timedelta(hours=1)
    line.set_clock(opens - timedelta(hours=1))
    line.lead()
    assert "held" not in line.woken

    line.set_clock(opens - timedelta(seconds=8))
    line.lead()

    assert "held" in line.woken


@pytest.mark.parametrize(
    ("leaves", "hour"),
    [
        (["agnieszka.wilk,2026-11-23 12:00,2026-11-23 16:00,zofia.krawczyk"], 2),
        (
            [
                "agnieszka.wilk,2026-11-23 08:00,2026-11-23 13:00,michal.gorski",
                "agnieszka.wilk,2026-11-23 11:30,2026-11-23 16:00,zofia.krawczyk",
            ],
            3,
        ),
    ],
    ids=["a leave begins", "the second of two leaves has its own stand-in"],
)
def test_a_lead_for_one_rep_wakes_when_somebody_begins_to_stand_in(
    line: Frontline, leaves: list[str], hour: int
) -> None:
    """R27, R28: Agnieszka is full, and so is Michał; Zofia is not, and stands in from a known hour on."""
    (line.folder / "absences.csv").write_text("\n".join(["person,from,to,delegate", *leaves, ""]), "utf-8")
    line.edit("people.csv", "PL,pl,yes,1,40,U-1010", "PL,pl,yes,1,0,U-1010")
    line.publish()
    line.run("INSERT INTO ledger_entry (person, open_leads) VALUES ('agnieszka.wilk', 1)")
    line.post(nachname="Kos", email="kos@budomax.example", plz="00-950", land="PL")
    line.work()
    comes = START + timedelta(hours=hour)
    line.set_clock(comes - timedelta(minutes=15))
    assert held.work(line.services) == 0

    assert line.rows("SELECT status, pool, wake_at FROM lead") == [("held", "rep:agnieszka.wilk", comes)]

    line.set_clock(comes)
    assert held.work(line.services) == 1
    assert line.rows("SELECT owner FROM lead") == [("zofia.krawczyk",)]
    assert found(line) == 0
