"""What goes wrong on the way to a real CRM: a proxy on loopback that loses answers, limits, and counts."""

import http.client
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Asked:
    """A request that came by."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def write(self) -> bool:
        """Tell whether it changes something there."""
        return self.method != "GET"


@dataclass(frozen=True)
class Fault:
    """What befalls a request. `forward`: it still reaches the CRM. `status` None: the connection breaks."""

    status: int | None = None
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    forward: bool = True
    delay: float = 0.0


class Faults:
    """A proxy in front of a CRM. As a context: listening, then closed.

    `before` is called for each request before it is passed on, in the proxy's thread.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._lock = threading.Lock()
        self._planned: deque[tuple[Callable[[Asked], bool], Fault]] = deque()
        self.before: Callable[[Asked], None] = lambda _: None
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", 0), self)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def plan(self, fault: Fault, when: Callable[[Asked], bool] = lambda asked: asked.write) -> None:
        """Let a fault befall the next request that fits."""
        with self._lock:
            self._planned.append((when, fault))

    def clear(self) -> None:
        """Forget what was planned, and what came by."""
        with self._lock:
            self._planned.clear()
            self.asked.clear()
        self.before = lambda _: None

    def fault_for(self, asked: Asked) -> Fault | None:
        """Note a request; return what befalls it."""
        with self._lock:
            self.asked.append(asked)
            for number, (when, fault) in enumerate(self._planned):
                if when(asked):
                    del self._planned[number]
                    return fault
        return None

    def passed_on(self, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the CRM and return what it answers."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        headers = {name: value for name, value in asked.headers.items() if name not in ("host", "connection")}
        connection.request(asked.method, asked.path, asked.body or None, headers)
        answer = connection.getresponse()
        told = answer.status, answer.getheaders(), answer.read()
        connection.close()
        return told

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], faults: Faults) -> None:
        self.faults = faults
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        fault = self.server.faults.fault_for(asked)
        if fault is not None:
            time.sleep(fault.delay)
            if fault.forward:
                self.server.faults.passed_on(asked)
            if fault.status is None:
                self.close_connection = True
                return
            self._answer(fault.status, list(fault.headers), fault.body)
            return
        self.server.faults.before(asked)
        self._answer(*self.server.faults.passed_on(asked))

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base class looks for these
