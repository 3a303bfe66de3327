"""Senders that do not give up: programs with an Idempotency-Key, and forms with or without one."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlencode

import requests
from web_support import FORM, KEY, LEADS

#: A few places of every pool and of most reps who have an area of their own: country and postal code.
PLACES = (
    *(("DE", code) for code in ("20095", "17033", "24103", "28195", "10115", "14467", "01067", "30159")),
    *(("DE", code) for code in ("44135", "50667", "60311", "66111", "70173", "80331", "90402")),
    *(("PL", code) for code in ("00-950", "05-100", "15-001", "31-001", "40-001", "50-001", "61-001", "80-001")),
    *(("US", code) for code in ("02108", "10001", "19103", "20001", "30301", "33101", "43085", "60601")),
    *(("US", code) for code in ("55401", "77001", "80201", "94103", "98101")),
)
PURPOSE = {"purpose": "contact", "given": True, "text": "You may ask me how it went."}
#: Whose leads stay open, so that a second answer finds the first one's lead.
TWICE = "twice."
SHARED_COMPANIES = 25
PATIENCE = 240.0
#: As many posts start at the same moment.
BURST = 24


@dataclass(frozen=True, slots=True)
class Submission:
    """One thing a person sent; the same bytes under the same key however often it is repeated."""

    number: int
    email: str
    path: str
    headers: dict[str, str]
    body: bytes


def submissions(count: int, seed: int) -> list[Submission]:
    """Make submissions in a seeded order: 4 % are by somebody who answers a second time."""
    draw = random.Random(seed)
    again = max(1, count // 25)
    people = [_person(draw, number, twice=number < again) for number in range(count - again)]
    senders = [*people, *people[:again]]
    draw.shuffle(senders)
    return [_submission(draw, number, person) for number, person in enumerate(senders)]


def _person(draw: random.Random, number: int, *, twice: bool) -> dict[str, str]:
    # One in twenty works for a company that others answered from before.
    shared = draw.random() < 0.05
    company = draw.randrange(SHARED_COMPANIES) if shared else number + 1000
    country, postal = draw.choice(PLACES)
    return {
        "first_name": f"Person{number}",
        "last_name": draw.choice(("Albers", "Nowak", "Reed", "Keller", "Ortega", "Wójcik")),
        "email": f"{TWICE if twice else 'once.'}p{number}@company-{company}.example",
        "country": country,
        "postal_code": postal,
    }


def _submission(draw: random.Random, number: int, person: dict[str, str]) -> Submission:
    said = {**person, "message": f"submission {number}"}
    kind = draw.random()
    if kind < 0.85:
        headers = {**KEY, "Content-Type": "application/json", "Idempotency-Key": f"key-{number}"}
        body = json.dumps({**said, "consents": [PURPOSE]}).encode()
        return Submission(number, person["email"], LEADS, headers, body)
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if kind < 0.93:
        headers["Idempotency-Key"] = f"form-{number}"
    return Submission(number, person["email"], FORM, headers, urlencode(said).encode())


@dataclass
class Clients:
    """Threads that post everything, each submission until it is acknowledged."""

    url: str
    todo: Sequence[Submission]
    rate: float
    threads: int = 12
    receipts: dict[int, list[str]] = field(default_factory=dict)
    #: Why something had to be sent again.
    repeats: Counter[str] = field(default_factory=Counter)
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Post in bursts at a steady rate; an outage makes a queue that is then worked off as fast as it goes."""
        started = time.monotonic()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="client") as pool:
            for place, submission in enumerate(self.todo):
                due = started + place // BURST * BURST / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self._until_acknowledged, submission)
        assert len(self.receipts) == len(self.todo), f"{len(self.todo) - len(self.receipts)} never acknowledged"

    @property
    def unanswered(self) -> int:
        """How many requests are under way at this moment."""
        return self._open

    def ask_again(self, share: int) -> int:
        """Repeat every so many acknowledged keyed posts of programs; return how many got another receipt."""
        other = 0
        with _session() as session:
            for submission in self.todo[::share]:
                if submission.path == LEADS:
                    other += self._receipt(session, submission) not in (self.receipts[submission.number][0], None)
        return other

    def _until_acknowledged(self, submission: Submission) -> None:
        deadline = time.monotonic() + PATIENCE
        draw = random.Random(submission.number)
        with _session() as session:
            while time.monotonic() < deadline:
                receipt = self._receipt(session, submission)
                if receipt is not None:
                    with self._lock:
                        self.receipts.setdefault(submission.number, []).append(receipt)
                    return
                time.sleep(draw.uniform(0.05, 0.4))

    def _receipt(self, session: requests.Session, submission: Submission) -> str | None:
        with self._lock:
            self._open += 1
        try:
            answer = session.post(
                self.url + submission.path, data=submission.body, headers=submission.headers, timeout=(2, 5)
            )
        except requests.RequestException as err:
            self._count(type(err).__name__)
            return None
        finally:
            with self._lock:
                self._open -= 1
        if answer.status_code in (200, 202):
            return str(answer.json()["receipt"])
        self._count(str(answer.status_code))
        return None

    def _count(self, why: str) -> None:
        with self._lock:
            self.repeats[why] += 1


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session
