"""The pure parts of the HTTP edge."""

import ast
import json
import logging
from pathlib import Path
from typing import Any

import pytest

import webhooks
from connector import logs
from connector.errors import ConfigurationError
from webhooks import serve
from webhooks.api.openapi import document
from webhooks.api.waiting import LONGEST, preferred_wait
from webhooks.deliveries import kept_headers, public_address
from webhooks.intake.returning import safe_return
from webhooks.limits import Limits, Rate, network
from webhooks.problems import KINDS
from webhooks.texts import LANGUAGES, TEXTS, language_of

HOSTS = ("www.example.com",)


@pytest.mark.parametrize(
    ("address", "led_to"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("https://WWW.EXAMPLE.COM/Danke?a=b#c", "https://WWW.EXAMPLE.COM/Danke?a=b#c"),
        ("https://www.example.com/schöne/grüße", "https://www.example.com/sch%C3%B6ne/gr%C3%BC%C3%9Fe"),
    ],
)
def test_an_https_address_on_a_listed_host_is_returned_to(address: str, led_to: str) -> None:
    """I28."""
    returned = safe_return(address, HOSTS)

    assert returned is not None
    assert returned.lower() == led_to.lower()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/thanks",
        "//www.example.com",
        "///www.example.com",
        "http://www.example.com/",
        "HTTP://www.example.com/",
        "javascript://www.example.com/%0aalert(1)",
        "data:text/html,hi",
        "https:www.example.com",
        "https:/www.example.com",
        "https:///www.example.com",
        "https://example.com/",
        "https://sub.www.example.com/",
        "https://www.example.com.evil.example/",
        "https://www.example.com./",
        "https://www.example.com@evil.example/",
        "https://evil.example\\@www.example.com/",
        "https://user:pass@www.example.com/",
        "https://www.example.com:8443/",
        "https://www.example.com:https/",
        "https://www.example.com\\evil",
        "https://www.example.com/\tx",
        "https://www.example.com/\r\nLocation: https://evil.example",
        "https://www.example.com/\x00",
        " https://www.example.com/",
        "https://www.example.com/ x",
        "https://www.exam\u200bple.com/",
        "https://www.example.com/\u202e",
        "https://ｗｗｗ.example.com/",
        "https://[::1",
        "https://[www.example.com]/",
        "https://www.example.com/" + "x" * 3000,
    ],
)
def test_any_other_address_is_not_returned_to(address: str) -> None:
    """I28."""
    assert safe_return(address, HOSTS) is None


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    """I25."""
    now = [0.0]
    limits = Limits(clock=lambda: now[0])
    rate = Rate(60, 3)

    burst = [limits.wait(rate, "a") for _ in range(4)]
    other = limits.wait(rate, "b")
    now[0] += 1.0
    later = [limits.wait(rate, "a") for _ in range(2)]

    assert burst == [0, 0, 0, 1]
    assert other == 0
    assert later == [0, 1]


def test_buckets_do_not_pile_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.limits._MOST_BUCKETS", 100)
    now = [0.0]
    limits = Limits(clock=lambda: now[0])
    for number in range(1000):
        now[0] += 1
        limits.wait(Rate(60, 2), str(number))

    assert len(limits._buckets) <= 101


