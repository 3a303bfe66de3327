"""The sandbox CRM's API: which request does what."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connector.adapters.sandbox.crm.faults import Faults, read_plan
from connector.adapters.sandbox.crm.records import Item, Refusal, Result, shape_of
from connector.adapters.sandbox.crm.shapes import ID
from connector.adapters.sandbox.crm.store import Entry, Store

API_VERSION = "1"
MOST_RECORDS = 200
_MOST_VALUES = 200
_PAGE = 100
_MOST_PAGE = 1000
_CREATED, _CONFLICT = 201, 409


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in; `query` holds the last value of each name."""

    entry: Entry
    segments: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer. `logged`: the request log has it already."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    logged: bool = False


@dataclass(slots=True)
class HouseRules:
    """What an administrator of the CRM can switch."""

    search_lag: float = 2.0
    link_duplicates: bool = False


class Api:
    """Answers authenticated requests. Raises `Refusal` and psycopg's errors."""

    def __init__(
        self,
        store: Store,
        *,
        account: str,
        rules: HouseRules,
        faults: Faults,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._account = account
        self._rules = rules
        self._faults = faults
        self._changed = changed

    def answer(self, request: Request) -> Reply:  # noqa: C901, PLR0911 - a table of routes
        """Find the route and follow it."""
        if any("\0" in text for text in (*request.segments, *request.query.values())):
            raise Refusal("INVALID_VALUE", "the address holds a NUL")
        match (request.entry.method, *request.segments):
            case ("GET", "api", "account"):
                return self._about()
            case ("GET", "api", "changes"):
                return self._feed(request)
            case ("POST", "api", "batch", object_):
                return self._batch(request, object_)
            case ("POST", "api", "erase", object_):
                return self._erase(request, object_)
            case ("POST", "api", "search", object_):
                return self._search(request, object_)
            case ("GET", "api", object_):
                return self._list(request, object_)
            case ("POST", "api", object_):
                return self._create(request, object_)
            case ("GET", "api", object_, id_):
                return self._fetch(object_, id_)
            case ("PATCH", "api", object_, id_):
                return self._update(request, object_, id_)
            case ("DELETE", "api", object_, id_):
                return self._delete(request, object_, id_)
            case (method, "control", what):
                return self._control(request, f"{method} {what}")
        raise Refusal("NO_SUCH_ROUTE", "no such route", status=404)

    def _about(self) -> Reply:
        users = self._store.page("users", "", _MOST_PAGE)
        active = sum(1 for user in users if user["fields"].get("IsActive"))
        body = {
            "account": self._account,
            "api_version": API_VERSION,
            "now": self._store.now().isoformat(),
            "active_users": active,
        }
        return Reply(200, body)

    def _feed(self, request: Request) -> Reply:
        cursor = request.query.get("cursor", "")
        if cursor and not (cursor.isascii() and cursor.isdigit()):
            raise Refusal("INVALID_CURSOR", "the cursor is not one of ours", fields=("cursor",))
        changes = self._store.changes(int(cursor or 0), _limit(request))
        newest = changes[-1]["id"].removeprefix("ev-") if changes else cursor
        return Reply(200, {"changes": changes, "cursor": newest})

    def _batch(self, request: Request, object_: str) -> Reply:
        records = _json(request).get("records")
        if not isinstance(records, list):
            raise Refusal("INVALID_BODY", "records is a list", fields=("records",))
        if len(records) > MOST_RECORDS:
            raise Refusal("TOO_MANY_RECORDS", f"at most {MOST_RECORDS} records", status=413)
        items = [_item(record) for record in records]
        results = self._write(request, object_, items)
        return Reply(200, {"results": [result.as_json() for result in results]}, logged=True)

    def _write(
        self,
        request: Request,
        object_: str,
        items: Sequence[Item],
        status: Callable[[Result], int] | None = None,
    ) -> list[Result]:
        linking = self._rules.link_duplicates
        results = self._store.write(request.entry, shape_of(object_), items, link_duplicates=linking, status=status)
        self._changed()
        return results

    def _create(self, request: Request, object_: str) -> Reply:
        return self._single(request, object_, _item(_json(request), create=True))

    def _update(self, request: Request, object_: str, id_: str) -> Reply:
        return self._single(request, object_, _item({**_json(request), "id": id_}))

    def _single(self, request: Request, object_: str, item: Item) -> Reply:
        result = self._write(request, object_, [item], _status)[0]
        if result.refusal is not None:
            return Reply(_status(result), {"error": result.refusal.as_json()}, logged=True)
        return Reply(_status(result), result.as_json(), logged=True)

    def _delete(self, request: Request, object_: str, id_: str) -> Reply:
        result = self._store.delete(request.entry, shape_of(object_), id_)
        self._changed()
        return Reply(200, result.as_json(), logged=True)

    def _erase(self, request: Request, object_: str) -> Reply:
        ids = _json(request).get("ids")
        if not isinstance(ids, list) or not all(isinstance(id_, str) and ID.fullmatch(id_) for id_ in ids):
            raise Refusal("INVALID_BODY", "ids is a list of ids", fields=("ids",))
        if len(ids) > MOST_RECORDS:
            raise Refusal("TOO_MANY_RECORDS", f"at most {MOST_RECORDS} records", status=413)
        results = self._store.erase(request.entry, shape_of(object_), ids)
        self._changed()
        return Reply(200, {"results": [result.as_json() for result in results]}, logged=True)

    def _fetch(self, object_: str, id_: str) -> Reply:
        record = self._store.fetch(shape_of(object_).object, id_)
        if record is None:
            raise Refusal("NOT_FOUND", f"no such record in {object_}", status=404)
        return Reply(200, record)

    def _list(self, request: Request, object_: str) -> Reply:
        limit = _limit(request)
        records = self._store.page(shape_of(object_).object, request.query.get("cursor", ""), limit)
        following = records[-1]["id"] if len(records) == limit else None
        return Reply(200, {"records": records, "next": following})

    def _search(self, request: Request, object_: str) -> Reply:
        body = _json(request)
        field_, values = body.get("field"), body.get("values")
        if field_ not in ("x_hearback_key", "Email"):
            raise Refusal("NOT_SEARCHABLE", "the field has no index", fields=("field",))
        if not isinstance(values, list) or len(values) > _MOST_VALUES:
            raise Refusal("INVALID_BODY", f"values is a list of at most {_MOST_VALUES}", fields=("values",))
        if not all(isinstance(value, str) and "\0" not in value for value in values):
            raise Refusal("INVALID_BODY", "values are texts", fields=("values",))
        shape = shape_of(object_)
        return Reply(200, {"matches": self._store.search(shape, field_, values, lag=self._rules.search_lag)})

    def _control(self, request: Request, route: str) -> Reply:
        match route:
            case "GET stats":
                return Reply(200, self._store.stats())
            case "POST faults":
                self._faults.plan(read_plan(_json(request)))
                return Reply(200)
            case "POST clock":
                self._store.shift_clock(_seconds(_json(request), "shift_seconds"))
                return Reply(200, {"now": self._store.now().isoformat()})
            case "POST rules":
                return self._set_rules(_json(request))
        raise Refusal("NO_SUCH_ROUTE", "no such route", status=404)

    def _set_rules(self, body: Mapping[str, Any]) -> Reply:
        if "search_lag" in body:
            self._rules.search_lag = _seconds(body, "search_lag")
        if "duplicate_email" in body:
            self._rules.link_duplicates = body["duplicate_email"] == "link"
        return Reply(200)


def authorised(header: str | None, token: str) -> bool:
    """Tell whether an Authorization header carries the token."""
    given = (header or "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, f"Bearer {token}".encode())


def is_write(method: str, segments: Sequence[str]) -> bool:
    """Tell whether a request to the API may change records."""
    return method != "GET" and tuple(segments[:2]) != ("api", "search")


def _status(result: Result) -> int:
    if result.refusal is not None:
        return result.refusal.status
    return {"created": _CREATED, "duplicate": _CONFLICT}.get(result.status, 200)


def _json(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as err:
        raise Refusal("INVALID_BODY", "the body is not JSON") from err
    if not isinstance(body, dict):
        raise Refusal("INVALID_BODY", "the body is not an object")
    return body


def _item(record: object, *, create: bool = False) -> Item:
    if not isinstance(record, dict):
        raise Refusal("INVALID_BODY", "a record is an object", fields=("records",))
    fields, id_, trace = record.get("fields"), record.get("id"), record.get("trace", "")
    if not isinstance(fields, dict):
        raise Refusal("INVALID_BODY", "fields is an object", fields=("fields",))
    if id_ is not None and not (isinstance(id_, str) and ID.fullmatch(id_)):
        raise Refusal("INVALID_BODY", "the id is malformed", fields=("id",))
    if not isinstance(trace, str) or "\0" in trace:
        raise Refusal("INVALID_BODY", "trace is a text", fields=("trace",))
    return Item(fields, id=id_, trace=trace, create=create)


def _limit(request: Request) -> int:
    text = request.query.get("limit", str(_PAGE))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_PAGE):
        raise Refusal("INVALID_VALUE", f"limit is 1 to {_MOST_PAGE}", fields=("limit",))
    return int(text)


def _seconds(body: Mapping[str, Any], name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refusal("INVALID_VALUE", f"{name} is a number of seconds", fields=(name,))
    return float(value)
