"""The account over HTTP: paths, tokens, limits and faults."""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson

from connector.adapters.testing import CUT, Reply, ScriptedCrm, Seen
from hubspot_server import answers, scopes
from hubspot_server.account import Account
from hubspot_server.refusals import CORRELATION, Refused

V = "2026-03"
TOKEN = "pat-eu1-11111111-2222-3333-4444-555555555555"
REFRESH = "refresh-6e9f"
CLIENT_ID, CLIENT_SECRET = "client-id-1234", "client-secret-5678"


@dataclass(frozen=True)
class Call:
    """One request that reached the server, and what it was answered."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    status: int
    answer: Any
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class HubSpotServer:
    """Serves one account on a loopback port. Use it as a context; its attributes are the levers."""

    def __init__(self, account: Account | None = None) -> None:
        self.account = account or Account()
        self.tokens = {TOKEN}
        self.calls: list[Call] = []
        #: Faults of the coming requests, in order: called with the request, they answer or return None.
        self.faults: deque[Callable[[Seen], Reply | None]] = deque()
        self._losing: deque[tuple[str, Reply]] = deque()
        #: Searches a second the account is allowed; None for no limit.
        self.searches_a_second: int | None = None
        self.most_results = 10_000
        #: Calls in ten seconds, and those of the day that are left; None for no limit. 190 and 250,000 where leads are
        #: objects (Professional), 100 in ten seconds in a small account.
        self.calls_in_ten_seconds: int | None = None
        self.remaining: int | None = None
        self.daily_remaining = 249_000
        self.granted = 0
        self.revoked = False
        #: Refuse a whole batch for one bad item, instead of answering 207.
        self.whole_batches = False
        #: Refuse every token, also fresh ones.
        self.refuse_all = False
        self.scopes_missing: dict[str, tuple[str, ...]] = {}
        #: Refresh tokens of an app that people installed, and what they granted it; and the tokens made of them.
        self.installs: dict[str, frozenset[str]] = {}
        self.granted_scopes: dict[str, frozenset[str]] = {}
        self._searched: deque[float] = deque()
        self._admitted: deque[float] = deque()
        self._lock = threading.RLock()
        self._crm = ScriptedCrm(otherwise=self._reply)

    @property
    def url(self) -> str:
        return self._crm.url

    def __enter__(self) -> Self:
        self._crm.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crm.__exit__(kind, error, trace)

    # Levers.

    def lose_next_answer(self, but: str = "", reply: Reply = CUT) -> None:
        """Apply the next write whose path does not hold `but`, and cut the connection or answer otherwise."""
        self._losing.append((but, reply))

    def limit_next(self, delay: timedelta | None, policy: str = "TEN_SECONDLY_ROLLING") -> None:
        headers = {} if delay is None else {"Retry-After": str(int(delay.total_seconds()))}
        body = {
            "status": "error",
            "message": "You have reached your ten_secondly_rolling limit.",
            "errorType": "RATE_LIMIT",
            "correlationId": CORRELATION,
            "policyName": policy,
        }
        self.faults.append(lambda _: Reply(429, body, headers))

    def authorise(self, owner: str, *scopes: str) -> str:
        """Have a person let an app work with some scopes; return its refresh token.

        HubSpot's documentation: a token reflects these scopes, and not what its person may see in the account.
        """
        token = f"refresh-of-{owner}"
        self.installs[token] = frozenset(scopes)
        return token

    def answer_next(self, reply: Reply) -> None:
        """Answer the next request so, without doing anything."""
        self.faults.append(lambda _: reply)

    # Serving.

    def _reply(self, seen: Seen) -> Reply:
        with self._lock, self.account.lock:
            parts = urlsplit(seen.path)
            reply, body = self._answered(seen, parts.path, parse_qs(parts.query))
            content = (
                orjson.loads(reply.body)
                if isinstance(reply.body, bytes) and reply.body[:1] in (b"{", b"[")
                else reply.body
            )
            called = Call(
                seen.method, parts.path, parse_qs(parts.query), body, reply.status, content, dict(seen.headers)
            )
            self.calls.append(called)
            if self._losing and _is_write(seen.method, parts.path) and reply.status < 300:
                but, instead = self._losing[0]
                if not but or but not in parts.path:
                    self._losing.popleft()
                    return instead
            return reply

    def _answered(self, seen: Seen, path: str, query: Mapping[str, list[str]]) -> tuple[Reply, Any]:
        if path == f"/oauth/{V}/token":
            return self._token(seen), {}
        if path == f"/oauth/{V}/token/revoke":
            return self._revoke(seen), {}
        if self.faults:
            fault = self.faults.popleft()(seen)
            if fault is not None:
                return fault, None
        body = None
        try:
            body = orjson.loads(seen.body) if seen.body else None
            self._admit(seen, path)
            scopes.need(self.granted_scopes.get(_token_of(seen)), seen.method, path)
            status, answer = answers.route(self, seen.method, path, query, body)
        except orjson.JSONDecodeError:
            refused = Refused(400, "VALIDATION_ERROR", "Invalid input JSON")
            return Reply(400, refused.body(), self._rate_headers(path)), body
        except Refused as err:
            return Reply(err.status, err.body(), self._rate_headers(path)), body
        return Reply(status, b"" if answer is None else orjson.dumps(answer), self._rate_headers(path)), body

    def _admit(self, seen: Seen, path: str) -> None:
        if _token_of(seen) not in self.tokens or self.refuse_all:
            raise Refused(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        for prefix, lacking in self.scopes_missing.items():
            if path.startswith(prefix):
                raise answers.missing_scopes(*lacking)
        self._count()
        if path.endswith("/search") and self.searches_a_second is not None:
            now = time.monotonic()
            while self._searched and now - self._searched[0] >= 1:
                self._searched.popleft()
            if len(self._searched) >= self.searches_a_second:
                raise Refused(429, "RATE_LIMITS", "You have reached your secondly limit.", policyName="SECONDLY")
            self._searched.append(now)

    def _count(self) -> None:
        """Take one of the calls of ten seconds, and of the day."""
        if self.calls_in_ten_seconds is None:
            return
        if self.daily_remaining <= 0:
            raise Refused(429, "RATE_LIMITS", "You have reached your daily limit.", policyName="DAILY")
        if self._left() <= 0:
            text = "You have reached your ten_secondly_rolling limit."
            raise Refused(429, "RATE_LIMITS", text, policyName="TEN_SECONDLY_ROLLING")
        self._admitted.append(time.monotonic())
        self.daily_remaining -= 1

    def _left(self) -> int:
        if self.calls_in_ten_seconds is None:
            return 189 if self.remaining is None else self.remaining
        while self._admitted and time.monotonic() - self._admitted[0] >= 10:
            self._admitted.popleft()
        return self.calls_in_ten_seconds - len(self._admitted)

    def _rate_headers(self, path: str) -> dict[str, str]:
        if path.endswith("/search"):
            return {}
        prefix = "X-HubSpot-RateLimit-"
        left = self._left()
        return {
            f"{prefix}Max": str(self.calls_in_ten_seconds or 190),
            f"{prefix}Remaining": str(left),
            f"{prefix}Interval-Milliseconds": "10000",
            f"{prefix}Daily": "250000",
            f"{prefix}Daily-Remaining": str(self.daily_remaining),
        }

    def _token(self, seen: Seen) -> Reply:
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        refresh = form.get("refresh_token", "")
        wanted = {"grant_type": "refresh_token", "refresh_token": refresh}
        wanted |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if form != wanted or refresh not in {REFRESH, *self.installs} or self.revoked:
            return Reply(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"})
        self.granted += 1
        token = f"access-{self.granted}"
        self.tokens.add(token)
        if refresh in self.installs:
            self.granted_scopes[token] = self.installs[refresh]
        answer = {"token_type": "bearer", "refresh_token": refresh, "access_token": token, "expires_in": 1800}
        return Reply(200, answer)

    def _revoke(self, seen: Seen) -> Reply:
        """RFC 7009: a token that is revoked already is a success too."""
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        wanted = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if form != wanted | {"token": REFRESH, "token_type_hint": "refresh_token"}:
            return Reply(400, Refused(400, "VALIDATION_ERROR", "Invalid input").body())
        self.revoked = True
        self.tokens.clear()
        return Reply(204)


def _token_of(seen: Seen) -> str:
    return seen.headers.get("authorization", "").removeprefix("Bearer ")


def _is_write(method: str, path: str) -> bool:
    return method != "GET" and not re.search(r"/(search|batch/read)$", path)


def page_of(rows: Sequence[Any], query: Mapping[str, list[str]], most: int) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return one page by `after` and `limit`, with the paging of the next."""
    limit = min(int(query.get("limit", ["10"])[0]), most)
    start = int(query.get("after", ["0"])[0])
    rest = {"paging": {"next": {"after": str(start + limit)}}} if start + limit < len(rows) else {}
    return rows[start : start + limit], rest
