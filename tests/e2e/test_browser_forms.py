"""Forms on another site, in a real browser: plain, by fetch, by beacon, and with our snippet (I10, I25, I29)."""

import http.server
import socket
import socketserver
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from browsing import a_browser, need_chromium
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from psycopg.rows import dict_row
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from web_support import FORM, fresh_database, server_on, services_on

from connector.flows import intake
from connector.services import Services

#: A host the sample lists under `return_hosts`, one it does not, and ours.
LISTED, UNLISTED, OURS = "www.example.com", "www.elsewhere.example", "leads.nordhammer.example"
ACTION = f"https://{OURS}{FORM}"

need_chromium()

PAGE = """<!doctype html><html lang="en"><title>A customer's page</title>{head}
<form method="post" action="{action}">
  <input name="vorname"><input name="email"><input name="plz" value="10115">
  <button>Send</button>
</form></html>"""


@dataclass
class Site:
    """A customer's website over https, under any host name the browser maps to it."""

    port: int = 0
    pages: dict[str, str] = field(default_factory=dict)

    def page(self, path: str, *, head: str = "") -> str:
        self.pages[path] = PAGE.format(action=ACTION, head=head)
        return path


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = site.pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            # No inline script: a customer need not allow any for our snippet.
            self.send_header("Content-Security-Policy", f"script-src https://{OURS}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with over_tls(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler), folder) as site.port:
        yield site


@contextmanager
def a_front(folder: Path, address: tuple[str, int]) -> Iterator[int]:
    """End TLS in front of our server, as a reverse proxy does: from https to http no browser tells its page."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(address) as inner, suppress(OSError):
                Thread(target=copied, args=(inner, self.request), daemon=True).start()
                copied(self.request, inner)

    with over_tls(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler), folder) as port:
        yield port


def copied(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def over_tls(server: socketserver.ThreadingMixIn, folder: Path) -> Iterator[int]:
    assert isinstance(server, socketserver.TCPServer)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(a_certificate(folder))
    # The handshake belongs to each connection's own thread.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def a_certificate(folder: Path) -> Path:
    """Write a key and a certificate that only this test's browser accepts."""
    made = folder / "site.pem"
    yesterday = datetime.now(UTC) - timedelta(days=1)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LISTED)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(yesterday)
        .not_valid_after(yesterday + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in (LISTED, UNLISTED, OURS)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made.write_bytes(plain + certificate.public_bytes(Encoding.PEM))
    return made


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture(scope="module")
def front(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("front")
    with server_on(services.store.url) as server, a_front(folder, server.address) as port:
        yield port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@contextmanager
def a_visitor(folder: Path, site: Site, front: int, *, javascript: bool = True) -> Iterator[webdriver.Chrome]:
    ports = {LISTED: site.port, UNLISTED: site.port, OURS: front}
    mapped = "--host-resolver-rules=" + ", ".join(f"MAP {host} 127.0.0.1:{port}" for host, port in ports.items())
    prefs = None if javascript else {"profile.managed_default_content_settings.javascript": 2}
    with a_browser(folder, mapped, "--ignore-certificate-errors", prefs=prefs) as browser:
        yield browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, site: Site, front: int) -> Iterator[webdriver.Chrome]:
    with a_visitor(tmp_path_factory.mktemp("chromium"), site, front) as browser:
        yield browser


@pytest.fixture(autouse=True)
def _empty(services: Services) -> None:
    with psycopg.connect(services.store.url) as connection:
        connection.execute(
            "TRUNCATE delivery, delivery_body, dedupe_key, submission, lead, person_key, captcha, address_rate"
        )


def worked(services: Services, count: int = 1) -> list[dict[str, Any]]:
    """Wait for so many posts, work them, and return what became of them."""
    deadline = time.monotonic() + 10
    with psycopg.connect(services.store.url, row_factory=dict_row, autocommit=True) as connection:
        while connection.execute("SELECT count(*) AS n FROM delivery").fetchone() != {"n": count}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        while intake.work(services):
            pass
        return connection.execute("SELECT * FROM delivery ORDER BY id").fetchall()


def fill_in(browser: webdriver.Chrome, **more: str) -> None:
    for name, value in {"vorname": "Ada", "email": "ada@ohlsen-bau.example", **more}.items():
        browser.find_element(By.NAME, name).clear()
        browser.find_element(By.NAME, name).send_keys(value)


def press(browser: webdriver.Chrome) -> None:
    browser.find_element(By.CSS_SELECTOR, "button").click()
    WebDriverWait(browser, 10).until(lambda page: "/thanks" in page.current_url)


def by_fetch(browser: webdriver.Chrome, headers: str, body: str) -> Any:
    """Post as a script of the page would; return the status and text, or the browser's refusal."""
    return browser.execute_async_script(
        f"const done = arguments[0]; fetch({ACTION!r}, {{method: 'POST', headers: {headers}, body: {body}}})"
        ".then(async (answer) => done([answer.status, await answer.text()]), (error) => done([0, String(error)]));"
    )


JSON_BODY = "JSON.stringify({vorname: 'Ada', email: 'ada@ohlsen-bau.example', plz: '10115'})"


@pytest.mark.parametrize(("host", "signals"), [(LISTED, []), (UNLISTED, ["origin_foreign"])])
def test_a_plain_form_of_any_site_becomes_a_lead(
    browser: webdriver.Chrome, site: Site, services: Services, host: str, signals: list[str]
) -> None:
    """I29: a plain form post needs no permission; a page that is not listed is a signal (I25)."""
    browser.get(f"https://{host}{site.page('/plain')}")
    fill_in(browser)
    press(browser)

    (row,) = worked(services)
    assert (row["fate"], row["signals"]) == ("leads", signals)


def test_a_form_sent_by_fetch_with_a_preflight_becomes_a_lead(
    browser: webdriver.Chrome, site: Site, services: Services
) -> None:
    """I29: the listed origin may, and reads its receipt."""
    browser.get(f"https://{LISTED}{site.page('/fetch')}")
    headers = "{'Content-Type': 'application/json', 'Idempotency-Key': 'k-1', 'Accept': 'application/json'}"
    status, text = by_fetch(browser, headers, JSON_BODY)

    (row,) = worked(services)
    assert status == 200
    assert str(row["id"]) in text
    assert (row["fate"], row["signals"]) == ("leads", [])


def test_another_origin_is_refused_by_the_browser_before_it_posts(
    browser: webdriver.Chrome, site: Site, services: Services
) -> None:
    """I29: the preflight names no permission, so nothing is sent."""
    browser.get(f"https://{UNLISTED}{site.page('/fetch')}")
    status, text = by_fetch(browser, "{'Content-Type': 'application/json'}", JSON_BODY)

    assert status == 0
    assert "TypeError" in text
    assert worked(services, 0) == []


def test_another_origin_that_needs_no_preflight_is_scored_and_reads_nothing(
    browser: webdriver.Chrome, site: Site, services: Services
) -> None:
    """I25, I29: a simple request arrives, and its page does not see the answer."""
    browser.get(f"https://{UNLISTED}{site.page('/fetch')}")
    status, _ = by_fetch(browser, "{}", "new FormData(document.forms[0])")
    simple = by_fetch(browser, "{'Content-Type': 'text/plain'}", JSON_BODY)

    rows = worked(services, 2)
    assert (status, simple[0]) == (0, 0)
    assert all("origin_foreign" in row["signals"] for row in rows[1:])
    assert rows[1]["fate"] == "leads"


def test_a_beacon_of_a_page_that_is_left_becomes_a_lead(
    browser: webdriver.Chrome, site: Site, services: Services
) -> None:
    """I29: JSON sent as text/plain."""
    browser.get(f"https://{LISTED}{site.page('/beacon')}")
    queued = browser.execute_script(f"return navigator.sendBeacon({ACTION!r}, {JSON_BODY})")
    browser.get("about:blank")

    (row,) = worked(services)
    assert queued
    assert row["content_type"].startswith("text/plain")
    assert (row["fate"], row["signals"]) == ("leads", [])


# The snippet.


def with_snippet(site: Site, path: str) -> str:
    return site.page(path, head=f'<script src="{ACTION}/form.js" async></script>')


def keys(services: Services) -> list[str]:
    with psycopg.connect(services.store.url) as connection:
        return [row[0] for row in connection.execute("SELECT key FROM dedupe_key ORDER BY seen_at, key").fetchall()]


def value(browser: webdriver.Chrome, name: str) -> str:
    found = WebDriverWait(browser, 10).until(lambda page: page.find_elements(By.NAME, name))
    return str(found[0].get_attribute("value"))


def test_the_snippet_stamps_a_form_without_any_inline_script(
    browser: webdriver.Chrome, site: Site, services: Services
) -> None:
    """I10, I25: a signed time and a nonce; the page's policy allows no inline script."""
    browser.get(f"https://{LISTED}{with_snippet(site, '/stamped')}")
    nonce = value(browser, "_nonce")
    time.sleep(3.2)
    fill_in(browser)
    press(browser)

    (row,) = worked(services)
    assert (row["fate"], row["signals"]) == ("leads", [])
    assert keys(services) == [nonce]


def test_a_form_sent_at_once_is_set_aside(browser: webdriver.Chrome, site: Site, services: Services) -> None:
    """I25, I26: nobody types that fast, and the answer is everybody's."""
    browser.get(f"https://{LISTED}{with_snippet(site, '/fast')}")
    value(browser, "_token")
    browser.execute_script("document.forms[0].elements.email.value = 'a@b.example'; document.forms[0].submit()")
    WebDriverWait(browser, 10).until(lambda page: "/thanks" in page.current_url)

    (row,) = worked(services)
    assert row["state"] == "quarantined"
    assert "too_fast" in row["signals"]


def test_pressing_twice_is_one_submission_and_changing_something_is_another(
    browser: webdriver.Chrome, site: Site, services: Services
) -> None:
    """I10: by the nonce, whatever else differs."""
    browser.get(f"https://{LISTED}{with_snippet(site, '/twice')}")
    value(browser, "_nonce")
    fill_in(browser)
    time.sleep(3.2)
    # A page that sends its form itself, and stays.
    browser.execute_script(
        "document.forms[0].addEventListener('submit', (event) => { event.preventDefault();"
        " fetch(event.target.action, {method: 'POST', body: new FormData(event.target)}); });"
    )
    for _ in "12":
        browser.find_element(By.CSS_SELECTOR, "button").click()
    before = worked(services, 2)
    fill_in(browser, plz="20095")
    browser.find_element(By.CSS_SELECTOR, "button").click()

    rows = worked(services, 3)
    assert sorted(row["fate"] for row in before) == ["duplicate", "leads"]
    assert rows[2]["fate"] == "leads"
    assert len(keys(services)) == 2


def test_a_page_one_comes_back_to_tells_no_time(browser: webdriver.Chrome, site: Site, services: Services) -> None:
    """Whoever corrects a word and sends again is fast, and is no program."""
    browser.get(f"https://{LISTED}{with_snippet(site, '/back')}")
    value(browser, "_token")
    browser.refresh()
    value(browser, "_nonce")

    assert browser.find_elements(By.NAME, "_token") == []


def test_a_browser_without_javascript_is_taken_all_the_same(
    tmp_path: Path, site: Site, front: int, services: Services
) -> None:
    """I25: scored, never refused."""
    with a_visitor(tmp_path / "plain", site, front, javascript=False) as browser:
        browser.get(f"https://{LISTED}{with_snippet(site, '/plain-browser')}")
        fill_in(browser)
        browser.find_element(By.CSS_SELECTOR, "button").click()
        (row,) = worked(services)

    assert row["fate"] == "leads"
    assert "too_fast" not in row["signals"]