@pytest.mark.parametrize(
    ("address", "shared"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_a_network_shares_a_bucket(address: str, shared: str) -> None:
    """I25: per IPv4 /24 or IPv6 /48."""
    assert network(address) == shared


def test_signature_headers_of_any_sender_are_kept_and_credentials_never() -> None:
    """I4."""
    environ = {
        "CONTENT_TYPE": "application/json",
        "HTTP_X_SOME_SIGNATURE_V3": "s",
        "HTTP_X_SOME_REQUEST_TIMESTAMP": "1",
        "HTTP_WEBHOOK_ID": "id",
        "HTTP_IDEMPOTENCY_KEY": "key",
        "HTTP_USER_AGENT": "x" * 5000,
        "HTTP_AUTHORIZATION": "secret",
        "HTTP_X_AUTHORIZATION_SIGNATURE": "secret",
        "HTTP_COOKIE": "secret",
        "HTTP_X_API_KEY": "secret",
        "HTTP_PROXY": "http://proxy",
        "HEARBACK_API_KEY": "secret",
        "PATH": "/bin",
    }

    kept = kept_headers(environ)

    assert "secret" not in kept.values()
    assert set(kept) == {
        "content-type",
        "x-some-signature-v3",
        "x-some-request-timestamp",
        "webhook-id",
        "idempotency-key",
        "user-agent",
    }
    assert len(kept["user-agent"]) == 2000


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"PATH_INFO": "/in/t0"}, "https://leads.example.com/x/in/t0"),
        ({"PATH_INFO": "/in/t0", "QUERY_STRING": "a=%2f&b=%20@"}, "https://leads.example.com/x/in/t0?a=%2f&b=%20@"),
        ({"PATH_INFO": "/in/\u00c3\u00bc %?", "QUERY_STRING": ""}, "https://leads.example.com/x/in/%C3%BC%20%25%3F"),
        (
            {"PATH_INFO": "/in/t0", "HTTP_HOST": "evil.example", "wsgi.url_scheme": "http"},
            "https://leads.example.com/x/in/t0",
        ),
        ({}, "https://leads.example.com/x"),
    ],
)
def test_the_public_address_is_the_configured_one_and_the_query_is_as_sent(
    environ: dict[str, str], address: str
) -> None:
    assert public_address("https://leads.example.com/x", environ) == address


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_in_any_language(language: str) -> None:
    assert set(TEXTS[language]) == set(TEXTS["en"])
    assert all(text.strip() for text in TEXTS[language].values())


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pl", "pl"),
        ("fr,es", "en"),
        ("", "en"),
        ("de;q=0, pl", "pl"),
        (";;,q", "en"),
    ],
)
def test_the_best_of_our_languages_is_chosen(header: str, language: str) -> None:
    assert language_of(header) == language


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"', 7),
        ("wait=3600", LONGEST),
        ("wait=-1", 0),
        ("wait", 0),
        ("wait=²", 0),
        ("wait=1e3", 0),
        ("wait=" + "9" * 5000, 0),
        ("", 0),
    ],
)
def test_a_preferred_wait_is_read_or_ignored(header: str, seconds: int) -> None:
    assert preferred_wait(header) == seconds


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for item in node for found in references(item)] if isinstance(node, list) else []


def test_every_reference_of_the_openapi_document_leads_somewhere() -> None:
    described = json.loads(json.dumps(document()))

    found = references(described)

    assert found
    for reference in found:
        place = described
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_every_kind_of_problem_says_what_to_do() -> None:
    """I30."""
    assert all(kind.title and kind.action.endswith(".") and 400 <= kind.status < 600 for kind in KINDS.values())


def test_logs_are_json_or_text_and_hold_no_message_of_an_exception(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: drivers quote the values they choke on."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    for form in ("json", "text"):
        logs.configure({"HEARBACK_LOG": form})
        try:
            raise ValueError("duplicate key: email=(nobody@example.com)") from KeyError("nobody@example.com")
        except ValueError:
            logging.getLogger("test").exception("delivery failed", extra={"receipt": "r-1"})
    root.setLevel(level)

    written = capsys.readouterr().err
    line = json.loads(written.splitlines()[0])
    assert "nobody@example.com" not in written
    assert (line["event"], line["receipt"], line["error"]) == ("delivery failed", "r-1", "ValueError <- KeyError")
    assert "receipt=r-1" in written.splitlines()[1]


def test_a_log_form_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="text or json"):
        logs.configure({"HEARBACK_LOG": "xml"})


def test_the_command_starts_the_http_half() -> None:
    command = serve.command("127.0.0.1", 8650, 2, 8)

    assert command[1:3] == ["-m", "webhooks"]
    assert command[3:] == ["--host", "127.0.0.1", "--port", "8650", "--processes", "2", "--threads", "8"]


def test_no_page_holds_a_script_or_an_inline_style() -> None:
    """The content security policy would refuse them."""
    folder = Path(webhooks.__file__).parent / "public" / "templates"
    pages = list(folder.glob("*.html"))

    assert pages
    for page in pages:
        text = page.read_text()
        assert "<script" not in text
        assert "style=" not in text
        assert "<style" not in text
        assert "|safe" not in text


def test_no_module_of_the_edge_speaks_to_the_database_by_itself() -> None:
    """Edges are thin: SQL stays in the store."""
    for path in Path(webhooks.__file__).parent.rglob("*.py"):
        imported = {
            name.name if isinstance(node, ast.Import) else node.module or ""
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        }
        assert not any(name.startswith("psycopg") for name in imported), path
