"""Hooks that only name a lead: the delivery waits, its answers are fetched, and nothing is lost or made twice (I9)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from desk import Desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_support import (
    ENVIRON,
    SOURCES,
    Vendors,
    graph_error,
    graph_lead,
    lead_action,
    leadgen,
    member_lead,
)

from connector.adapters import http
from connector.adapters.testing import CUT, Reply
from connector.adapters.testing.scripted import Seen
from connector.flows import fetch, housekeeping, read
from connector.jobs import Workers, wake_all
from connector.sources.meta import MetaSource
from connector.store import Transaction, deliveries, fetches

JSON = "application/json"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as server:
        yield server


@pytest.fixture
def desk(database_url: str, tmp_path: Path, vendors: Vendors) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.edit("hearback.yaml", "sources:\n", SOURCES)
    made.publish()
    made.services.environ = dict(ENVIRON)
    made.services.origins = {"meta": vendors.url, "linkedin": vendors.url}
    yield made
    made.close()


def post(desk: Desk, body: bytes, source: str = "meta") -> UUID:
    receipt = desk.post_raw(source, body, JSON)
    desk.work()
    return receipt


def fetch_all(desk: Desk) -> None:
    while fetch.work(desk.services):
        pass
    desk.work()


def later(desk: Desk, **span: float) -> None:
    desk.run("UPDATE clock SET shift = shift + %s", timedelta(**span))


def leads(desk: Desk) -> list[str]:
    return [row[0] for row in desk.rows("SELECT data->>'email' FROM lead ORDER BY 1")]


def replay(desk: Desk, receipt: UUID) -> None:
    with desk.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)
    desk.work()


def test_a_delivery_waits_for_its_answers_and_then_takes_the_ordinary_way(desk: Desk, vendors: Vendors) -> None:
    """I9: one delivery, two leads; ids as text and as numbers."""
    vendors.leads = {"9001": graph_lead(9001), "9002": graph_lead(9002)}
    receipt = post(desk, leadgen("9001", 9002))
    assert desk.fate(receipt) == ("waiting", None, "")
    assert "fetch" in desk.woken
    assert vendors.seen == []

    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert leads(desk) == ["nora.9001@feld.example", "nora.9002@feld.example"]
    assert desk.rows("SELECT key FROM dedupe_key ORDER BY key") == [("9001",), ("9002",)]
    assert {seen.headers["authorization"] for seen in vendors.seen} == {"Bearer page-token-1"}
    assert not any("page-token" in seen.path for seen in vendors.seen)


def test_a_redelivery_grouped_differently_makes_nothing_new(desk: Desk, vendors: Vendors) -> None:
    """I9, I11."""
    vendors.leads = {str(number): graph_lead(number) for number in (9001, 9002, 9003)}
    post(desk, leadgen(9001, 9002))
    fetch_all(desk)
    alone, mixed = post(desk, leadgen(9002)), post(desk, leadgen(9003, 9001))
    fetch_all(desk)

    assert desk.fate(alone)[:2] == ("done", "duplicate")
    assert desk.fate(mixed)[:2] == ("done", "leads")
    assert len(leads(desk)) == 3


def test_what_was_fetched_is_sealed_beside_the_raw_bytes_and_a_replay_asks_nobody(desk: Desk, vendors: Vendors) -> None:
    """I4: a replay equals the first run."""
    body = leadgen(9001)
    vendors.leads = {"9001": {**graph_lead(9001), "field_data": [{"name": "odd", "values": ["nora@feld.example"]}]}}
    receipt = post(desk, body)
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "quarantined"
    vendors.leads = {}
    desk.edit("hearback.yaml", "    kind: meta\n", "    kind: meta\n    mapping: {odd: email}\n")
    desk.publish()

    replay(desk, receipt)

    ((sealed,),) = desk.rows("SELECT sealed FROM delivery_body WHERE delivery_id = %s", receipt)
    assert desk.services.vault.open(receipt, bytes(sealed))[1] == body
    assert b"nora" not in bytes(sealed)
    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert len(vendors.seen) == 1


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(Reply(429, headers={"Retry-After": "600"}), id="429"),
        pytest.param(
            graph_error(
                4, **{"X-Business-Use-Case-Usage": '{"7":[{"type":"leadgen","estimated_time_to_regain_access":10}]}'}
            ),
            id="error 4 with minutes to wait",
        ),
        pytest.param(graph_error(80005, **{"Retry-After": "600"}), id="error 80005"),
    ],
)
def test_a_rate_limit_rests_the_source_for_as_long_as_asked_and_burns_no_attempt(
    desk: Desk, vendors: Vendors, refused: Reply
) -> None:
    vendors.leads = {"9001": graph_lead(9001), "9002": graph_lead(9002)}
    vendors.then(refused)
    first = post(desk, leadgen(9001))
    fetch_all(desk)
    second = post(desk, leadgen(9002))
    later(desk, minutes=9)
    fetch_all(desk)
    assert [desk.fate(receipt)[0] for receipt in (first, second)] == ["waiting", "waiting"]
    assert len(vendors.seen) == 1
    assert "fewer requests" in desk.fate(first)[2]
    assert desk.rows("SELECT attempts FROM delivery WHERE id = %s", first) == [(0,)]

    later(desk, minutes=4)
    fetch_all(desk)

    assert leads(desk) == ["nora.9001@feld.example", "nora.9002@feld.example"]
    assert desk.rows("SELECT count(*) FROM source_rest") == [(0,)]


def test_another_source_does_not_rest_along(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"501-1": member_lead()}
    vendors.then(Reply(429, headers={"Retry-After": "600"}))
    post(desk, leadgen(9001))
    fetch_all(desk)

    receipt = post(desk, lead_action(), "linkedin")
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_an_expired_token_waits_with_a_plain_reason_and_goes_on_with_a_new_one(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9001": graph_lead(9001)}
    vendors.then(graph_error(190, status=401), graph_error(190))
    receipt = post(desk, leadgen(9001))
    for _ in range(2):
        fetch_all(desk)
        state, _, reason = desk.fate(receipt)
        assert state == "waiting"
        assert reason.startswith("the vendor refuses the access token: put a valid one into META_ACCESS")
        assert "page-token" not in reason
        assert "secret detail" not in reason
        later(desk, minutes=2)

    desk.services.environ = {**ENVIRON, "META_ACCESS": "page-token-2"}
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert vendors.seen[-1].headers["authorization"] == "Bearer page-token-2"


def test_a_token_that_is_not_set_is_said_and_waited_for(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9001": graph_lead(9001)}
    desk.services.environ = {}
    receipt = post(desk, leadgen(9001))
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "waiting"
    assert "secret META_ACCESS is not set" in desk.fate(receipt)[2]

    desk.services.environ = dict(ENVIRON)
    later(desk, minutes=1)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (graph_error(100, subcode=33), "the vendor has nothing under 9001"),
        (graph_error(10), "may not read this lead"),
        (graph_error(200), "may not read this lead"),
        (graph_error(99), "the vendor's answer cannot be read"),
        (Reply(200, b"<html>"), "the vendor's answer cannot be read"),
        (Reply(200, b"[]"), "the vendor's answer cannot be read"),
        (Reply(302, headers={"Location": "/login"}), "the vendor's answer cannot be read"),
    ],
    ids=["gone", "permission 10", "permission 200", "unknown", "no JSON", "no object", "redirect"],
)
def test_what_repeating_cannot_help_is_set_aside_and_can_be_replayed(
    desk: Desk, vendors: Vendors, answer: Reply, said: str
) -> None:
    """P2: quarantined with the reason in plain words."""
    vendors.then(answer)
    receipt = post(desk, leadgen(9001))
    fetch_all(desk)
    state, _, reason = desk.fate(receipt)
    assert state == "quarantined"
    assert said in reason
    assert len(vendors.seen) == 1

    vendors.leads = {"9001": graph_lead(9001)}
    replay(desk, receipt)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_a_lead_that_is_gone_holds_back_the_others_only_until_a_person_says_so(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9001": graph_lead(9001), "9003": graph_lead(9003)}
    receipt = post(desk, leadgen(9001, 9002, 9003))
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "quarantined"
    assert "nothing under 9002" in desk.fate(receipt)[2]
    assert "go on with the other 2" in desk.fate(receipt)[2]

    replay(desk, receipt)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert len(leads(desk)) == 2
    assert vendors.asked == ["9001", "9002", "9003", "9002"]


def test_a_replay_without_anything_to_read_does_not_count_as_done(desk: Desk, vendors: Vendors) -> None:
    receipt = post(desk, leadgen(9001))
    for _ in range(2):
        fetch_all(desk)
        assert desk.fate(receipt)[0] == "quarantined"
        replay(desk, receipt)

    vendors.leads = {"9001": graph_lead(9001)}
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_what_came_before_a_failure_is_not_asked_again(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9001": graph_lead(9001), "9002": graph_lead(9002)}
    vendors.then(Reply(200, graph_lead(9001)), Reply(500))
    receipt = post(desk, leadgen(9001, 9002))
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "waiting"

    later(desk, minutes=1)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert vendors.asked == ["9001", "9002", "9002"]


def test_a_slow_answer_is_given_up_and_tried_again(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_READ_SECONDS", 0.1)
    vendors.leads = {"9001": graph_lead(9001)}
    vendors.then(Reply(200, graph_lead(9001), delay=0.4))
    receipt = post(desk, leadgen(9001))
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "waiting"
    assert "does not answer" in desk.fate(receipt)[2]

    later(desk, minutes=1)
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_a_vendor_that_never_answers_ends_in_quarantine_after_a_day(desk: Desk, vendors: Vendors) -> None:
    vendors.then(*[Reply(503)] * fetch.ATTEMPTS)
    receipt = post(desk, leadgen(9001))
    for _ in range(fetch.ATTEMPTS):
        fetch_all(desk)
        later(desk, hours=2)

    assert desk.fate(receipt)[0] == "quarantined"
    assert "given up after 36 attempts" in desk.fate(receipt)[2]
    assert len(vendors.seen) == fetch.ATTEMPTS
    waits = [fetch.backoff(failures, None) for failures in range(1, fetch.ATTEMPTS)]
    assert timedelta(hours=20) < sum(waits, timedelta()) < timedelta(hours=36)
    assert waits == sorted(waits)


def test_one_that_keeps_failing_does_not_hold_up_the_others(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9002": graph_lead(9002)}
    vendors.then(Reply(500))
    stuck = post(desk, leadgen(9001))
    fetch_all(desk)
    other = post(desk, leadgen(9002))
    vendors.leads["9001"] = None
    later(desk, seconds=12.1)
    fetch_all(desk)

    assert desk.fate(other)[:2] == ("done", "leads")
    assert desk.fate(stuck)[0] in ("waiting", "quarantined")


def test_a_worker_killed_between_fetching_and_storing_loses_nothing(
    desk: Desk, vendors: Vendors, database_url: str
) -> None:
    """What if the process dies here? The lease runs out, and the next one asks again."""
    receipt = post(desk, leadgen(9001))
    worker = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "fetch_driver.py"), database_url, vendors.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    def kill(_seen: Seen) -> Reply:
        worker.send_signal(signal.SIGKILL)
        return Reply(200, graph_lead(9001))

    vendors._otherwise = kill
    assert worker.wait(60) == -signal.SIGKILL
    vendors._otherwise = lambda _seen: Reply(200, graph_lead(9001))
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "waiting"
    assert len(vendors.seen) == 1

    later(desk, seconds=fetch.LEASE.total_seconds())
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert leads(desk) == ["nora.9001@feld.example"]


class Died(BaseException):
    """The process ends here; PostgreSQL rolls back what was not committed."""


class Fuse:
    """Lets a number of statements pass, then ends the process once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        for name in ("one", "all", "run", "run_rows", "all_rows", "copy"):
            monkeypatch.setattr(Transaction, name, self._guarded(getattr(Transaction, name)))

    def _guarded(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            if self.left == 0:
                self.left = -1
                raise Died
            self.left -= self.left > 0
            return original(*arguments)

        return guarded


def test_dying_before_any_statement_on_the_way_loses_and_doubles_nothing(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, P2, P3: from the first read to the fate, every statement once."""
    fuse = Fuse(monkeypatch)
    for statements in range(200):
        number = 20_000 + statements
        vendors.leads = {str(number): graph_lead(number)}
        receipt = desk.post_raw("meta", leadgen(number), JSON)
        fuse.left = statements
        try:
            desk.work()
            fetch_all(desk)
        except Died:
            later(desk, seconds=fetch.LEASE.total_seconds())
        else:
            break
        desk.work()
        fetch_all(desk)

        assert desk.fate(receipt)[:2] == ("done", "leads")
        assert len(leads(desk)) == statements + 1
    assert 10 < statements < 199


def test_a_delivery_is_leased_to_one_worker_and_a_late_one_changes_nothing(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9001": graph_lead(9001)}
    receipt = post(desk, leadgen(9001))
    with desk.services.store.transaction() as tx:
        (late,) = fetches.lease(tx, 10, fetch.LEASE)
    with desk.services.store.transaction() as tx:
        assert fetches.lease(tx, 10, fetch.LEASE) == []
    later(desk, minutes=6)
    fetch_all(desk)
    before = desk.rows("SELECT state, fate, fetch_at, attempts FROM delivery")

    with desk.services.store.transaction() as tx:
        assert not fetches.keep(tx, late, b"another body")
        assert not fetches.settle(tx, late, "quarantined", "late")
        assert not fetches.postpone(tx, late, timedelta(0), 1, "late")

    assert desk.rows("SELECT state, fate, fetch_at, attempts FROM delivery") == before
    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_a_body_that_is_erased_meanwhile_does_not_come_back(desk: Desk, vendors: Vendors) -> None:
    """I33: what was leased is put back only over what was leased."""

    def erase(_seen: Seen) -> Reply:
        desk.run("DELETE FROM delivery_body")
        return Reply(200, graph_lead(9001))

    vendors._otherwise = erase
    receipt = post(desk, leadgen(9001))
    fetch_all(desk)
    later(desk, minutes=6)
    fetch_all(desk)

    assert desk.rows("SELECT count(*) FROM delivery_body") == [(0,)]
    assert desk.fate(receipt)[0] == "quarantined"
    assert "retention" in desk.fate(receipt)[2]


def test_a_body_that_is_rewritten_meanwhile_stays_as_it_was_rewritten(desk: Desk, vendors: Vendors) -> None:
    """I33: an erasure during the fetch is not undone by it."""
    receipt = post(desk, leadgen(9001))
    redacted = desk.services.vault.seal(receipt, {"headers": {}, "query": {}, "from": {}}, b"{}")

    def redact(_seen: Seen) -> Reply:
        desk.run("UPDATE delivery_body SET sealed = %s", redacted)
        return Reply(200, graph_lead(9001))

    vendors._otherwise = redact
    fetch_all(desk)

    assert desk.rows("SELECT sealed FROM delivery_body") == [(redacted,)]
    later(desk, minutes=6)
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "quarantined"
    assert leads(desk) == []


def test_a_fault_with_one_delivery_does_not_keep_the_others_from_their_turn(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendors.leads = {"501-1": member_lead()}
    broken = post(desk, leadgen(9001))
    other = post(desk, lead_action(), "linkedin")
    monkeypatch.setattr(MetaSource, "missing", lambda _self, _delivery, _reading: [None])
    fetch_all(desk)

    assert desk.fate(broken)[0] == "quarantined"
    assert "could not be fetched (AttributeError)" in desk.fate(broken)[2]
    assert desk.fate(other)[:2] == ("done", "leads")


def test_a_source_that_is_gone_is_reported_by_the_intake(desk: Desk, vendors: Vendors) -> None:
    receipt = post(desk, leadgen(9001))
    desk.edit("hearback.yaml", "  meta:\n    kind: meta\n", "  renamed:\n    kind: meta\n")
    desk.publish()
    fetch_all(desk)

    assert desk.fate(receipt)[0] == "quarantined"
    assert "not configured any more" in desk.fate(receipt)[2]
    assert vendors.seen == []


def test_a_member_lead_is_fetched_with_its_form(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"501-1": member_lead()}
    receipt = post(desk, lead_action(), "linkedin")
    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    ((data,),) = desk.rows("SELECT data FROM lead")
    assert data["first_name"] == "Jane"
    assert data["email"] == "jane.501-1@acme.example"
    assert data["custom"] == {"When?": "Now"}
    assert data["attribution"]["utm_source"] == "li"
    (seen,) = vendors.seen
    assert seen.path.startswith("/rest/leadFormResponses/501-1?fields=owner,leadType,")
    assert seen.headers["x-restli-protocol-version"] == "2.0.0"
    assert seen.headers["linkedin-version"]


def test_an_erasure_notice_asks_nobody_and_is_applied(desk: Desk, vendors: Vendors) -> None:
    """I18: also of an answer we never had."""
    receipt = post(desk, lead_action(action="DELETED"), "linkedin")
    fetch_all(desk)

    assert desk.fate(receipt) == ("done", "applied", "a notice of erasure")
    assert vendors.seen == []
    assert desk.rows("SELECT count(*) FROM erasure") == [(0,)]


def held_of(desk: Desk) -> list[str]:
    """What is left of people: data of leads, and bodies."""
    said = desk.rows("SELECT data::text FROM lead WHERE data <> '{}' UNION ALL SELECT fields::text FROM command")
    sealed = desk.rows("SELECT delivery_id, sealed FROM delivery_body")
    opened = [desk.services.vault.open(delivery, bytes(body)) for delivery, body in sealed]
    return [row for row in (*(row[0] for row in said), *(str(each) for each in opened)) if "acme.example" in row]


def test_a_deleted_answer_erases_its_lead_once_and_stays_out(desk: Desk, vendors: Vendors) -> None:
    """I18: created, deleted, the same notice again, and the original redelivered late; another answer stays."""
    vendors.leads = {"501-1": member_lead(), "502-1": member_lead("502-1")}
    first, _ = post(desk, lead_action(), "linkedin"), post(desk, lead_action("502-1"), "linkedin")
    fetch_all(desk)
    desk.send()
    assert leads(desk) == ["jane.501-1@acme.example", "jane.502-1@acme.example"]
    ((owners,),) = desk.rows("SELECT sum(open_leads) FROM ledger_entry")
    asked = len(vendors.seen)

    notices = []
    for _ in range(2):
        notices.append(post(desk, lead_action(action="DELETED"), "linkedin"))
        housekeeping.work(desk.services)
    late = post(desk, lead_action(), "linkedin")
    fetch_all(desk)
    housekeeping.work(desk.services)

    assert [desk.fate(receipt)[:2] for receipt in notices] == [("done", "applied")] * 2
    assert [desk.fate(receipt)[1] for receipt in (first, late)] == ["erased", "erased"]
    assert desk.rows("SELECT asked_by, counts ->> 'leads', finished_at IS NULL FROM erasure") == [
        ("source linkedin", "1", False)
    ]
    assert desk.rows("SELECT data ->> 'email' FROM lead WHERE erased_at IS NULL") == [("jane.502-1@acme.example",)]
    assert desk.rows("SELECT sum(open_leads) FROM ledger_entry") == [(owners - 1,)]
    assert held_of(desk)
    assert not any("501-1" in row for row in held_of(desk))
    # Nobody asks the vendor for more than the late original, which came as any other.
    assert len(vendors.seen) <= asked + 1


def test_an_answer_deleted_while_it_is_fetched_makes_no_lead(desk: Desk, vendors: Vendors) -> None:
    """I18: the notice overtakes the answer it is about."""
    vendors.leads = {"501-1": member_lead()}
    created = post(desk, lead_action(), "linkedin")
    assert desk.fate(created)[0] == "waiting"
    notice = post(desk, lead_action(action="DELETED"), "linkedin")
    housekeeping.work(desk.services)
    fetch_all(desk)

    assert desk.fate(notice)[:2] == ("done", "applied")
    assert desk.fate(created)[:2] == ("done", "erased")
    assert leads(desk) == []
    assert held_of(desk) == []


def test_jobs_know_when_the_next_delivery_is_due(desk: Desk, vendors: Vendors) -> None:
    assert fetch.seconds_to_next(desk.services) is None
    vendors.then(Reply(429, headers={"Retry-After": "60"}))
    post(desk, leadgen(9001))
    assert fetch.seconds_to_next(desk.services) == 0

    fetch_all(desk)

    seconds = fetch.seconds_to_next(desk.services)
    assert seconds is not None
    assert 55 < seconds < 75


def test_the_jobs_of_a_worker_hand_a_delivery_on_to_one_another(desk: Desk, vendors: Vendors) -> None:
    """From the door's wake-up to the lead, without a sweep."""
    vendors.leads = {"9001": graph_lead(9001)}
    receipt = desk.post_raw("meta", leadgen(9001), JSON)
    workers = Workers(desk.services)
    ran: list[str] = []
    while desk.woken:
        ran.append(desk.woken.pop(0))
        workers.run(ran[-1])

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert [job for job in ran if job in ("intake", "fetch")] == ["intake", "fetch", "intake"]


def test_the_sweep_makes_up_for_a_lost_wake_up(desk: Desk) -> None:
    wake_all(desk.services)

    assert "fetch" in desk.woken


def test_a_long_delivery_stops_before_its_lease_ends_and_goes_on(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TURN", timedelta(seconds=0.25))
    vendors.then(*[Reply(200, graph_lead(number), delay=0.15) for number in range(9001, 9004)])
    receipt = post(desk, leadgen(*range(9001, 9004)))
    assert fetch.work(desk.services) == 1
    assert desk.fate(receipt)[0] == "waiting"
    assert len(vendors.seen) < 3

    fetch_all(desk)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert vendors.asked == ["9001", "9002", "9003"]


FAILURES = st.sampled_from(
    [Reply(500), Reply(429), CUT, graph_error(2), graph_error(190), graph_error(17), Reply(200, b"x" * 9, cut=3)]
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FAILURES, max_size=6), st.integers(1, 3))
def test_whatever_fails_on_the_way_every_lead_arrives_once(
    desk: Desk, vendors: Vendors, failing: list[Reply], count: int
) -> None:
    """P2, I9: any order of failures ends in the same state."""
    known = len(leads(desk))
    numbers = [10_000 + known + at for at in range(count)]
    vendors.leads = {str(number): graph_lead(number) for number in numbers}
    vendors.then(*failing)
    receipt = post(desk, leadgen(*numbers))
    for _ in range(len(failing) + 1):
        fetch_all(desk)
        later(desk, hours=2)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert len(leads(desk)) == known + count


def test_head_and_body_survive_the_second_sealing(desk: Desk, vendors: Vendors) -> None:
    vendors.leads = {"9001": graph_lead(9001, full_name="Zoë Łącka")}
    receipt = post(desk, leadgen(9001))
    fetch_all(desk)

    with desk.services.store.transaction() as tx:
        ((source, received, media, verified, attempts, sealed),) = tx.all(
            "SELECT source, d.received_at, content_type, verified, attempts, sealed FROM delivery d "
            "JOIN delivery_body b ON delivery_id = id WHERE id = %s",
            receipt,
        )
    stored = deliveries.StoredDelivery(receipt, source, received, media, verified, attempts, bytes(sealed))
    delivery = read.open_delivery(desk.services, stored)
    assert delivery.body == leadgen(9001)
    assert "Zo\\u00eb" in delivery.fetched["9001"]
    assert read.head_of(delivery)["query"] == {}
