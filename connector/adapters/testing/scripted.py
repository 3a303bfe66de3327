"""A loopback server that answers from a script and records what it saw.

Real sockets, headers and broken connections: it serves `requests` and urllib3 alike.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `cut`: the connection ends after that many bytes of the body; -1: before the status line.

    `delay` is waited before the answer.
    """

    status: int = 200
    body: bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    delay: float = 0.0

    def content(self) -> bytes:
        """Return the body as bytes; a mapping is sent as JSON."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


#: The connection ends without a word.
CUT = Reply(cut=-1)

Script = Callable[[Seen], Reply]


class ScriptedCrm:
    """Answers each request with the next reply; when they run out, with `otherwise`. Use it as a context."""

    def __init__(self, *replies: Reply, otherwise: Script | None = None) -> None:
        self._replies = deque(replies)
        self._otherwise = otherwise
        self._lock = threading.Lock()
        self.seen: list[Seen] = []
        self._server = _Server(("127.0.0.1", 0), self)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def reply(self, seen: Seen) -> Reply:
        """Record a request and return what the script says to it."""
        with self._lock:
            self.seen.append(seen)
            if self._replies:
                return self._replies.popleft()
        if self._otherwise is None:
            return Reply(501, {"message": "the script has ended"})
        return self._otherwise(seen)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], crm: ScriptedCrm) -> None:
        self.crm = crm
        super().__init__(address, _Handler)

    def handle_error(self, *_request: Any) -> None:
        """Keep quiet: whoever called may have died."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""

    def handle_any(self) -> None:
        """Answer one request by the script."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.crm.reply(Seen(self.command, self.path, headers, body))
        time.sleep(reply.delay)
        if reply.cut == -1:
            self.close_connection = True
            return
        content = reply.content()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: reply.cut])
        self.close_connection = self.close_connection or reply.cut is not None

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base class looks for these
