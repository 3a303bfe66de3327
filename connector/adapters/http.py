"""Outward HTTP for every adapter: one place where the wire's failures become our errors."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import MaxRetryError, NewConnectionError, SSLError

from connector.adapters import metering
from connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    UnexpectedAnswer,
)

log = logging.getLogger(__name__)

_CONNECT_SECONDS, _READ_SECONDS = 3.0, 10.0
_CONNECTIONS = 8
_OK, _MULTIPLE, _BAD_REQUEST, _SERVER_ERROR = 200, 300, 400, 500
_UNAUTHORISED, _TOO_MANY = 401, 429
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class WireError(Exception):
    """What happened on the wire, in words that hold neither a secret nor personal data.

    It stands as the cause of our errors in place of the library's exception, whose text shows addresses.
    """


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is neither a transport failure, a 401, a 429 nor a 5xx."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    call: str
    write: bool

    @property
    def ok(self) -> bool:
        """Tell whether the status is 2xx."""
        return _OK <= self.status < _MULTIPLE

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            OutcomeUnknown: a write succeeded and its answer cannot be read.
            UnexpectedAnswer: a read's answer cannot be read.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            pass
        raise self.unreadable("the answer is not JSON")

    def unreadable(self, why: str) -> ConnectorError:
        """Return the error for an answer that breaks the CRM's own contract."""
        kind = OutcomeUnknown if self.write and self.ok else UnexpectedAnswer
        error = kind(f"{self.call}: {why}", status=self.status)
        error.__cause__ = WireError(f"{self.status} {why}")
        return error


class HttpClient:
    """Calls one origin and no other, with timeouts, without redirects, retries, cookies or netrc.

    Safe to use from several threads. Proxies and certificates come from the environment, once.
    """

    def __init__(
        self,
        origin: str,
        *,
        token: str,
        headers: Mapping[str, str] | None = None,
        connection: str = "",
        read_seconds: float | None = None,
    ) -> None:
        self._origin = checked_origin(origin)
        self._timeout = (_CONNECT_SECONDS, _READ_SECONDS if read_seconds is None else read_seconds)
        self._connection = connection
        self._session = session_of(self._origin)
        self._session.auth = _Bearer(token)
        self._session.headers.update(headers or {})

    def __repr__(self) -> str:
        return f"HttpClient({self._origin!r})"

    def read(self, path: str, *, params: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        """GET, or POST with a body where the CRM searches by POST; nothing changes there.

        Raises:
            Unavailable: no answer, or a 5xx.
            RateLimited: 429.
            AuthenticationError: 401.
        """
        return self._call("GET" if body is None else "POST", path, body, params=params, write=False)

    def write(self, method: str, path: str, body: bytes) -> Answer:
        """Send a change.

        Raises:
            Unavailable: the connection could not be made, so nothing was sent.
            OutcomeUnknown: it left, and no clear answer came.
            RateLimited: 429.
            AuthenticationError: 401.
        """
        return self._call(method, path, body, params=None, write=True)

    def _call(
        self, method: str, path: str, body: bytes | None, *, params: Mapping[str, str] | None, write: bool
    ) -> Answer:
        call = f"{method} {path}"
        if self._connection:
            metering.count(self._connection)
        try:
            response = self._session.request(
                method,
                self._origin + path,
                data=body,
                params=params,
                headers={"Content-Type": "application/json"} if body is not None else None,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as err:
            error = transport_error(err, call, write)
        else:
            status_error = _status_error(response, call, write)
            if status_error is None:
                return Answer(response.status_code, response.headers, response.content, call, write)
            error = status_error
        # Outside of the handler, so that the library's exception is not even the context of ours.
        raise error


class _Bearer(AuthBase):
    """Sets the token itself: a header would give way to an entry in netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def checked_origin(origin: str) -> str:
    """Return scheme, host and port of an address.

    Raises:
        ConfigurationError: it is no plain http(s) address of a host.
    """
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ConfigurationError("the address of the CRM is not a plain http(s) URL: write https://host[:port]")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError("the address of the CRM has a path: give scheme, host and port only")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        log.warning("the CRM is called without TLS: tokens travel in clear text", extra={"host": parts.hostname})
    return f"{parts.scheme}://{parts.netloc}"


def session_of(origin: str) -> requests.Session:
    """Return a session without cookies, netrc or retries; proxies and certificates of the environment."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if urlsplit(origin).hostname not in _LOOPBACK:
        found = session.merge_environment_settings(origin, {}, None, None, None)
        session.proxies, session.verify = found["proxies"], found["verify"]
    session.trust_env = False
    return session


def transport_error(err: requests.RequestException, call: str, write: bool) -> ConnectorError:
    """Return what a failure of the wire means: nothing was sent, or nobody knows; a read is just unavailable."""
    kind, happened = _classify(err)
    if kind is OutcomeUnknown and not write:
        kind = Unavailable
    error = kind(f"{call}: {happened}")
    error.__cause__ = WireError(f"{type(err).__name__}: {happened}")
    return error


def _classify(err: requests.RequestException) -> tuple[type[ConnectorError], str]:
    if _never_sent(err):
        return Unavailable, "no connection"
    if isinstance(err, requests.Timeout):
        return OutcomeUnknown, "no answer in time"
    return OutcomeUnknown, "the connection broke before the answer was complete"


def _never_sent(err: requests.RequestException) -> bool:
    """Tell whether the request surely did not leave this machine."""
    if isinstance(err, (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.InvalidURL)):
        return True
    inner = err.args[0] if err.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, (NewConnectionError, SSLError))


def _status_error(response: requests.Response, call: str, write: bool) -> ConnectorError | None:
    status = response.status_code
    request_id = response.headers.get("X-Request-Id")
    error: ConnectorError
    if status == _UNAUTHORISED:
        error = AuthenticationError(
            f"{call}: the token is refused: enter a valid one", status=status, request_id=request_id
        )
    elif status == _TOO_MANY:
        error = RateLimited(
            f"{call}: too many requests",
            retry_after=retry_after(response.headers),
            status=status,
            request_id=request_id,
        )
    elif status >= _SERVER_ERROR:
        kind = OutcomeUnknown if write else Unavailable
        error = kind(f"{call}: the CRM failed with {status}", status=status, request_id=request_id)
    elif _MULTIPLE <= status < _BAD_REQUEST:
        error = UnexpectedAnswer(
            f"{call}: the CRM redirects, which is not followed: correct its address",
            status=status,
            request_id=request_id,
        )
    else:
        return None
    error.__cause__ = WireError(f"status {status}")
    return error


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the delay of a Retry-After header; a date counts from the answer's own Date (RFC 9110, 10.2.3)."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    try:
        delay = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return max(delay, timedelta())
