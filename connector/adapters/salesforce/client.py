"""Salesforce's REST and SOAP endpoints as calls: tokens, headers, limits and answers, no judgement.

The SDK is used in its direct mode, one immutable client for each token. In that mode it renews nothing by itself;
a 401 is renewed here, once. Its answers are parsed here: its own parsing makes floats of money.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError
from simple_salesforce.format import format_external_id, format_soql

from connector.adapters import metering
from connector.adapters.http import checked_origin, session_of, transport_error
from connector.adapters.salesforce.answers import (
    OK,
    UNAUTHORISED,
    Reply,
    encoded,
    expired,
    judged,
    parsed,
    rows,
    subanswer,
    token_error,
    token_is_gone,
    unauthorised,
    unreadable,
    written,
)
from connector.adapters.salesforce.errors import caused
from connector.adapters.salesforce.tokens import Grant
from connector.errors import AuthenticationError, ConfigurationError, InvalidRecord, RateLimited
from connector.model.crm import Budget

#: The one version every path carries; v66 is Spring '26.
API_VERSION = "66.0"
#: Records in one call of sObject Collections.
MOST_RECORDS = 200
#: By default assignment rules run on every write of a lead, also inactive ones, and take the owner we set.
_HEADERS = {
    "Sforce-Auto-Assign": "FALSE",
    "Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false; runAsCurrentUser=true",
}
_TIMEOUT = (3.0, 10.0)
#: A change of metadata runs in one call.
_SLOW = (3.0, 60.0)
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
_WINDOW = "24 hours"
#: Writes stop at this share of the daily calls, so that people's own tools keep some.
RESERVE = 0.05
#: A count this old is no reason to hold a write back: one call refreshes it.
_STALE = 900.0
_HOLD = timedelta(minutes=15)

soql = format_soql


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    content: bytes | None = field(repr=False)
    params: dict[str, str] | None = field(repr=False)
    write: bool

    @property
    def words(self) -> str:
        """Return what may stand in a message: no key and no query."""
        return f"{self.method} {self.path.partition('/Hearback_Key__c/')[0]}"


class SalesforceClient:
    """Calls one organisation. Raises `connector.errors` alone; safe to use from several threads.

    `loopback` sends everything to an http address of this machine instead; only tests pass it.
    """

    def __init__(self, connection: str, *, origin: str, grant: Grant, loopback: str = "") -> None:
        self._origin = checked_origin(origin)
        if urlsplit(self._origin).scheme != "https":
            raise ConfigurationError(f"connection {connection}: base_url of Salesforce begins with https://")
        self._grant = grant
        self._wire = _Wire(connection, self._origin, loopback)
        self._lock = threading.Lock()
        self._client: Salesforce | None = None
        self._user = ""
        self._usage: tuple[Budget, float] | None = None

    def __repr__(self) -> str:
        return f"SalesforceClient({self._origin!r})"

    def user(self) -> str:
        """Return the id of the user this connection works as, as the token's issuer names it."""
        self._current()
        return self._user

    @property
    def budget(self) -> Budget | None:
        """Return the API calls of the last 24 hours, as the last answer counted them."""
        return self._usage[0] if self._usage else None

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """Read a path below /services/data/vXX.0/.

        Raises:
            Unavailable, RateLimited, AuthenticationError, PermissionDenied, RecordNotFound: as their names say.
        """
        return self._call("GET", path, params=params, write=False)

    def query(self, text: str, *, deleted: bool = False) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a SOQL query whose LIMIT keeps it to one page; with `deleted` also the recycle bin's."""
        return rows(self.get("queryAll" if deleted else "query", {"q": text}).body)

    def ask(self, queries: Mapping[str, str], *, deleted: bool = False) -> tuple[Mapping[str, Any], datetime | None]:
        """Run up to five queries as one API call; return rows or an error for each, and the CRM's time."""
        resource = "queryAll" if deleted else "query"
        path = f"/services/data/v{API_VERSION}/{resource}"
        subrequests = [
            {"method": "GET", "url": f"{path}?{encoded(text)}", "referenceId": name} for name, text in queries.items()
        ]
        body = {"allOrNone": False, "compositeRequest": subrequests}
        reply = self._call("POST", "composite", body=body, write=False)
        answers = reply.body.get("compositeResponse") if isinstance(reply.body, dict) else None
        if not isinstance(answers, list) or len(answers) != len(queries):
            raise unreadable("POST composite", "answers are missing", write=False)
        return {name: subanswer(name, answer) for name, answer in zip(queries, answers, strict=True)}, reply.at

    def write(self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None) -> Any:
        """Send a change.

        Raises:
            RateLimited: also before the limit, so that the last calls are left to people (`RESERVE`).
            OutcomeUnknown: it left, and no clear answer came.
        """
        self._hold_back()
        return self._call(method, path, body=body, params=params, write=True).body

    def collection(
        self, method: str, path: str, records: Sequence[Mapping[str, Any]] = (), params: Mapping[str, str] | None = None
    ) -> list[Mapping[str, Any]]:
        """Send up to 200 records; return their results in order. 200 says nothing of the items."""
        count = len(records) or len(params["ids"].split(",") if params else ())
        body = {"allOrNone": False, "records": list(records)} if records else None
        results = self.write(method, path, body, params)
        if not isinstance(results, list) or len(results) != count:
            raise unreadable(f"{method} {path}", "the results do not fit the records", write=True)
        if not all(isinstance(result, dict) for result in results):
            raise unreadable(f"{method} {path}", "a result is no object", write=True)
        return results

    def upsert_one(self, sobject: str, field: str, key: str, fields: Mapping[str, Any]) -> Any:
        """Upsert one record by key: the form whose errors say which records a duplicate rule found."""
        return self.write("PATCH", f"sobjects/{sobject}/{format_external_id(field, key)}", fields)

    def soap(self, envelope: str, call: str, *, write: bool) -> bytes:
        """Post an envelope to the Metadata API; `{token}` in it stands for the session."""
        if write:
            self._hold_back()
        path = f"/services/Soap/m/{API_VERSION}"
        client, fresh = self._current()
        response = self._post_soap(client, path, envelope, call, write)
        if expired(response) and not fresh:
            response = self._post_soap(self._renewed(client), path, envelope, call, write)
        if expired(response):
            raise unauthorised(call)
        content: bytes = response.content
        return content

    def _post_soap(self, client: Salesforce, path: str, envelope: str, call: str, write: bool) -> requests.Response:
        content = envelope.replace("{token}", client.session_id).encode()
        headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
        return self._send(lambda: self._wire.post(path, content, headers, _SLOW), call, write)

    def _call(
        self,
        method: str,
        path: str,
        *,
        write: bool,
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> Reply:
        content = written(body) if body is not None else None
        call = _Call(method, path, content, dict(params) if params else None, write)
        client, fresh = self._current()
        response = self._through(client, call)
        if response.status_code == UNAUTHORISED and not fresh:
            # Refused means not applied, so a write is safe to send again.
            response = self._through(self._renewed(client), call)
        return judged(response, call.words, write=write)

    def _through(self, client: Salesforce, call: "_Call") -> requests.Response:
        def send() -> requests.Response:
            self._wire.last.response = None
            # The hook has the answer; what the SDK makes of it holds addresses and floats.
            with suppress(SalesforceError, ValueError, TypeError):
                client.restful(
                    call.path,
                    params=call.params,
                    method=call.method,
                    data=call.content,
                    allow_redirects=False,
                    headers={"X-PrettyPrint": "0"},
                )
            response: requests.Response | None = self._wire.last.response
            if response is None:
                raise requests.exceptions.InvalidURL
            return response

        return self._send(send, call.words, call.write)

    def _send(self, send: Callable[[], requests.Response], call: str, write: bool) -> requests.Response:
        try:
            response = send()
        except requests.RequestException as err:
            error = transport_error(err, call, write)
        else:
            self._count(response)
            return response
        raise error

    def revoke(self) -> bool:
        """Give the refresh token back, and with it every token made of it; one that is gone already is no error.

        False for a connection without one. Source:
        https://developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html
        """
        if not self._grant.refresh_token:
            return False
        path = "/services/oauth2/revoke"
        form = {"token": self._grant.refresh_token}
        response = self._send(lambda: self._wire.post(path, form, {}, _TIMEOUT), f"POST {path}", False)
        if response.status_code != OK and not token_is_gone(response):
            raise token_error(response, f"POST {path}")
        return True

    def _current(self) -> tuple[Salesforce, bool]:
        """Return the client in force, and whether its token was minted for this call."""
        with self._lock:
            if self._client is not None:
                return self._client, False
            self._client = self._minted()
            return self._client, True

    def _renewed(self, used: Salesforce) -> Salesforce:
        """Return a client with another token; of several threads one mints it."""
        with self._lock:
            if self._client is None or self._client is used:
                self._client = None
                self._client = self._minted()
            return self._client

    def _minted(self) -> Salesforce:
        call = "POST /services/oauth2/token"
        form = self._grant.form(self._origin)
        # A token that nobody got harms nobody: no answer is just that.
        response = self._send(lambda: self._wire.post("/services/oauth2/token", form, {}, _TIMEOUT), call, False)
        if response.status_code != OK:
            raise token_error(response, call)
        answer = parsed(response, call, write=False)
        token, instance = (answer.get(name) for name in ("access_token", "instance_url"))
        if not isinstance(token, str) or not isinstance(instance, str):
            raise unreadable(call, "no token in the answer", write=False)
        if _host(instance) != _host(self._origin):
            raise caused(
                AuthenticationError(f"{call}: the organisation lives at {_host(instance)}: set base_url to it"), 200, ""
            )
        self._user = str(answer.get("id") or "").rpartition("/")[2]
        return Salesforce(session_id=token, instance_url=self._origin, version=API_VERSION, session=self._wire.session)

    def _count(self, response: requests.Response) -> None:
        found = _USAGE.search(response.headers.get("Sforce-Limit-Info", ""))
        if found:
            self._usage = Budget(int(found[1]), int(found[2]), _WINDOW), time.monotonic()

    def _hold_back(self) -> None:
        if self._usage is None:
            return
        budget, seen = self._usage
        if time.monotonic() - seen < _STALE and budget.used >= budget.limit * (1 - RESERVE):
            message = (
                f"{budget.used} of {budget.limit} API calls of {budget.window} are used: the rest is kept for people"
            )
            raise caused(RateLimited(message, retry_after=_HOLD, code="RESERVE"), None, "RESERVE")


class _Wire(HTTPAdapter):
    """One session for all tokens of a connection: timeouts, counting, one host, and the last answer of each thread."""

    def __init__(self, connection: str, origin: str, loopback: str) -> None:
        self._connection, self._origin, self._loopback = connection, origin, loopback
        self.last = threading.local()
        super().__init__(pool_connections=1, pool_maxsize=8, max_retries=0)
        self.session = session_of(loopback or origin)
        self.session.headers.update(_HEADERS)
        self.session.hooks["response"].append(self._keep)
        self.session.mount("https://", self)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send to the configured host alone, with timeouts."""
        parts = urlsplit(str(request.url))
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise requests.exceptions.InvalidURL("another host than the configured one", request=request)
        if self._connection:
            metering.count(self._connection)
        if self._loopback:
            request.url = self._loopback + str(request.url)[len(self._origin) :]
        kwargs["timeout"] = kwargs.get("timeout") or _TIMEOUT
        return super().send(request, *args, **kwargs)

    def post(
        self, path: str, data: Mapping[str, str] | bytes, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> requests.Response:
        """Post what the SDK has no call for."""
        return self.session.post(
            self._origin + path, data=data, headers=headers, timeout=timeout, allow_redirects=False
        )

    def _keep(self, response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        self.last.response = response


def checked_id(id_: str) -> str:
    """Return a record id that is safe in a path or a query.

    Raises:
        InvalidRecord: it is none of Salesforce's.
    """
    if not _ID.fullmatch(id_):
        raise InvalidRecord("the record's id is not one of Salesforce's", fields=("record",))
    return id_


def _host(address: str) -> str:
    return (urlsplit(address).netloc or "").casefold().removesuffix(":443")


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Yield a sequence in pieces."""
    return (items[start : start + size] for start in range(0, len(items), size))
