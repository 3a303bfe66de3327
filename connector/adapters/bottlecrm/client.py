"""BottleCRM's API as calls: paths and shapes, no judgement."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from connector.adapters.bottlecrm.errors import answer_error
from connector.adapters.http import Answer, HttpClient
from connector.errors import InvalidRecord

#: Seconds an answer may take. With the connection a request ends within `LONGEST` seconds.
_READ_SECONDS = 5.0
LONGEST = 8.0
#: Rows of a page. The CRM has no limit of its own, and writes each row out in full.
PAGE = 100
_MOST_PAGES = 10_000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of the API: where it is, and in which of its blocks the rows and their count stand.

    A list may have several blocks, such as open and closed leads, which are paged by the same offset.
    """

    path: str
    blocks: tuple[tuple[str, ...], ...]
    #: Of each block: the name of its rows, and of their count.
    names: tuple[tuple[str, str], ...]
    params: tuple[tuple[str, str], ...] = ()


LEADS = Listing(
    "/api/leads/",
    (("open_leads",), ("close_leads",)),
    (("open_leads", "leads_count"), ("close_leads", "leads_count")),
)
DEALS = Listing("/api/opportunities/", ((),), (("opportunities", "opportunities_count"),))
TASKS = Listing("/api/tasks/", ((),), (("tasks", "tasks_count"),), (("slim", "true"),))
CONTACTS = Listing("/api/contacts/", ((),), (("contact_obj_list", "contacts_count"),))
ACCOUNTS = Listing(
    "/api/accounts/",
    (("active_accounts",), ("closed_accounts",)),
    (("open_accounts", "open_accounts_count"), ("close_accounts", "close_accounts_count")),
)
USERS = Listing(
    "/api/users/",
    (("active_users",), ("inactive_users",)),
    (("active_users", "active_users_count"), ("inactive_users", "inactive_users_count")),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list from an offset on; `more` tells whether any block goes on behind them. `at`: the server's date."""

    rows: Sequence[Row]
    more: bool
    at: str
    answer: Answer


class BottleCrmClient:
    """Speaks the API of one organisation. Raises `connector.errors` alone; safe to use from several threads."""

    def __init__(self, url: str, token: str, connection: str = "") -> None:
        self._http = HttpClient(url, token=token, connection=connection, read_seconds=_READ_SECONDS)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Row:
        """Return the JSON object at a path."""
        return _object(self._http.read(path, params=params))

    def send(self, method: str, path: str, body: bytes = b"") -> Row:
        """Change something; return what the CRM says to it."""
        return _object(self._http.write(method, path, body))

    def try_send(self, method: str, path: str, body: bytes) -> Answer:
        """Change something; return the answer, also one that refuses."""
        return self._http.write(method, path, body)

    def page(self, listing: Listing, offset: int, params: Mapping[str, str] | None = None, limit: int = PAGE) -> Page:
        """Return the rows of a list from `offset` on, of all its blocks."""
        asked = {**dict(listing.params), "limit": str(limit), "offset": str(offset), **(params or {})}
        answer = self._http.read(listing.path, params=asked)
        body = _object(answer)
        rows: list[Row] = []
        more = False
        for path, (name, count) in zip(listing.blocks, listing.names, strict=True):
            block = _inner(body, path, answer)
            found = block.get(name)
            if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
                raise answer.unreadable(f"{name} is not a list of objects")
            rows += found
            total = block.get(count)
            if not isinstance(total, int):
                raise answer.unreadable(f"{count} is not a number")
            # Its own "offset" is 0 after an empty page, which would begin again: an empty page ends a block here.
            more = more or (bool(found) and offset + len(found) < total)
        return Page(rows, more, answer.headers.get("Date", ""), answer)

    def activities(self, entity: str, limit: int) -> tuple[Sequence[Row], str]:
        """Return the newest entries of the activity log for a kind of record, newest first, and the server's date."""
        answer = self._http.read("/api/activities/", params={"entity_type": entity, "limit": str(limit)})
        found = _object(answer).get("activities")
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise answer.unreadable("activities is not a list of objects")
        return found, answer.headers.get("Date", "")

    def rows(self, listing: Listing, params: Mapping[str, str] | None = None) -> Iterator[Row]:
        """Yield every row of a list once.

        Raises:
            UnexpectedAnswer: the CRM repeats a page, or never ends.
        """
        seen: set[str] = set()
        for number in range(_MOST_PAGES):
            page = self.page(listing, number * PAGE, params)
            fresh = [row for row in page.rows if str(row.get("id")) not in seen]
            if page.rows and not fresh:
                raise page.answer.unreadable("the page brings nothing new")
            seen.update(str(row.get("id")) for row in fresh)
            yield from fresh
            if not page.more:
                return
        raise page.answer.unreadable("the pages do not end")


def dumps(body: Mapping[str, object]) -> bytes:
    """Return a body as JSON.

    Raises:
        InvalidRecord: a text cannot be written as UTF-8.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        pass
    raise InvalidRecord(
        "a text cannot be written as UTF-8", fields=[name for name in body if not _writable(body[name])]
    )


def _writable(value: object) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _object(answer: Answer) -> Row:
    if not answer.ok:
        raise answer_error(answer)
    if not answer.body:
        return {}
    body = answer.json()
    if not isinstance(body, dict):
        raise answer.unreadable("the answer is not an object")
    return body


def _inner(body: Row, path: Sequence[str], answer: Answer) -> Row:
    for name in path:
        body = body.get(name)  # type: ignore[assignment] # checked in the next line
        if not isinstance(body, dict):
            raise answer.unreadable(f"{name} is not an object")
    return body
