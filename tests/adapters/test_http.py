import socket
from datetime import timedelta

import pytest

from connector.adapters import http
from connector.adapters.http import Answer, HttpClient, retry_after
from connector.adapters.sandbox.process import free_port
from connector.adapters.testing import CUT, Reply, ScriptedCrm
from connector.adapters.testing.leaks import leaked
from connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    UnexpectedAnswer,
)

TOKEN = "token-nobody-may-see"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_READ_SECONDS", 0.1)


def error_of(reply: Reply, *, write: bool) -> tuple[ConnectorError, int]:
    with ScriptedCrm(reply) as server:
        client = HttpClient(server.url, token=TOKEN)
        with pytest.raises(ConnectorError) as caught:
            send(client, write=write).json()
        return caught.value, len(server.seen)


def send(client: HttpClient, *, write: bool) -> Answer:
    if write:
        return client.write("POST", "/records", b"{}")
    return client.read("/records", params={"email": "ada@example.com"})


@pytest.mark.parametrize(
    ("reply", "on_read", "on_write"),
    [
        pytest.param(CUT, Unavailable, OutcomeUnknown, id="cut before the answer"),
        pytest.param(Reply(body=b"x" * 99, cut=9), Unavailable, OutcomeUnknown, id="cut in the answer"),
        pytest.param(Reply(500), Unavailable, OutcomeUnknown, id="500"),
        pytest.param(Reply(503), Unavailable, OutcomeUnknown, id="503"),
        pytest.param(Reply(body=b"<html>"), UnexpectedAnswer, OutcomeUnknown, id="unreadable 200"),
        pytest.param(Reply(429), RateLimited, RateLimited, id="429"),
        pytest.param(Reply(401), AuthenticationError, AuthenticationError, id="401"),
        pytest.param(Reply(302, headers={"Location": "/login"}), UnexpectedAnswer, UnexpectedAnswer, id="302"),
    ],
)
def test_what_went_wrong_decides_what_the_caller_does(
    reply: Reply, on_read: type[ConnectorError], on_write: type[ConnectorError]
) -> None:
    """A2, A9: one request each, never a repeat."""
    for kind, write in ((on_read, False), (on_write, True)):
        error, requests = error_of(reply, write=write)

        assert type(error) is kind
        assert requests == 1
        assert error.__cause__ is not None
        assert error.__context__ is None
        assert not leaked(error, [TOKEN, "ada@example.com"])


@pytest.mark.parametrize(("write", "kind"), [(False, Unavailable), (True, OutcomeUnknown)], ids=["read", "write"])
def test_silence_is_a_timeout(hurried: None, write: bool, kind: type[ConnectorError]) -> None:
    """A1."""
    error, _ = error_of(Reply(delay=0.3), write=write)

    assert type(error) is kind
    assert error.__context__ is None


def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    """K6."""
    with pytest.raises(Unavailable):
        HttpClient(f"http://127.0.0.1:{free_port()}", token=TOKEN).write("POST", "/records", b"{}")


def test_a_connect_timeout_means_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_CONNECT_SECONDS", 0.1)
    with FullBacklog() as port, pytest.raises(Unavailable):
        HttpClient(f"http://127.0.0.1:{port}", token=TOKEN).write("POST", "/records", b"{}")


class FullBacklog:
    """A port whose queue of connections is full, so that connecting to it takes for ever."""

    def __enter__(self) -> int:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        port: int = self._listener.getsockname()[1]
        self._waiting = [self._knock(port) for _ in range(4)]
        return port

    def _knock(self, port: int) -> socket.socket:
        knocking = socket.socket()
        knocking.setblocking(False)
        knocking.connect_ex(("127.0.0.1", port))
        return knocking

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._listener):
            one.close()


def test_other_4xx_are_left_to_the_adapter() -> None:
    with ScriptedCrm(Reply(400, {"error": {}})) as server:
        answer = HttpClient(server.url, token=TOKEN).write("POST", "/records", b"{}")

    assert (answer.status, answer.ok, answer.json()) == (400, False, {"error": {}})


def test_the_token_goes_with_every_request_whatever_netrc_says(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A5."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedCrm(Reply(body={})) as server:
        HttpClient(server.url, token=TOKEN).read("/records")

        assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_cookies_are_not_kept() -> None:
    """A7."""
    with ScriptedCrm(Reply(body={}, headers={"Set-Cookie": "session=1"}), Reply(body={})) as server:
        client = HttpClient(server.url, token=TOKEN)
        client.read("/a")
        client.read("/b")

        assert "cookie" not in server.seen[1].headers


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with ScriptedCrm(Reply(body={})) as server:
        assert HttpClient(server.url, token=TOKEN).read("/a").ok


@pytest.mark.parametrize(
    "origin",
    ["ftp://crm.example", "crm.example", "https://user:secret@crm.example", "https://crm.example/api", ""],
)
def test_an_address_that_is_no_origin_is_refused_without_being_shown(origin: str) -> None:
    """A5."""
    with pytest.raises(ConfigurationError) as caught:
        HttpClient(origin, token=TOKEN)

    assert not leaked(caught.value, ["secret"])


def test_the_client_does_not_show_its_token() -> None:
    assert TOKEN not in repr(HttpClient("https://crm.example", token=TOKEN))


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"Retry-After": "7"}, timedelta(seconds=7)),
        (
            {"Date": "Mon, 02 Mar 2026 12:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 12:01:00 GMT"},
            timedelta(minutes=1),
        ),
        (
            {"Date": "Mon, 02 Mar 2026 12:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 11:00:00 GMT"},
            timedelta(),
        ),
        ({"Retry-After": "Mon, 02 Mar 2026 12:01:00 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "9" * 400}, timedelta(seconds=999_999_999)),
        ({}, None),
    ],
    ids=["seconds", "date", "past date", "date without Date", "words", "negative", "absurd", "absent"],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], delay: timedelta | None) -> None:
    assert retry_after(headers) == delay
