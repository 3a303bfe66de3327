"""The sandbox CRM as an HTTP process."""

import contextlib
import logging
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

import orjson
import psycopg

from connector.adapters.sandbox.crm.api import Api, HouseRules, Reply, Request, authorised, is_write
from connector.adapters.sandbox.crm.faults import Fault, Faults
from connector.adapters.sandbox.crm.records import Refusal
from connector.adapters.sandbox.crm.sender import Sender
from connector.adapters.sandbox.crm.store import Entry, Store

log = logging.getLogger(__name__)

_MOST_BYTES = 16 * 1024 * 1024
_IDLE_SECONDS = 120
_UNAUTHORISED, _UNAVAILABLE = 401, 503
_DATABASE_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Options:
    """How one sandbox CRM is run. An empty `webhook_url` switches webhooks off."""

    database_url: str
    token: str
    host: str = "127.0.0.1"
    port: int = 0
    webhook_url: str = ""
    webhook_secret: str = ""
    search_lag: float = 2.0
    link_duplicates: bool = False
    account: str = "sandbox"


class SandboxServer(ThreadingHTTPServer):
    """Serves one sandbox CRM; a thread per connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: Options) -> None:
        self.token = options.token
        self.faults = Faults()
        self.store = Store(options.database_url, hooks=bool(options.webhook_url))
        self._sender = _sender(self.store, options)
        self.api = Api(
            self.store,
            account=options.account,
            rules=HouseRules(search_lag=options.search_lag, link_duplicates=options.link_duplicates),
            faults=self.faults,
            changed=self._sender.wake if self._sender else _nothing,
        )
        super().__init__((options.host, options.port), _Handler)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def open(self) -> None:
        """Wait for the database, make the schema, start sending what an earlier process left."""
        self.store.open(patience=_DATABASE_PATIENCE)
        if self._sender:
            self._sender.start()

    def server_close(self) -> None:
        """Stop listening, sending and holding connections."""
        super().server_close()
        if self._sender:
            self._sender.stop()
        self.store.close()


def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT; print the address once requests are answered.

    Raises:
        psycopg.OperationalError: the database did not come within half a minute.
    """
    with SandboxServer(options) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server.open()
        print(f"sandbox CRM listening on {server.url}", flush=True)
        server.serve_forever(poll_interval=0.1)


class _Handler(BaseHTTPRequestHandler):
    server: SandboxServer
    protocol_version = "HTTP/1.1"
    server_version = "SandboxCRM"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PATCH(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet: the request log stands in the database."""

    def _respond(self) -> None:
        parts = urlsplit(self.path)
        segments = tuple(unquote(part) for part in parts.path.strip("/").split("/"))
        body = self._body()
        if body is None:
            return
        if segments == ("healthz",):
            self._send(self._health(), None)
            return
        actor = self.headers.get("X-Acting-User")
        entry = Entry(uuid4().hex, self.command, parts.path, actor=actor)
        request = Request(entry, segments, dict(parse_qsl(parts.query)), body)
        if authorised(self.headers.get("Authorization"), self.server.token):
            self._answer(request)
        else:
            self._log(request, _UNAUTHORISED)
            refusal = Refusal("INVALID_TOKEN", "the token is refused", status=_UNAUTHORISED)
            self._send(_failure(refusal), entry.id)

    def _body(self) -> bytes | None:
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()) or "Transfer-Encoding" in self.headers:
            self._turn_away(411, "LENGTH_REQUIRED")
            return None
        if int(text) > _MOST_BYTES:
            self._turn_away(413, "BODY_TOO_LARGE")
            return None
        return self.rfile.read(int(text))

    def _turn_away(self, status: int, code: str) -> None:
        """Answer without having read the body, so that the connection cannot go on."""
        self.close_connection = True
        self._send(_failure(Refusal(code, "the body is refused", status=status)), None)

    def _health(self) -> Reply:
        try:
            self.server.store.ping()
        except psycopg.Error:
            return _unavailable()
        return Reply(200)

    def _answer(self, request: Request) -> None:
        fault = self._draw(request)
        entry = request.entry
        if fault is not Fault.OK:
            entry = Entry(entry.id, entry.method, entry.path, actor=entry.actor, fault=fault)
            request = Request(entry, request.segments, request.query, request.body)
        reply = _failed(fault) if fault not in (Fault.OK, Fault.LOST_ANSWER) else self._reply(request)
        if not reply.logged and reply.status != _UNAVAILABLE:
            self._log(request, reply.status)
        if fault in (Fault.TIMEOUT_BEFORE, Fault.LOST_ANSWER):
            self.close_connection = True
        else:
            self._send(reply, entry.id)

    def _draw(self, request: Request) -> Fault:
        """Only the integration meets failures: people in the CRM and the controls do not."""
        if request.segments[0] != "api" or request.entry.actor is not None:
            return Fault.OK
        return self.server.faults.draw(write=is_write(request.entry.method, request.segments))

    def _reply(self, request: Request) -> Reply:
        try:
            return self.server.api.answer(request)
        except Refusal as refusal:
            return _failure(refusal)
        except psycopg.Error as err:
            log.warning("the database failed", extra={"reason": type(err).__name__})
            return _unavailable()

    def _log(self, request: Request, status: int) -> None:
        """Keep what was asked of the CRM; the controls are not part of it."""
        if request.segments[0] == "api":
            with contextlib.suppress(psycopg.Error):
                self.server.store.log(request.entry, status)

    def _send(self, reply: Reply, request_id: str | None) -> None:
        body = orjson.dumps(reply.body)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if request_id is not None:
            self.send_header("X-Request-Id", request_id)
        if reply.status == Fault.RATE_LIMIT.status:
            self.send_header("Retry-After", str(self.server.faults.retry_after))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _sender(store: Store, options: Options) -> Sender | None:
    if not options.webhook_url:
        return None
    return Sender(store, url=options.webhook_url, secret=options.webhook_secret, account=options.account)


def _nothing() -> None:
    """Wake nobody: there are no webhooks."""


def _failed(fault: Fault) -> Reply:
    return _failure(Refusal(fault.name, "as asked for", status=fault.status))


def _failure(refusal: Refusal) -> Reply:
    return Reply(refusal.status, {"error": refusal.as_json()})


def _unavailable() -> Reply:
    return _failure(Refusal("SERVER_UNAVAILABLE", "the database does not answer", status=_UNAVAILABLE))
