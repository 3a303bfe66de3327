"""Hostile and broken requests over real HTTP: no 5xx, nothing lost, a clear answer."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
import requests
from web_support import FORM, KEY, LEADS, TYPEFORM, WEB_TO_LEAD, Server, fresh_database, server_on, services_on

from connector.flows import intake
from connector.services import Services

URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=b"
MB = 1024 * 1024


def part(name: str, value: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name.encode(), more, value)


# name: path, content type, body, expected status
BODIES: dict[str, tuple[str, str, bytes, int]] = {
    "empty form": (FORM, URLENCODED, b"", 303),
    "empty json": (FORM, JSON, b"", 200),
    "empty multipart": (FORM, MULTIPART, b"", 303),
    "latin-1 said to be utf-8": (FORM, f"{URLENCODED}; charset=utf-8", "name=Jürgen".encode("latin-1"), 303),
    "utf-16": (FORM, f"{JSON}; charset=utf-16", '{"email": "a@example.com"}'.encode("utf-16"), 200),
    "a codec that is no encoding": (FORM, f"{JSON}; charset=zlib_codec", b'{"email": "a@example.com"}', 200),
    "an unknown charset": (FORM, f"{URLENCODED}; charset=klingon-8", b"email=a@example.com", 303),
    "overlong utf-8": (FORM, URLENCODED, b"name=%c0%af%c0%ae", 303),
    "lone surrogate in json": (FORM, JSON, b'{"name": "\\ud800", "email": "a@example.com"}', 200),
    "lone surrogate in utf-8": (FORM, URLENCODED, b"name=%ed%a0%80", 303),
    "nul in a value": (FORM, URLENCODED, b"name=a%00b&email=n%00ul@example.com", 303),
    "nul in json": (FORM, JSON, b'{"name": "a\\u0000b", "em\\u0000ail": "a@example.com"}', 200),
    "raw nul bytes": (FORM, URLENCODED, b"\x00" * 1000, 303),
    "escape sequences": (FORM, URLENCODED, b"name=%1b%5b2J%1b%5d0%3bowned%07&email=a@example.com", 303),
    "right-to-left marks": (FORM, URLENCODED, "name=Anna\u202egro.elgoog\u2069&email=a@example.com".encode(), 303),
    "zalgo": (FORM, URLENCODED, ("name=" + "e\u0301\u0302\u0303" * 500).encode(), 303),
    "sql": (FORM, URLENCODED, b"name='); DROP TABLE lead; --&email=a' OR 1=1@example.com", 303),
    "formula": (FORM, URLENCODED, b"name=%3dcmd%7c' %2fC calc'!A0&phone=%2B4915112345678", 303),
    "template": (FORM, URLENCODED, b"name={{7*7}}${7*7}<%25= 7 %25>&email=a@example.com", 303),
    "html": (FORM, URLENCODED, b"name=<img src=x onerror=alert(1)>&email=a@example.com", 303),
    "ldap and path": (FORM, URLENCODED, b"name=*)(uid=*))(|(uid=*&file=../../../../etc/passwd", 303),
    "crlf in a field": (FORM, URLENCODED, b"email=a@example.com%0d%0aBcc: b@example.com", 303),
    "crlf in the return address": (FORM, URLENCODED, b"retURL=https://www.example.com/%0d%0aX-Owned: 1", 303),
    "10,000 fields": (FORM, URLENCODED, b"&".join(b"f%d=1" % n for n in range(10_000)), 413),
    "5,000 fields": (FORM, URLENCODED, b"&".join(b"f%d=" % n for n in range(5_000)), 413),
    "10,000 fields of json": (FORM, JSON, json.dumps({f"f{n}": 1 for n in range(10_000)}).encode(), 200),
    "the same name 5,000 times": (FORM, URLENCODED, b"email=a&" * 5_000, 413),
    "one field of 60 kB": (FORM, URLENCODED, b"name=" + b"x" * 60_000, 413),
    "a name of 60 kB": (FORM, URLENCODED, b"x" * 60_000 + b"=1", 303),
    "only separators": (FORM, URLENCODED, b"&=&==&;&" * 1_000, 413),
    "broken percent signs": (FORM, URLENCODED, b"%=%&%zz=%1&email=%", 303),
    "deep json list": (FORM, JSON, b"[" * 100_000 + b"]" * 100_000, 200),
    "deep json object": (FORM, JSON, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 200),
    "huge number": (FORM, JSON, b'{"employees": ' + b"9" * 10_000 + b"}", 200),
    "huge exponent": (FORM, JSON, b'{"employees": 1e999999999}', 200),
    "nan": (FORM, JSON, b'{"employees": NaN}', 200),
    "duplicate keys": (FORM, JSON, b'{"email": "a@example.com", "email": "b@example.com"}', 200),
    "cut off json": (FORM, JSON, b'{"email": "a@exam', 200),
    "null": (FORM, JSON, b"null", 200),
    "prototype": (FORM, JSON, b'{"__proto__": {"admin": true}, "constructor": 1, "__class__": 2}', 200),
    "10 MB of json": (FORM, JSON, b'{"a": "' + b"x" * 10 * MB + b'"}', 413),
    "10 MB of form": (FORM, URLENCODED, b"a=" + b"x" * 10 * MB, 413),
    "9 MB with a file": (FORM, MULTIPART, part("f", b"x" * 9 * MB, b'; filename="a.pdf"') + b"--b--\r\n", 303),
    "10 MB with a file": (FORM, MULTIPART, part("f", b"x" * 10 * MB, b'; filename="a.pdf"') + b"--b--\r\n", 413),
    "file name with a path": (FORM, MULTIPART, part("f", b"x", b'; filename="../../a\x00.sh"') + b"--b--\r\n", 303),
    "multipart without an end": (FORM, MULTIPART, part("email", b"a@example.com"), 303),
    "multipart without a boundary": (FORM, "multipart/form-data", part("email", b"a@example.com"), 303),
    "multipart with 5,000 parts": (FORM, MULTIPART, part("a", b"1") * 5_000 + b"--b--\r\n", 413),
    "multipart of dashes": (FORM, MULTIPART, b"--" * 100_000, 303),
    "xml bomb": (FORM, "application/xml", b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>', 415),
    "an image": (FORM, "image/png", b"\x89PNG\r\n\x1a\n", 415),
    "no content type": (FORM, "", b"email=a@example.com", 415),
    "nonsense as content type": (FORM, ";;;=,/", b"email=a@example.com", 415),
    "gzip said to be json": (FORM, JSON, b"\x1f\x8b\x08\x00" + b"\x00" * 50, 200),
    "unsigned hook": (TYPEFORM, JSON, b'{"event_type": "form_response"}', 401),
    "oid twice": (WEB_TO_LEAD, URLENCODED, b"oid=00DXX0000000001&oid=00DYY0000000009&email=a@example.com", 303),
    "oid with a quote": (WEB_TO_LEAD, URLENCODED, b"oid='%00\xff&email=a@example.com", 303),
    "deep json for the api": (LEADS, JSON, b'{"custom": ' * 50_000 + b"1" + b"}" * 50_000, 400),
    "nul for the api": (LEADS, JSON, b'{"full_name": "a\\u0000b", "custom": {"\\u0000": "\\u0000"}}', 202),
    "binary for the api": (LEADS, JSON, bytes(range(256)) * 100, 400),
}


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Server]:
    with server_on(services.store.url) as server:
        yield server


@pytest.fixture
def stored(services: Services) -> "Stored":
    return Stored(services.store.url)


class Stored:
    """How many deliveries came in since the test began."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before = self._count()

    def new(self) -> int:
        return self._count() - self._before

    def _count(self) -> int:
        with psycopg.connect(self._url) as connection:
            row = connection.execute("SELECT count(*) FROM delivery").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_stored_or_refused_clearly(server: Server, stored: Stored, name: str) -> None:
    """P1, P2, I7: never 5xx; what is acknowledged is stored; what is refused says why."""
    path, media, body, expected = BODIES[name]
    headers = {"Content-Type": media} if media else {}

    answer = requests.post(server.base + path, data=body, headers=headers | KEY, allow_redirects=False, timeout=30)

    assert answer.status_code == expected
    assert stored.new() == (1 if expected < 400 or expected == 401 else 0)
    assert "X-Owned" not in answer.headers
    assert expected < 400 or len(answer.text) > 10


