"""A captcha provider on loopback: answers from a script, sees what it was asked, and remembers used tokens."""

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from connector.adapters import captcha as wire
from connector.adapters.captcha import Expected
from connector.sources.captcha import Outcome, Provider, Question

HOST = "www.example.com"


@dataclass
class LoopbackProvider:
    """The provider. `script` says how the next questions are answered; without one tokens count once."""

    asked: list[dict[str, str]] = field(default_factory=list)
    script: deque[str] = field(default_factory=deque)
    used: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def ask(self, provider: Provider, secret: str, question: Question, expected: Expected) -> Outcome:
        """Ask over the real wire, at this address."""
        return wire.verify(replace(provider, url=self.url), secret, question, expected)

    def answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        """Answer as the vendors document it: a token counts once, except under its own idempotency key."""
        self.asked.append(form)
        step = self.script.popleft() if self.script else ""
        if step == "slow":
            time.sleep(1.0)
        if step == "5xx":
            return 503, b"<html>down</html>"
        if step == "garbage":
            return 200, b"\xff not json"
        return 200, json.dumps(self._judged(form, step)).encode()

    def _judged(self, form: dict[str, str], step: str) -> dict[str, Any]:
        key = form.get("idempotency_key", "")
        if form["response"] in self.used and (not key or self.used[form["response"]] != key):
            return {"success": False, "error-codes": ["timeout-or-duplicate"]}
        self.used[form["response"]] = key
        if step.startswith("code:"):
            return {"success": False, "error-codes": [step.removeprefix("code:")]}
        return {"success": True, "hostname": step.removeprefix("host:") or HOST, "error-codes": []}


@contextmanager
def loopback_provider() -> Iterator[LoopbackProvider]:
    provider = LoopbackProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = provider.answer(dict(parse_qsl(body.decode())))
            # Whoever asked may be gone by now.
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_port}/siteverify"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
