"""The second fetch: vendors whose hooks only name a lead keep its answers on their own server (requirement I9)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connector.adapters.http import Answer, HttpClient
from connector.errors import ConnectorError


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to fetch: the name it is kept under, and its path with query at the vendor."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Api:
    """A vendor's server. `refusal` reads an answer that is no document: it returns the error, None when it is one."""

    origin: str
    refusal: Callable[[Answer], ConnectorError | None]
    headers: Mapping[str, str] = field(default_factory=dict)


class Fetcher:
    """Reads documents of one vendor with one access token. Safe to use from several threads."""

    def __init__(self, api: Api, token: str, *, origin: str = "") -> None:
        self._api = api
        self._client = HttpClient(origin or api.origin, token=token, headers=api.headers)

    def fetch(self, document: Document) -> str:
        """Return a document as text.

        Raises:
            Unavailable, RateLimited, AuthenticationError: as `HttpClient.read`, and as the vendor says it.
            PermanentError: it is gone, may not be read, or the answer is none.
        """
        answer = self._client.read(document.path)
        error = self._api.refusal(answer)
        if error is not None:
            raise error
        if not isinstance(answer.json(), dict):
            raise answer.unreadable("the answer is not a JSON object")
        return answer.body.decode()