def test_every_hostile_delivery_gets_a_fate_or_waits_for_a_person(services: Services, server: Server) -> None:
    """I7, P2: no body stops the worker."""
    for path, media, body, expected in BODIES.values():
        if expected < 400:
            requests.post(
                server.base + path, data=body, headers={"Content-Type": media} | KEY, allow_redirects=False, timeout=30
            )
    while intake.work(services):
        pass

    with psycopg.connect(services.store.url) as connection:
        reasons = connection.execute(
            "SELECT state, reason FROM delivery WHERE state NOT IN ('done', 'quarantined') OR reason LIKE 'could not%'"
        ).fetchall()

    assert reasons == []


def talk(server: Server, *pieces: bytes) -> bytes:
    """Send raw bytes on one connection and return all that comes back until it is quiet."""
    with socket.create_connection(server.address, timeout=10) as connection:
        heard = b""
        for piece in pieces:
            with suppress(ConnectionError):
                connection.sendall(piece)
            heard += _listen(connection)
    return heard


def _listen(connection: socket.socket) -> bytes:
    connection.settimeout(1.5)
    heard = b""
    with suppress(TimeoutError, ConnectionError):
        while piece := connection.recv(65536):
            heard += piece
            connection.settimeout(0.4)
    return heard


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {URLENCODED}", *lines, "", ""]).encode()


