"""HubSpot's API as calls: the SDK's generated classes and models over a transport of our own.

The SDK would retry by itself, wait without end, open a pool for each call and speak paths that end in 2027. So each
of its packages gets one held ApiClient, all share one pool without retries, and every call passes `Transport.call`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import hubspot.crm.associations.v4
import hubspot.crm.contacts
import hubspot.crm.objects
import hubspot.crm.owners
import hubspot.crm.pipelines
import hubspot.crm.properties
import hubspot.oauth

from connector.adapters.hubspot.auth import Fresh
from connector.adapters.hubspot.limits import Limits
from connector.adapters.hubspot.transport import Transport
from connector.errors import AuthenticationError, ConnectorError, OutcomeUnknown, RecordNotFound, UnexpectedAnswer

#: Most records of one batch call.
BATCH = 100
SEARCH_PAGE = 200
_PAGE = 100
_MOST_PAGES = 10_000

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as HubSpot shows it; all values are text. `links` holds ids of associated records by object."""

    id: str
    properties: Mapping[str, str | None]
    archived: bool = False
    archived_at: str = ""
    new: bool = False
    trace: str = ""
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch call brought: records, and an error for each item that failed (207)."""

    entries: Sequence[Entry]
    errors: Sequence[Json]


class HubSpotClient:
    """Speaks the API of one account. Raises `connector.errors` alone."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def limits(self) -> Limits:
        """Return what is known of the account's limits."""
        return self._transport.limits

    def revoke(self) -> str:
        """Give the credentials back; return what somebody has to do instead, "" for nothing."""
        return self._transport.revoke()

    # Records.

    def upsert(self, object_: str, key_field: str, inputs: Sequence[Json]) -> Batch:
        """Create or update records by our unique property."""
        asked = [{"idProperty": key_field, **each} for each in inputs]
        return self._applied(self._objects("BatchApi").upsert(object_, {"inputs": asked}))

    def update(self, object_: str, inputs: Sequence[Json]) -> Batch:
        """Update records by their ids."""
        return self._applied(self._objects("BatchApi").update(object_, {"inputs": list(inputs)}))

    def create(self, object_: str, inputs: Sequence[Json]) -> Batch:
        """Create records; `associations` stand in each input."""
        return self._applied(self._objects("BatchApi").create(object_, {"inputs": list(inputs)}))

    def read_many(self, object_: str, ids: Sequence[str], properties: Sequence[str], id_property: str = "") -> Batch:
        """Return the records of these ids, or of these values of a unique property; the missing are left out."""
        asked: dict[str, Any] = {
            "inputs": [{"id": id_} for id_ in ids],
            "properties": list(properties),
            "propertiesWithHistory": [],
        }
        if id_property:
            asked["idProperty"] = id_property
        return self._batch(self._objects("BatchApi").read(object_, asked))

    def read(self, object_: str, id_: str, properties: Sequence[str], links: Sequence[str] = ()) -> Entry:
        """Return one record, with the ids of associated ones."""
        how: dict[str, Any] = {"properties": list(properties), "archived": "false"}
        if links:
            how["associations"] = list(links)
        return _entry(self._objects("BasicApi").get_by_id(object_, id_, **how))

    def archive(self, object_: str, ids: Sequence[str]) -> None:
        """Archive records; those that are gone are passed over."""
        self._objects("BatchApi").archive(object_, {"inputs": [{"id": id_} for id_ in ids]})

    def purge_contact(self, id_: str) -> None:
        """Delete a contact for good with all that hangs on it, as privacy law asks."""
        self._transport.api(hubspot.crm.contacts, "BasicApi").purge({"objectId": id_})

    def page(
        self, object_: str, properties: Sequence[str], after: str, *, archived: bool = False, limit: int = _PAGE
    ) -> tuple[list[Entry], str]:
        """Return one page of all records and where the next begins, "" at the end."""
        how: dict[str, Any] = {"properties": list(properties), "archived": _flag(archived), "limit": limit}
        if after:
            how["after"] = after
        found = self._objects("BasicApi").get_page(object_, **how)
        return [_entry(each) for each in found.results], _after(found, "list", after)

    def search(self, object_: str, request: Json) -> tuple[list[Entry], str]:
        """Return one page of a search and where the next begins. Its index lags behind what was written."""
        found = self._objects("SearchApi").do_search(object_, dict(request))
        return [_entry(each) for each in found.results], _after(found, "search", str(request.get("after") or ""))

    # Associations.

    def linked(self, from_: str, to: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of records associated with each of these; at most a hundred."""
        asked = {"inputs": [{"id": id_} for id_ in ids]}
        found = self._transport.api(hubspot.crm.associations.v4, "BatchApi").get_page(from_, to, asked)
        return {str(each._from.id): [str(other.to_object_id) for other in each.to] for each in found.results}

    def link(self, from_: str, to: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Associate pairs of records by the default type; doing it again changes nothing."""
        asked = {"inputs": [{"from": {"id": one}, "to": {"id": other}} for one, other in pairs]}
        self._transport.api(hubspot.crm.associations.v4, "BatchApi").create_default(from_, to, asked)

    # Owners, pipelines, properties, account.

    def owners(self) -> Iterator[tuple[Json, bool]]:
        """Yield every owner with whether they are archived.

        Raises:
            UnexpectedAnswer: the pages repeat, or do not end.
        """
        api = self._transport.api(hubspot.crm.owners, "OwnersApi")
        for archived in (False, True):
            after, seen = "", set[str]()
            for _ in range(_MOST_PAGES):
                found = api.get_page(limit=_PAGE, archived=_flag(archived), **({"after": after} if after else {}))
                for owner in found.results:
                    yield _plain(owner), archived
                after = _after(found, "owners", after)
                if not after:
                    break
                if after in seen:
                    raise UnexpectedAnswer("owners: HubSpot repeats a page")
                seen.add(after)
            else:
                raise UnexpectedAnswer("owners: the pages do not end")

    def owner(self, id_: str) -> Json:
        """Return one owner."""
        return _plain(self._transport.api(hubspot.crm.owners, "OwnersApi").get_by_id(int(id_)))

    def pipelines(self, object_: str) -> list[Json]:
        """Return the pipelines of an object with their stages."""
        found = self._transport.api(hubspot.crm.pipelines, "PipelinesApi").get_all(object_)
        return [_plain(each) for each in found.results]

    def properties(self, object_: str, *, archived: bool = False) -> list[Json]:
        """Return the definitions of an object's properties."""
        found = self._transport.api(hubspot.crm.properties, "CoreApi").get_all(object_, archived=_flag(archived))
        return [_plain(each) for each in found.results]

    def create_property(self, object_: str, definition: Json) -> None:
        """Make a property; HubSpot restores an archived one of that name without a word."""
        self._transport.api(hubspot.crm.properties, "CoreApi").create(object_, dict(definition))

    def change_property(self, object_: str, name: str, change: Json) -> None:
        """Change a property; a list of options replaces the old one."""
        self._transport.api(hubspot.crm.properties, "CoreApi").update(object_, name, dict(change))

    def archive_property(self, object_: str, name: str) -> None:
        """Archive a property with all its values."""
        self._transport.api(hubspot.crm.properties, "CoreApi").archive(object_, name)

    def groups(self, object_: str) -> list[Json]:
        """Return the groups of an object's properties."""
        found = self._transport.api(hubspot.crm.properties, "GroupsApi").get_all(object_)
        return [_plain(each) for each in found.results]

    def create_group(self, object_: str, name: str, label: str) -> None:
        """Make a group of properties."""
        api = self._transport.api(hubspot.crm.properties, "GroupsApi")
        api.create(object_, {"name": name, "label": label, "displayOrder": -1})

    def archive_group(self, object_: str, name: str) -> None:
        """Archive a group of properties."""
        self._transport.api(hubspot.crm.properties, "GroupsApi").archive(object_, name)

    def account(self) -> Json:
        """Return which account this is. The SDK has no class for it, so its call is written by hand."""
        client = self._transport.api(hubspot.crm.objects, "BasicApi").api_client
        found = client.call_api(
            "/account-info/v3/details", "GET", {}, [], {}, response_types_map={200: "object"}, auth_settings=["oauth2"]
        )
        if not isinstance(found, dict):
            raise UnexpectedAnswer("account: the answer is not an object")
        return found

    def _objects(self, name: str) -> Any:
        return self._transport.api(hubspot.crm.objects, name)

    def _applied(self, answer: Any) -> Batch:
        """Read the answer of a write: what cannot be read may have been applied."""
        try:
            return self._batch(answer)
        except UnexpectedAnswer as err:
            why = str(err)
        raise OutcomeUnknown(f"the answer to a write cannot be read: {why}")

    def _batch(self, answer: Any) -> Batch:
        errors = getattr(answer, "errors", None) or []
        return Batch([_entry(each) for each in answer.results or []], [_plain(each) for each in errors])


def ask_token(origin: str, connection: str, secrets: Mapping[str, str]) -> Callable[[], Fresh]:
    """Return what exchanges a refresh token for an access token; HubSpot does not rotate it."""
    transport = Transport(origin, tokens=None, connection=connection, limits=Limits())

    def ask() -> Fresh:
        found = _granted(transport, secrets)
        if not isinstance(found.access_token, str) or not found.access_token:
            raise UnexpectedAnswer("token: the answer holds none")
        return Fresh(found.access_token, float(found.expires_in or 0))

    return ask


def give_back(origin: str, connection: str, secrets: Mapping[str, str]) -> Callable[[], None]:
    """Return what revokes a refresh token; the SDK knows the call in no version that lasts.

    https://developers.hubspot.com/docs/api-reference/latest/authentication/oauth-tokens/revoke-token
    """
    transport = Transport(origin, tokens=None, connection=connection, limits=Limits())
    form = [(name, secrets[name]) for name in ("client_id", "client_secret")]
    form += [("token", secrets["refresh_token"]), ("token_type_hint", "refresh_token")]

    def revoke() -> None:
        client = transport.api(hubspot.oauth, "TokensApi").api_client
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            path, how = "/oauth/v1/token/revoke", dict[str, Any](response_types_map={}, auth_settings=[])
            client.call_api(path, "POST", {}, [], headers, post_params=form, **how)
        except RecordNotFound:
            return

    return revoke


def _granted(transport: Transport, secrets: Mapping[str, str]) -> Any:
    refused: ConnectorError
    try:
        return transport.api(hubspot.oauth, "TokensApi").create(
            grant_type="refresh_token",
            refresh_token=secrets["refresh_token"],
            client_id=secrets["client_id"],
            client_secret=secrets["client_secret"],
        )
    except ConnectorError as err:
        if err.status is None or err.status not in (400, 401, 403, 404):
            raise
        refused = AuthenticationError(
            "HubSpot refuses the refresh token: install the app again and enter the new one", status=err.status
        )
        refused.__cause__ = err.__cause__
    raise refused


def _entry(model: Any) -> Entry:
    links = getattr(model, "associations", None) or {}
    if not isinstance(model.id, str) or not model.id or not isinstance(model.properties, dict):
        raise UnexpectedAnswer("a record without id or properties")
    return Entry(
        model.id,
        model.properties,
        archived=model.archived is True,
        archived_at=model.archived_at.isoformat() if model.archived_at else "",
        new=getattr(model, "new", None) is True,
        trace=model.object_write_trace_id or "" if hasattr(model, "object_write_trace_id") else "",
        links={name: [str(each.id) for each in found.results or []] for name, found in links.items()},
    )


def _after(found: Any, what: str, before: str) -> str:
    following = getattr(getattr(found, "paging", None), "next", None)
    after = str(getattr(following, "after", None) or "")
    if after and after == before:
        raise UnexpectedAnswer(f"{what}: HubSpot repeats a page")
    return after


class _Serialiser:
    """What the SDK's own serialiser asks of its client, without a pool."""

    PRIMITIVE_TYPES = hubspot.crm.objects.ApiClient.PRIMITIVE_TYPES
    sanitize_for_serialization = hubspot.crm.objects.ApiClient.sanitize_for_serialization


_SERIALISER = _Serialiser()


def _plain(model: Any) -> Json:
    """Return a model as the JSON it came from."""
    return cast("Json", _SERIALISER.sanitize_for_serialization(model))


def _flag(value: bool) -> str:
    """Write a truth value as HubSpot reads it in an address; the SDK would write Python's."""
    return "true" if value else "false"
