"""The organisation's HTTP face on loopback: OAuth, REST, Composite, and what is on the wire between."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from salesforce_server.org import KEY, ORG_ID, Org, Refused
from salesforce_server.people import People

VERSION = "/services/data/v66.0/"
SOAP = "/services/Soap/m/66.0"
ORIGIN = "https://nordhammer.my.salesforce.com"
WRITES = ("POST", "PATCH", "DELETE")


@dataclass(frozen=True)
class Call:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_write(self) -> bool:
        return self.method in WRITES and "/oauth2/" not in self.path and not self.path.endswith("/composite")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    #: "cut": nothing is answered; "half": a part of the body; a number: seconds of delay.
    fault: str = ""

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        text = "" if self.body is None else json.dumps(self.body, default=_number)
        return re.sub(r'"@@(.*?)@@"', r"\1", text).encode()


class SalesforceServer:
    """Serves one organisation; use it as a context."""

    def __init__(self, org: Org | None = None) -> None:
        self.org = org or Org()
        self.seen: list[Call] = []
        self.tokens: set[str] = set()
        self.minted: list[dict[str, str]] = []
        self.revoked: set[str] = set()
        self.used, self.limit = 0, 100_000
        #: Answers to give instead, for the next requests they apply to: a function from a call to an answer or None.
        self.faults: list[Callable[[Call], Answer | None]] = []
        #: Refuses credentials at the token endpoint.
        self.oauth_error: tuple[str, str] | None = None
        self.instance = ORIGIN
        #: Tokens are handed out but refused for data.
        self.refuses_tokens = False
        self.soap: Callable[[bytes], tuple[int, bytes]] | None = None
        #: Who else but the integration works in the organisation, by logins of their own.
        self.people: People | None = None
        self._server = _Server(("127.0.0.1", 0), self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # Levers.

    def next(self, answer: Answer, when: Callable[[Call], bool] = lambda _call: True) -> None:
        """Give the next request of a kind another answer; nothing is done."""
        self.faults.append(lambda call: answer if when(call) else None)

    def lose_next(self, fault: str = "cut") -> None:
        """Do the next write, and lose or spoil its answer."""

        def lose(call: Call) -> Answer | None:
            if not call.is_write:
                return None
            done = self.route(call)
            if fault == "500":
                return Answer(500, [{"message": "gack", "errorCode": "UNKNOWN_EXCEPTION"}])
            return Answer(done.status, done.body, done.headers, fault)

        self.faults.append(lose)

    def expire(self) -> None:
        """End all sessions."""
        self.tokens.clear()

    def data(self) -> list[Call]:
        """Return the requests but those for tokens."""
        return [call for call in self.seen if "/oauth2/" not in call.path]

    # Serving.

    def answer(self, call: Call) -> Answer:
        with self.org.lock:
            self.seen.append(call)
            for fault in list(self.faults):
                found = fault(call)
                if found is not None:
                    self.faults.remove(fault)
                    return found
            return self.route(call)

    def route(self, call: Call) -> Answer:  # noqa: PLR0911 - a table of routes
        path = urlsplit(call.path).path
        if path == "/services/oauth2/token":
            return self.token(call)
        if path == "/services/oauth2/revoke":
            return self.revoke(call)
        if path == SOAP and self.soap:
            if not any(token.encode() in call.body for token in self.tokens) or self.refuses_tokens:
                return Answer(500, b"<faultcode>sf:INVALID_SESSION_ID</faultcode>", {"Content-Type": "text/xml"})
            status, body = self.soap(call.body)
            return Answer(status, body, {"Content-Type": "text/xml"})
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        person = self.people.user_of(token) if self.people else None
        if (token not in self.tokens and person is None) or self.refuses_tokens:
            return Answer(401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
        self.used += 1
        headers = {"Sforce-Limit-Info": f"api-usage={self.used}/{self.limit}"}
        if self.used > self.limit:
            return Answer(
                403, [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}], headers
            )
        if not path.startswith(VERSION):
            return Answer(
                404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}], headers
            )
        try:
            if person is not None and self.people is not None:
                done = Answer(*self.people.answer(person, call.method, call.path.removeprefix(VERSION), call.body))
            else:
                done = self.resource(call, path.removeprefix(VERSION))
        except Refused as err:
            status = {"NOT_FOUND": 404, "ENTITY_IS_DELETED": 404}.get(err.code, 400)
            status = 403 if err.code.startswith("INSUFFICIENT_ACCESS") else status
            return Answer(status, [err.as_error()], headers)
        return Answer(done.status, done.body, headers | done.headers)

    def token(self, call: Call) -> Answer:
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        self.minted.append(form)
        if self.oauth_error:
            code, description = self.oauth_error
            return Answer(400, {"error": code, "error_description": description})
        if form.get("refresh_token") in self.revoked:
            return Answer(400, {"error": "invalid_grant", "error_description": "expired access/refresh token"})
        try:
            session = self.people.token(form) if self.people else None
        except Refused as err:
            return Answer(400, {"error": err.code, "error_description": err.message})
        if session is not None:
            return Answer(200, {"access_token": session, "instance_url": self.instance, "token_type": "Bearer"})
        token = f"00D!token-{len(self.minted)}-secret"
        self.tokens.add(token)
        return Answer(
            200, {"access_token": token, "instance_url": self.instance, "id": f"{ORIGIN}/id/{ORG_ID}/{self.org.user}"}
        )

    def revoke(self, call: Call) -> Answer:
        """A refresh token takes every access token with it."""
        (token,) = parse_qs(call.body.decode())["token"]
        if token in self.revoked:
            return Answer(400, {"error": "invalid_token", "error_description": "invalid token"})
        self.revoked.add(token)
        self.tokens.clear()
        return Answer(200)

    def resource(self, call: Call, path: str) -> Answer:
        parts = [unquote(part) for part in path.split("/")]
        query = {name: values[0] for name, values in parse_qs(urlsplit(call.path).query).items()}
        match call.method, parts:
            case "GET", ["query" | "queryAll" as kind]:
                rows = self.org.query(query["q"], deleted=kind == "queryAll")
                return Answer(200, {"totalSize": len(rows), "done": True, "records": rows})
            case "POST", ["composite"]:
                return self.composite(json.loads(call.body))
            case "GET", ["sobjects", object_, "describe"]:
                return self.describe(object_)
            case "GET", ["sobjects", "Lead", "describe", "layouts"]:
                return Answer(200, {"layouts": self.org.rows.get("layouts", [])})
            case _ if call.method in WRITES:
                self.headers_are_there(call)
                return self.writing(call, parts, query)
            case _:
                raise Refused("NOT_FOUND", "The requested resource does not exist")

    def headers_are_there(self, call: Call) -> None:
        """A4: the real one would take the owner we set, in silence."""
        assert call.headers.get("sforce-auto-assign") == "FALSE", "a write without Sforce-Auto-Assign"
        assert "allowSave=true" in call.headers.get("sforce-duplicate-rule-header", ""), "no duplicate header"

    def composite(self, body: dict[str, Any]) -> Answer:
        answers = []
        assert len(body["compositeRequest"]) <= 5, "more queries than one composite call takes"
        for sub in body["compositeRequest"]:
            path = urlsplit(sub["url"])
            try:
                assert path.path.startswith(VERSION)
                done = self.resource(Call(sub["method"], sub["url"], {}, b""), path.path.removeprefix(VERSION))
                status, content = done.status, done.body
            except Refused as err:
                status, content = 400, [err.as_error()]
            answers.append(
                {"body": content, "httpHeaders": {}, "httpStatusCode": status, "referenceId": sub["referenceId"]}
            )
        return Answer(200, {"compositeResponse": answers})

    def describe(self, object_: str) -> Answer:
        known = self.org.schema.objects.get(object_)
        if known is None:
            raise Refused("NOT_FOUND", "The requested resource does not exist")
        fields = [told.described() for told in known.values() if told.readable]
        return Answer(
            200, {"name": object_, "createable": True, "updateable": True, "deletable": True, "fields": fields}
        )

    def writing(self, call: Call, parts: list[str], query: dict[str, str]) -> Answer:  # noqa: PLR0911 - a table of routes
        match call.method, parts:
            case "POST", ["composite", "sobjects"]:
                return self.each(
                    call, lambda record: (self.org.create(_type(record), _fields(record), told=False), None)
                )
            case "PATCH", ["composite", "sobjects"]:
                return self.each(call, self.by_id)
            case "PATCH", ["composite", "sobjects", object_, field_]:
                assert field_ == KEY
                return self.each(call, lambda record: self.by_key(object_, record))
            case "DELETE", ["composite", "sobjects"]:
                ids = query["ids"].split(",")
                if len(ids) > 200 or len(set(ids)) != len(ids):
                    raise Refused("EXCEEDED_MAX_SIZE_REQUEST")
                return Answer(200, [self.item(lambda id_=id_: (self.org.delete(id_), id_)[1], None) for id_ in ids])
            case "PATCH", ["sobjects", object_, field_, key]:
                assert field_ == KEY
                id_, created = self.org.upsert(object_, key, json.loads(call.body), told=True)
                return Answer(201 if created else 200, {"id": id_, "success": True, "created": created, "errors": []})
            case "POST", ["sobjects", object_]:
                return Answer(
                    201, {"id": self.org.insert(object_, **json.loads(call.body)), "success": True, "errors": []}
                )
            case "DELETE", ["sobjects", _, id_]:
                self.org.delete(id_)
                return Answer(204)
            case _:
                raise Refused("NOT_FOUND", "The requested resource does not exist")

    def each(self, call: Call, write: Callable[[dict[str, Any]], tuple[str, bool | None]]) -> Answer:
        body = json.loads(call.body, parse_float=Decimal)
        records = body["records"]
        if len(records) > 200:
            raise Refused("EXCEEDED_MAX_SIZE_REQUEST", "record limit reached. cannot submit more than 200 records")
        seen: set[str] = set()
        results = []
        for record in records:
            mark = str(record.get("id") or record.get(KEY) or id(record))
            results.append(self.item(lambda record=record: write(record), mark if mark in seen else None))
            seen.add(mark)
        return Answer(200, results)

    def item(self, write: Callable[[], Any], twice: str | None) -> dict[str, Any]:
        try:
            if twice:
                raise Refused("DUPLICATE_VALUE", f"Duplicate external id specified: {twice}")
            done = write()
        except Refused as err:
            return {"success": False, "errors": [err.as_item()]}
        id_, created = done if isinstance(done, tuple) else (done, None)
        return {"id": id_, "success": True, "errors": []} | ({} if created is None else {"created": created})

    def by_id(self, record: dict[str, Any]) -> tuple[str, None]:
        fields = _fields(record)
        id_ = fields.pop("id")
        self.org.update(_type(record), id_, fields)
        return id_, None

    def by_key(self, object_: str, record: dict[str, Any]) -> tuple[str, bool]:
        assert _type(record) == object_
        fields = _fields(record)
        assert "id" not in fields, "neither key nor id may be in the body twice"
        return self.org.upsert(object_, fields.pop(KEY), fields, told=self.org.tells_matches)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], crm: SalesforceServer) -> None:
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
        pass

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.server.crm.answer(Call(self.command, self.path, headers, body))
        except AssertionError as err:
            answer = Answer(400, [{"message": str(err), "errorCode": "TEST_ASSERTION"}])
        if answer.fault == "cut":
            self.close_connection = True
            return
        if answer.fault.replace(".", "").isdigit():
            time.sleep(float(answer.fault))
        self.reply(answer)

    def reply(self, answer: Answer) -> None:
        content = answer.content()
        self.send_response_only(answer.status)
        shown = {"Content-Type": "application/json", "Date": format_datetime(self.server.crm.org.now(), usegmt=True)}
        for name, value in (shown | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = answer.fault == "half"
        self.wfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = self.close_connection or half

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base class looks for these


def _type(record: dict[str, Any]) -> str:
    return str(record["attributes"]["type"])


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "attributes"}


def _number(value: Any) -> str:
    """Numbers with a point leave as the real one writes them, 12345678.10 as 1.234567810E+7, and exact."""
    assert isinstance(value, Decimal)
    return f"@@{value:E}@@"
