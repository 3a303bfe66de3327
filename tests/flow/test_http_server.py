"""The HTTP half as processes: it restarts what dies, stops gracefully, and says 503 when the store is gone."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg
import pytest
import requests
from web_support import FORM, KEY, LEADS, fresh_database, server_on, services_on

from connector.services import Services

A_FORM = {"email": "a@example.com"}


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


def workers(pid: int) -> list[psutil.Process]:
    """Return the processes that answer requests; multiprocessing's helper is none."""
    return [child for child in psutil.Process(pid).children() if "resource_tracker" not in " ".join(child.cmdline())]


def post_until(base: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    code = 0
    while time.monotonic() < deadline and code != 303:
        try:
            code = requests.post(base + FORM, data=A_FORM, allow_redirects=False, timeout=5).status_code
        except requests.ConnectionError:
            time.sleep(0.1)
    return code


def test_the_same_key_in_two_processes_stores_one_lead(services: Services) -> None:
    """I30: the database decides, whichever process a repeat reaches."""
    headers = {**KEY, "Idempotency-Key": "across-processes"}

    def post(number: int) -> int:
        """Post, and again while the answer is "later", which a busy machine may give."""
        answer = requests.post(base + LEADS, json={"email": "a@example.com"}, headers=headers, timeout=20)
        return post(number) if answer.status_code == 503 else answer.status_code

    with server_on(services.store.url, processes=2) as server, ThreadPoolExecutor(8) as pool:
        base = server.base
        codes = set(pool.map(post, range(32)))

    with psycopg.connect(services.store.url) as connection:
        stored = connection.execute("SELECT count(*) FROM idempotency_key WHERE key = 'across-processes'").fetchone()
    assert codes <= {202, 409}
    assert stored == (1,)


def test_metrics_add_up_over_processes(services: Services) -> None:
    with server_on(services.store.url, processes=2) as server:
        for _ in range(20):
            requests.post(server.base + FORM, data=A_FORM, allow_redirects=False, timeout=5)
        seen = {requests.get(f"{server.base}/metrics", timeout=5).text for _ in range(6)}

    assert all('hearback_http_answers_total{route="/in/<token>",status="303"} 20.0' in text for text in seen)


def test_a_killed_worker_is_replaced(services: Services) -> None:
    with server_on(services.store.url, processes=1) as server:
        (worker,) = workers(server.process.pid)
        worker.kill()

        assert post_until(server.base, 20) == 303
        assert server.process.poll() is None


def test_sigterm_lets_a_request_finish(services: Services) -> None:
    """A stopped server answers what it began."""
    codes: list[int] = []

    def slow_post() -> None:
        headers = {**KEY, "Prefer": "wait=2"}
        codes.append(
            requests.post(base + LEADS, json={"email": "a@example.com"}, headers=headers, timeout=20).status_code
        )

    with server_on(services.store.url) as server:
        base = server.base
        posting = threading.Thread(target=slow_post)
        posting.start()
        time.sleep(0.8)
        server.process.send_signal(signal.SIGTERM)
        posting.join()

        assert codes == [202]
        assert server.process.wait(20) == 0


def test_workers_end_with_a_killed_parent(services: Services) -> None:
    with server_on(services.store.url, processes=2) as server:
        orphans = workers(server.process.pid)
        server.process.kill()

        _, alive = psutil.wait_procs(orphans, timeout=20)

    assert len(orphans) == 2
    assert alive == []


def test_the_first_answer_comes_with_nothing_in_the_log_about_who_asked(
    services: Services, capfd: pytest.CaptureFixture[str]
) -> None:
    """P10: there is no access log, and errors name no person."""
    with server_on(services.store.url, {"HEARBACK_LOG": "json"}) as server:
        requests.post(server.base + FORM, data={"email": "nobody@example.com"}, allow_redirects=False, timeout=5)
        requests.post(f"{server.base}/in/guess?email=nobody@example.com", data=A_FORM, timeout=5)

    said = "".join(capfd.readouterr())
    assert "nobody@example.com" not in said
    assert "form-token" not in said


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_a_dead_database_is_503_within_two_seconds(services: Services, kind: str) -> None:
    """I6, P1: whether the port is closed or nobody answers behind it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "silent":
            listener.listen(64)
        url = f"postgresql://nobody@127.0.0.1:{listener.getsockname()[1]}/none"
        with server_on(url) as server:
            times, codes = [], []
            for path in (FORM, LEADS, FORM):
                started = time.monotonic()
                answer = requests.post(server.base + path, data=A_FORM, headers=KEY, timeout=10)
                times.append(time.monotonic() - started)
                codes.append((answer.status_code, answer.headers["Retry-After"]))

    assert codes == [(503, "5")] * 3
    assert max(times) < 2


def test_a_database_that_comes_back_is_used_again(services: Services) -> None:
    """P1: 503 while the connections are cut, then leads again."""
    with server_on(services.store.url) as server:
        assert post_until(server.base, 5) == 303
        with psycopg.connect(services.store.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        codes = [
            requests.post(server.base + FORM, data=A_FORM, allow_redirects=False, timeout=10).status_code
            for _ in range(10)
        ]

    assert set(codes) <= {303, 503}
    assert codes[-1] == 303
