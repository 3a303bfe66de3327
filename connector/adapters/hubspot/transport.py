"""Sends what the SDK's classes prepare: one pool without retries, timeouts, dated paths, one place for errors."""

import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError

from connector.adapters import metering
from connector.adapters.hubspot.auth import Tokens
from connector.adapters.hubspot.errors import Refusal, status_error, transport_error, unreadable
from connector.adapters.hubspot.limits import Limits
from connector.adapters.hubspot.versions import dated, is_write
from connector.errors import AuthenticationError, ConfigurationError

_TIMEOUT = (3.0, 10.0)
_CONNECTIONS = 8
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: What the SDK's own code raises over an answer it cannot read.
_CANNOT_READ = (ValueError, TypeError, AttributeError, LookupError)


class Transport:
    """Sends what the SDK's classes prepare, to one origin and no other. Safe to use from several threads."""

    def __init__(self, origin: str, *, tokens: Tokens | None, connection: str, limits: Limits) -> None:
        self._origin = checked_origin(origin)
        self._tokens = tokens
        self._connection = connection
        self.limits = limits
        self._pool = _pool(self._origin)
        self._held: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Transport({self._origin!r})"

    def api(self, package: ModuleType, name: str) -> Any:
        """Return an API class of a package of the SDK over the package's held client."""
        with self._lock:
            held = self._held.get(package.__name__)
            if held is None:
                held = self._held[package.__name__] = _hold(package, self._origin, self._pool, self.call)
        return getattr(package, name)(api_client=held)

    def call(self, send: Callable[..., Any], package: ModuleType, path: str, method: str, **how: Any) -> Any:
        """Send one call; renew the token and send again, once, where it is refused."""
        if self._tokens is None:
            return self._once(send, package, (method, path), "", how)
        token = self._tokens.current()
        try:
            return self._once(send, package, (method, path), token, how)
        except AuthenticationError as err:
            refused = err
        try:
            token = self._tokens.renew(token)
        except AuthenticationError:
            token = ""
        if not token:
            raise refused
        return self._once(send, package, (method, path), token, how)

    def revoke(self) -> str:
        """Give the credentials back; return what somebody has to do instead, "" for nothing."""
        return self._tokens.revoke() if self._tokens else ""

    def _once(
        self, send: Callable[..., Any], package: ModuleType, named: tuple[str, str], token: str, how: Mapping[str, Any]
    ) -> Any:
        method, path = named[0], dated(named[1])
        call, write = f"{method} {path}", is_write(method, path)
        self.limits.reserve(call, search=path.endswith("/search"))
        metering.count(self._connection)
        fixed = {"_return_http_data_only": False, "_request_timeout": _TIMEOUT, "_request_auth": token}
        try:
            answer, status, headers = send(path, method, **{**how, **fixed})
        except package.ApiException as err:
            failed = status_error(Refusal(call, write, err.status or 0, err.headers or {}, err.body))
            self.limits.note(err.headers or {})
        except HTTPError as err:
            failed = transport_error(err, call, write)
        except _CANNOT_READ as err:
            failed = unreadable(call, write, f"the answer cannot be read: {type(err).__name__}")
        else:
            self.limits.note(headers)
            # An operation without a declared answer (204) has nothing to read.
            if answer is not None or not how.get("response_types_map"):
                return answer
            failed = unreadable(call, write, f"an answer of status {status} was not foreseen")
        # Outside of the handlers, so that the SDK's exception, which shows headers and body, is no context of ours.
        raise failed


def _hold(package: ModuleType, origin: str, pool: Any, call: Callable[..., Any]) -> Any:
    """Return a client of a package that leaves the sending to `call`."""

    class Held(package.ApiClient):  # type: ignore[misc, name-defined]  # generated code without types
        def call_api(self, resource_path: str, method: str, *args: Any, **kwargs: Any) -> Any:
            """Send through the transport."""
            how = {**dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
            return call(super().call_api, package, resource_path, method, **how)

        def update_params_for_auth(
            self, headers: dict[str, str], _queries: Any, _settings: Any, request_auth: str | None = None
        ) -> None:
            """Set the token of this one request; the SDK would read a shared one."""
            if request_auth:
                headers["Authorization"] = f"Bearer {request_auth}"

    configuration = package.Configuration(host=origin)
    held = Held(configuration=configuration)
    held.rest_client.pool_manager = pool
    held.user_agent = "hearback-connector"
    return held


#: The arguments the generated classes give by place.
_POSITIONAL = ("path_params", "query_params", "header_params")


def checked_origin(origin: str) -> str:
    """Return scheme, host and port of an address that has nothing else.

    Raises:
        ConfigurationError: it is no such address.
    """
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ConfigurationError("base_url is not a plain http(s) URL: leave it out, or write https://host[:port]")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError("base_url has a path: give scheme, host and port only")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError("base_url is without TLS: tokens would travel in clear text; write https://")
    return f"{parts.scheme}://{parts.netloc}"


def _pool(origin: str) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=_TIMEOUT[0], read=_TIMEOUT[1])
    host = urlsplit(origin).hostname or ""
    proxy = None if host in _LOOPBACK or proxy_bypass(host) else getproxies().get(urlsplit(origin).scheme)
    if proxy:
        return urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS, block=False, retries=False, timeout=timeout)
    return urllib3.PoolManager(maxsize=_CONNECTIONS, block=False, retries=False, timeout=timeout)