BODY = b"email=a@example.com"


def test_a_chunked_body_is_stored(server: Server, stored: Stored) -> None:
    heard = talk(server, head(FORM, "Transfer-Encoding: chunked") + b"13\r\n" + BODY + b"\r\n0\r\n\r\n")

    assert b" 303 " in heard
    assert stored.new() == 1


def test_a_chunked_body_over_the_cap_is_413(server: Server, stored: Stored) -> None:
    """I24: also without an announced length."""
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"

    heard = talk(server, head(FORM, "Transfer-Encoding: chunked") + chunk * 3 + b"0\r\n\r\n")

    assert b" 413 " in heard
    assert stored.new() == 0


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -5"],
        ["Content-Length: abc"],
        ["Content-Length: 5", "Content-Length: 7"],
        ["Content-Length: 19", "X: a\x00b"],
        ["Content-Length: 19", "X Y: z"],
    ],
    ids=str,
)
def test_a_broken_head_is_refused(server: Server, stored: Stored, lines: list[str]) -> None:
    heard = talk(server, head(FORM, *lines) + BODY)

    assert b" 400 " in heard
    assert stored.new() == 0


def test_a_body_that_ends_early_is_not_taken_for_a_lead(server: Server, stored: Stored) -> None:
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(head(FORM, "Content-Length: 500") + BODY)
    requests.get(f"{server.base}/healthz", timeout=5)

    assert stored.new() == 0


def test_a_body_longer_than_announced_is_cut_there(server: Server, stored: Stored) -> None:
    heard = talk(server, head(FORM, "Content-Length: 19") + BODY + b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n")

    assert heard.startswith(b"HTTP/1.1 303 ")
    assert stored.new() == 1


def test_a_smuggled_length_does_not_split_the_request(server: Server, stored: Stored) -> None:
    smuggling = head(FORM, "Content-Length: 4", "Transfer-Encoding: chunked")

    heard = talk(server, smuggling + b"13\r\n" + BODY + b"\r\n0\r\n\r\n")

    assert heard.count(b"HTTP/1.1 ") == 1
    assert stored.new() <= 1


def test_headers_with_line_breaks_go_nowhere(server: Server, stored: Stored) -> None:
    lines = ["Content-Length: 19", "User-Agent: a\r\n folded", "Origin: https://a.example%0d%0aX-Owned: 1"]

    heard = talk(server, head(FORM, *lines) + BODY)

    assert b"X-Owned" not in heard
    assert b" 5" not in heard[:14]
    assert stored.new() == (1 if b" 303 " in heard else 0)


@pytest.mark.parametrize("path", [FORM, "/in/guess", "/nothing", LEADS])
def test_a_refused_body_does_not_break_the_connection(server: Server, path: str) -> None:
    """Either the next request on the same connection works, or the answer said that it closes."""
    refused = head(path, "Content-Length: 100000") + b"x" * 100_000
    following = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    heard = talk(server, refused, following)

    assert heard.startswith(b"HTTP/1.1 4")
    assert heard.endswith(b"ok\n") or b"connection: close" in heard.lower()


def test_a_body_far_over_the_cap_ends_the_connection(server: Server, stored: Stored) -> None:
    with socket.create_connection(server.address, timeout=20) as connection:
        with suppress(ConnectionError):
            connection.sendall(head(FORM, "Content-Length: 200000000"))
            for _ in range(400):
                connection.sendall(b"x" * 65536)
        heard = _listen(connection)

    assert not heard or b" 413 " in heard
    assert stored.new() == 0
    assert requests.get(f"{server.base}/healthz", timeout=5).ok
