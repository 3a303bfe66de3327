"""The sandbox CRM itself, over HTTP: it has to be as awkward as the real ones."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg
import pytest
import requests
from sandbox_rig import SECRET, TOKEN

from connector.adapters.sandbox.adapter import SandboxAdapter
from connector.adapters.sandbox.process import SandboxProcess, command, environment, free_port
from connector.adapters.testing import Reply, ScriptedCrm, fresh_key
from connector.errors import ConfigurationError
from connector.model.delivery import Delivery

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def api(crm: SandboxProcess) -> Iterator[Callable[..., requests.Response]]:
    crm.control("faults", {})
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(HEADERS)

        def call(method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
            return session.request(method, crm.url + path, json=body, timeout=10, **kwargs)

        yield call


@pytest.fixture
def rows(sandbox_database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    with psycopg.connect(sandbox_database_url, autocommit=True) as conn:
        yield lambda query, *values: conn.execute(query, values).fetchall()


@pytest.fixture
def database(sandbox_database_url: str) -> str:
    """A CRM of its own, so that nothing else is in its outbox."""
    name = f"hooks_{fresh_key().replace('-', '_')}"
    with psycopg.connect(sandbox_database_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    return sandbox_database_url.replace("sandbox_crm", name)


def lead(key: str, **fields: object) -> dict[str, Any]:
    return {"trace": f"trace-{key}", "fields": {"x_hearback_key": key, "LastName": "Nowak", **fields}}


class TestBatches:
    def test_one_request_is_one_effect_per_command(self, api, rows) -> None:
        """P5: the proof the flow tests stand on."""
        keys = [fresh_key() for _ in range(3)]

        for _ in range(2):
            api("POST", "/api/batch/leads", {"records": [lead(key) for key in keys]})

        effects = rows(
            "SELECT trace, effect FROM sandbox.effect_log WHERE trace = ANY(%s) ORDER BY effect, trace",
            [f"trace-{key}" for key in keys],
        )
        assert effects == [(f"trace-{key}", effect) for effect in ("created", "unchanged") for key in sorted(keys)]

    def test_two_hundred_records_fit_and_no_more(self, api) -> None:
        keys = [fresh_key() for _ in range(201)]

        fits = api("POST", "/api/batch/leads", {"records": [lead(key) for key in keys[:200]]})
        exceeds = api("POST", "/api/batch/leads", {"records": [lead(key) for key in keys]})

        assert [len(fits.json()["results"]), exceeds.status_code] == [200, 413]

    def test_two_writers_of_one_new_key_make_one_record(self, crm, rows) -> None:
        """A12."""
        key = fresh_key()

        def write() -> None:
            body = {"records": [lead(key)]}
            requests.post(f"{crm.url}/api/batch/leads", json=body, headers=HEADERS, timeout=10)

        writers = [threading.Thread(target=write) for _ in range(6)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

        assert rows("SELECT count(*) FROM sandbox.record WHERE hearback_key = %s", key) == [(1,)]

    @pytest.mark.parametrize(
        "body", [[], {}, {"records": 3}, {"records": [3]}, {"records": [{}]}, {"records": [{"fields": {}, "id": 3}]}]
    )
    def test_a_malformed_batch_is_refused_whole(self, api, body: object) -> None:
        assert api("POST", "/api/batch/leads", body).status_code == 400

    def test_a_missing_record_fails_its_item_alone(self, api) -> None:
        records = [{"id": "ld-none", "fields": {"LastName": "X"}}, lead(fresh_key())]

        results = api("POST", "/api/batch/leads", {"records": records}).json()["results"]

        assert [results[0]["error"]["code"], results[1]["status"]] == ["NOT_FOUND", "created"]

    def test_a_reference_to_nothing_is_refused(self, api) -> None:
        body = {"records": [{"fields": {"Subject": "Call", "LeadId": "ld-none"}}]}

        (result,) = api("POST", "/api/batch/tasks", body).json()["results"]

        assert result["error"] == {
            "code": "INVALID_REFERENCE",
            "message": "no such record in leads",
            "fields": ["LeadId"],
        }


class TestPeopleInTheCrm:
    def test_a_rep_moves_a_deal_and_the_crm_dates_its_closing(self, crm) -> None:
        deal = crm.create("deals", {"Name": "Pumps", "OwnerId": "us-anna"}, actor="us-anna")

        crm.change("deals", deal, {"StageName": "Won"}, actor="us-anna")
        won = crm.read("deals", deal)
        crm.change("deals", deal, {"StageName": "Open"}, actor="us-anna")

        assert datetime.fromisoformat(won["ClosedAt"]).tzinfo is not None
        assert "ClosedAt" not in crm.read("deals", deal)

    def test_a_person_never_meets_a_fault(self, crm) -> None:
        crm.control("faults", {"rate_500": 1.0})

        crm.create("leads", {"LastName": "Walk-in"}, actor="us-anna")

        crm.control("faults", {})

    def test_a_call_is_manual_until_the_telephone_says_otherwise(self, crm) -> None:
        by_hand = crm.create("calls", {"UserId": "us-anna", "DurationSeconds": 90}, actor="us-anna")

        assert crm.read("calls", by_hand)["Source"] == "Manual"
        assert crm.read("calls", by_hand)["OccurredAt"]


class TestSearch:
    def test_tasks_appear_after_the_lag(self, api, crm) -> None:
        key = fresh_key()
        question = {"field": "x_hearback_key", "values": [key]}
        crm.control("rules", {"search_lag": 0.5})
        api("POST", "/api/batch/tasks", {"records": [{"fields": {"Subject": "Call", "x_hearback_key": key}}]})

        at_once = api("POST", "/api/search/tasks", question).json()["matches"]
        time.sleep(0.6)
        later = api("POST", "/api/search/tasks", question).json()["matches"]

        crm.control("rules", {"search_lag": crm.search_lag})
        assert [len(at_once), len(later)] == [0, 1]

    def test_a_unique_key_is_found_at_once(self, api) -> None:
        key = fresh_key()
        api("POST", "/api/batch/leads", {"records": [lead(key)]})

        found = api("POST", "/api/search/leads", {"field": "x_hearback_key", "values": [key]})

        assert len(found.json()["matches"]) == 1

    def test_a_field_without_an_index_is_refused(self, api) -> None:
        answer = api("POST", "/api/search/leads", {"field": "LastName", "values": ["Nowak"]})

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "NOT_SEARCHABLE")


class TestFaults:
    def test_a_lost_answer_was_written(self, api, crm, rows) -> None:
        key = fresh_key()
        crm.control("faults", {"next": ["lost_answer"]})

        with pytest.raises(requests.ConnectionError):
            api("POST", "/api/batch/leads", {"records": [lead(key)]})

        assert rows("SELECT count(*) FROM sandbox.record WHERE hearback_key = %s", key) == [(1,)]

    @pytest.mark.parametrize("fault", ["timeout_before", "429", "500"])
    def test_the_other_faults_strike_before_anything_is_written(self, api, crm, rows, fault: str) -> None:
        key = fresh_key()
        crm.control("faults", {"next": [fault], "retry_after": 9})

        try:
            answer = api("POST", "/api/batch/leads", {"records": [lead(key)]})
            assert answer.status_code == int(fault)
            assert answer.headers.get("Retry-After") == ("9" if fault == "429" else None)
        except requests.ConnectionError:
            assert fault == "timeout_before"

        assert rows("SELECT count(*) FROM sandbox.record WHERE hearback_key = %s", key) == [(0,)]

    def test_the_script_is_for_writes_and_each_fault_strikes_once(self, api, crm) -> None:
        crm.control("faults", {"next": ["ok", "500"]})

        reading = api("GET", "/api/account").status_code
        writing = [api("POST", "/api/batch/leads", {"records": [lead(fresh_key())]}).status_code for _ in range(3)]

        assert [reading, *writing] == [200, 200, 500, 200]

    def test_the_same_seed_fails_the_same_requests(self, api, crm) -> None:
        def run() -> list[int]:
            crm.control("faults", {"seed": 7, "rate_500": 0.5})
            return [api("GET", "/api/leads/ld-none").status_code for _ in range(20)]

        first, second = run(), run()

        crm.control("faults", {})
        assert first == second
        assert set(first) == {404, 500}

    @pytest.mark.parametrize("plan", [{"rate_418": 1}, {"next": ["earthquake"]}, {"rate_500": "often"}])
    def test_a_plan_that_makes_no_sense_is_refused(self, crm, plan: dict[str, object]) -> None:
        with pytest.raises(ConfigurationError):
            crm.control("faults", plan)


class TestChangeFeed:
    def test_a_reader_beside_many_writers_misses_nothing(self, crm) -> None:
        """A22: numbers are given in the order of the commits."""
        adapter = SandboxAdapter("feed", url=crm.url, token=TOKEN)
        cursor = start_of(adapter)
        written: set[str] = set()

        def write() -> None:
            for _ in range(8):
                body = {"records": [lead(fresh_key()) for _ in range(5)]}
                answer = requests.post(f"{crm.url}/api/batch/leads", json=body, headers=HEADERS, timeout=10)
                written.update(result["id"] for result in answer.json()["results"])

        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        read: list[str] = []
        while any(writer.is_alive() for writer in writers):
            events, cursor = adapter.changes_since(cursor)
            read += [event.ref.id for event in events]
        while (page := adapter.changes_since(cursor))[1] != cursor:
            read += [event.ref.id for event in page[0]]
            cursor = page[1]

        assert sorted(read) == sorted(written)
        assert len(written) == 160

    def test_a_cursor_of_somebody_else_is_refused(self, api) -> None:
        assert api("GET", "/api/changes?cursor=abc").json()["error"]["code"] == "INVALID_CURSOR"


def start_of(adapter: SandboxAdapter) -> str:
    cursor, following = None, ""
    while cursor != following:
        cursor = following
        _, following = adapter.changes_since(cursor)
    return following


class TestDoor:
    def test_without_the_token_nothing_is_told(self, crm) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"bearer {TOKEN}"}):
            for path in ("/api/account", "/control/stats", "/nowhere"):
                answer = requests.get(crm.url + path, headers=headers, timeout=5)
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_TOKEN")

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/api/paintings/p-1", 404),
            ("GET", "/api/leads/ld-none", 404),
            ("GET", "/api/leads/%00", 400),
            ("GET", "/api/leads?limit=0", 400),
            ("GET", "/nowhere", 404),
            ("POST", "/control/earthquake", 404),
            ("PATCH", "/api/leads/ld-none", 404),
            ("DELETE", "/api/leads/ld-none", 404),
        ],
    )
    def test_what_is_not_there_is_said_so(self, api, method: str, path: str, status: int) -> None:
        assert api(method, path, {"fields": {}}).status_code == status

    def test_a_body_of_no_known_length_is_refused_and_the_connection_closed(self, crm) -> None:
        answer = requests.post(f"{crm.url}/api/batch/leads", data=iter([b"{}"]), headers=HEADERS, timeout=5)

        assert (answer.status_code, answer.headers["Connection"]) == (411, "close")

    def test_the_clock_can_be_moved(self, crm, api) -> None:
        crm.control("clock", {"shift_seconds": 86_400 * 7})
        ahead = datetime.fromisoformat(api("GET", "/api/account").json()["now"])
        record = crm.create("leads", {"LastName": "Tomorrow"}, actor="us-anna")
        stored = datetime.fromisoformat(api("GET", f"/api/leads/{record}").json()["created_at"])
        crm.control("clock", {"shift_seconds": 0})

        assert ahead - datetime.now(UTC) > timedelta(days=6)
        assert stored - datetime.now(UTC) > timedelta(days=6)


class TestWebhooks:
    def test_changes_are_told_signed_and_in_order(self, database: str) -> None:
        """W1, KW3."""
        with (
            ScriptedCrm(otherwise=lambda _: Reply()) as receiver,
            SandboxProcess(database, webhook_url=f"{receiver.url}/crm/sandbox") as crm,
        ):
            adapter = SandboxAdapter("hooks", url=crm.url, token=TOKEN, webhook_secrets=[SECRET])
            first = crm.create("leads", {"LastName": "One"}, actor="us-anna")
            second = crm.create("leads", {"LastName": "Two"}, actor="us-anna")
            crm.change("leads", first, {"Status": "Working"}, actor="us-anna")
            deliveries = deliveries_of(receiver, 3)

        for delivery in deliveries:
            adapter.verify_webhook(delivery)
        events = [event for delivery in deliveries for event in adapter.parse_webhook(delivery)]
        assert [event.ref.id for event in events] == [first, second, first]
        assert [event.record.fields["status"] for event in events if event.record] == ["new", "new", "working"]
        assert [entry["actor"] for entry in entries_of(receiver)] == ["us-anna"] * 3

    def test_the_webhook_and_the_feed_name_a_change_alike(self, database: str) -> None:
        with (
            ScriptedCrm(otherwise=lambda _: Reply()) as receiver,
            SandboxProcess(database, webhook_url=receiver.url) as crm,
        ):
            crm.create("leads", {"LastName": "One"}, actor="us-anna")
            deliveries_of(receiver, 1)
            events, _ = SandboxAdapter("feed", url=crm.url, token=TOKEN).changes_since("")

        assert [entry["id"] for entry in entries_of(receiver)] == [event.id for event in events]

    def test_a_refused_delivery_is_sent_again_also_after_a_kill(self, database: str) -> None:
        with ScriptedCrm(Reply(500), otherwise=lambda _: Reply()) as receiver:
            crm = SandboxProcess(database, webhook_url=receiver.url)
            crm.start()
            id_ = crm.create("leads", {"LastName": "One"}, actor="us-anna")
            wait_for(lambda: len(receiver.seen) >= 1)
            crm.kill()
            crm.start()
            wait_for(lambda: len(receiver.seen) >= 2)
            crm.stop()

        assert [entry["record"]["id"] for entry in entries_of(receiver)] == [id_, id_]

    def test_a_hundred_events_fit_a_delivery(self, database: str) -> None:
        with (
            ScriptedCrm(Reply(500), otherwise=lambda _: Reply()) as receiver,
            SandboxProcess(database, webhook_url=receiver.url) as crm,
        ):
            requests.post(
                f"{crm.url}/api/batch/leads",
                json={"records": [lead(fresh_key()) for _ in range(150)]},
                headers=HEADERS,
                timeout=10,
            )
            wait_for(lambda: len(receiver.seen) >= 3)

        assert [len(orjson.loads(seen.body)["events"]) for seen in receiver.seen] == [100, 100, 50]

    def test_without_an_address_nothing_is_queued(self, crm, rows) -> None:
        crm.create("leads", {"LastName": "Quiet"}, actor="us-anna")

        assert rows("SELECT count(*) FROM sandbox.webhook_outbox") == [(0,)]


def deliveries_of(receiver: ScriptedCrm, events: int) -> list[Delivery]:
    wait_for(lambda: len(entries_of(receiver)) >= events)
    return [
        Delivery(
            id=None,
            source="sandbox",
            received_at=datetime.now(UTC),
            content_type=seen.headers["content-type"],
            body=seen.body,
            headers=seen.headers,
            query={},
        )
        for seen in receiver.seen
    ]


def entries_of(receiver: ScriptedCrm) -> list[dict[str, Any]]:
    return [entry for seen in receiver.seen for entry in orjson.loads(seen.body)["events"]]


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class TestProcess:
    def test_it_answers_503_while_its_database_is_away_and_then_goes_on(self, database: str) -> None:
        with SandboxProcess(database) as crm:
            id_ = crm.create("leads", {"LastName": "Before"}, actor="us-anna")
            with shut(database):
                away = requests.get(f"{crm.url}/api/leads/{id_}", headers=HEADERS, timeout=10)
                unwell = requests.get(f"{crm.url}/healthz", timeout=10)
            wait_for(lambda: requests.get(f"{crm.url}/healthz", timeout=10).ok)

            assert (away.status_code, unwell.status_code) == (503, 503)
            assert crm.read("leads", id_)["LastName"] == "Before"

    def test_it_ends_with_its_parent(self, sandbox_database_url: str) -> None:
        port = free_port()
        parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(port)],
            env={**os.environ, **environment(database_url=sandbox_database_url, token=TOKEN)},
            stdout=subprocess.DEVNULL,
        )
        wait_for(lambda: answers(port), 30)

        parent.kill()
        parent.wait()

        wait_for(lambda: not answers(port))

    def test_sigterm_ends_it_in_good_order(self, sandbox_database_url: str) -> None:
        crm = SandboxProcess(sandbox_database_url)
        crm.start()

        crm.stop()

        assert crm._child is not None
        assert crm._child.returncode == 0

    def test_a_missing_secret_is_said_in_one_line(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}

        ended = subprocess.run(command(port=free_port()), env=env, capture_output=True, text=True, check=False)

        assert ended.returncode == 1
        assert ended.stderr.startswith("the environment variable SANDBOX_DATABASE_URL is missing")


_PARENT = """
import os, subprocess, sys
from connector.adapters.sandbox.process import command
subprocess.Popen(command(port=int(sys.argv[1]), die_with=os.getpid())).wait()
"""


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def shut(url: str) -> Iterator[None]:
    """Cut every connection to a database and let no new one in."""
    name = url.split("/")[3].split("?", maxsplit=1)[0]
    with psycopg.connect(url.replace(name, "postgres"), autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        yield
        conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


class TestErasure:
    def test_an_erased_record_leaves_nothing_behind(self, api, rows) -> None:
        """I33: deleted for good, also where it was only marked as deleted before."""
        key = fresh_key()
        (made,) = api("POST", "/api/batch/leads", {"records": [lead(key, Email=f"{key}@example.com")]}).json()[
            "results"
        ]
        api("DELETE", f"/api/leads/{made['id']}")

        answers = [api("POST", "/api/erase/leads", {"ids": [made["id"]]}).json()["results"] for _ in range(2)]

        assert answers == [[{"status": "deleted", "id": made["id"]}], [{"status": "unchanged", "id": made["id"]}]]
        held = rows("SELECT r::text FROM sandbox.record r UNION ALL SELECT w::text FROM sandbox.webhook_outbox w")
        assert [row for (row,) in held if f"{key}@" in row] == []
        assert api("GET", f"/api/leads/{made['id']}").status_code == 404

    def test_only_ids_in_a_list_of_200_are_taken(self, api) -> None:
        for body, status in (({"ids": ["a/b"]}, 400), ({}, 400), ({"ids": ["x"] * 201}, 413)):
            assert api("POST", "/api/erase/leads", body).status_code == status
