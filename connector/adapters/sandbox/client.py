"""The sandbox CRM's API as calls: paths and shapes, no judgement."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from connector.adapters.http import Answer, HttpClient
from connector.adapters.sandbox.errors import answer_error

#: Values one search takes.
MOST_VALUES = 200
_PAGE = 200
_MOST_PAGES = 10_000


class SandboxClient:
    """Speaks the API of one sandbox CRM. Raises `connector.errors` alone."""

    def __init__(self, url: str, token: str, connection: str = "") -> None:
        self._http = HttpClient(url, token=token, connection=connection)

    def about(self) -> Mapping[str, Any]:
        """Return which account this is."""
        return _object(self._http.read("/api/account"))

    def write(self, object_: str, records: Sequence[bytes]) -> Sequence[Mapping[str, Any]]:
        """Send records, each a JSON text, as one batch; return the answers in order.

        Raises:
            OutcomeUnknown: also where the answers do not fit the records.
        """
        body = b'{"records":[' + b",".join(records) + b"]}"
        return _results(self._http.write("POST", f"/api/batch/{object_}", body), len(records))

    def erase(self, object_: str, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Delete records with all they held; return the answers in order."""
        return _results(self._http.write("POST", f"/api/erase/{object_}", orjson.dumps({"ids": list(ids)})), len(ids))

    def fetch(self, object_: str, id_: str) -> Mapping[str, Any]:
        """Return one record."""
        return _object(self._http.read(f"/api/{object_}/{id_}"))

    def search(self, object_: str, field: str, values: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Return the pairs of value and id for which a record exists."""
        body = orjson.dumps({"field": field, "values": values})
        return _list(self._http.read(f"/api/search/{object_}", body=body), "matches")

    def pages(self, object_: str) -> Iterator[Mapping[str, Any]]:
        """Yield every record of an object.

        Raises:
            UnexpectedAnswer: the CRM repeats a page, or never ends.
        """
        cursor: object = ""
        for _ in range(_MOST_PAGES):
            answer = self._http.read(f"/api/{object_}", params={"cursor": str(cursor), "limit": str(_PAGE)})
            yield from _list(answer, "records")
            following = _object(answer).get("next")
            if following is None:
                return
            if following == cursor:
                raise answer.unreadable("the page's cursor repeats")
            cursor = following
        raise answer.unreadable("the pages do not end")

    def changes(self, cursor: str, limit: int) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Return one page of the change feed and the next cursor."""
        answer = self._http.read("/api/changes", params={"cursor": cursor, "limit": str(limit)})
        return _list(answer, "changes"), str(_object(answer).get("cursor", cursor))


def _results(answer: Answer, records: int) -> Sequence[Mapping[str, Any]]:
    results = _list(answer, "results")
    if len(results) != records:
        raise answer.unreadable(f"{len(results)} results for {records} records")
    return results


def _object(answer: Answer) -> Mapping[str, Any]:
    if not answer.ok:
        raise answer_error(answer)
    body = answer.json()
    if not isinstance(body, dict):
        raise answer.unreadable("the answer is not an object")
    return body


def _list(answer: Answer, name: str) -> Sequence[Mapping[str, Any]]:
    found = _object(answer).get(name)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise answer.unreadable(f"{name} is not a list of objects")
    return found
