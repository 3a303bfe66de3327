"""What each path does."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hubspot_server.account import TYPES, Account, Property, Stored, iso
from hubspot_server.refusals import Refused, missing_scopes, not_found

if TYPE_CHECKING:
    from hubspot_server.server import HubSpotServer

__all__ = ["missing_scopes", "route"]

V = "2026-03"
BATCH = 100
Query = Mapping[str, list[str]]
Answer = tuple[int, Any]
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "EQ": lambda held, value: held == value,
    "GT": lambda held, value: held > value,
    "GTE": lambda held, value: held >= value,
    "LT": lambda held, value: held < value,
    "LTE": lambda held, value: held <= value,
}


def route(server: "HubSpotServer", method: str, path: str, query: Query, body: Any) -> Answer:
    for wanted, pattern, function in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and wanted == method:
            answer: Answer = function(server, query, body, *found.groups())
            return answer
    raise Refused(404, "OBJECT_NOT_FOUND", f"no route for {method} {path}")


def _account(server: "HubSpotServer", _query: Query, _body: Any) -> Answer:
    return 200, {
        "portalId": server.account.portal,
        "accountType": "STANDARD",
        "timeZone": "Europe/Berlin",
        "companyCurrency": "EUR",
        "additionalCurrencies": [],
        "utcOffset": "+01:00",
        "utcOffsetMilliseconds": 3600000,
        "uiDomain": "app-eu1.hubspot.com",
        "dataHostingLocation": "eu1",
    }


# Records.


def shown(stored: Stored, properties: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    held = stored.properties
    asked = {name: held.get(name) for name in properties} if properties else dict(held)
    wanted = {name: value for name, value in asked.items() if value is not None or Account.shows_null}
    base = {name: held[name] for name in ("hs_object_id",) if name in held}
    answer = {
        "id": stored.id,
        "properties": {**base, **wanted},
        "createdAt": iso(stored.created),
        "updatedAt": iso(stored.updated),
        "archived": stored.archived_at is not None,
        **more,
    }
    if stored.archived_at is not None:
        answer["archivedAt"] = iso(stored.archived_at)
    return answer


def _split(query: Query, name: str) -> list[str]:
    return [each for value in query.get(name, []) for each in value.split(",")]


def _get(server: "HubSpotServer", query: Query, _body: Any, object_: str, id_: str) -> Answer:
    account = server.account
    stored = account.get(object_, id_, query.get("idProperty", [""])[0])
    links = {}
    for to in _split(query, "associations"):
        account.known(to)
        others = account.linked(object_, to, stored.id)
        if others:
            type_ = f"{object_}_to_{to}".removesuffix("s")
            links[to] = {"results": [{"id": other, "type": type_} for other in others]}
    return 200, shown(stored, _split(query, "properties"), **({"associations": links} if links else {}))


def _patch(server: "HubSpotServer", query: Query, body: Any, object_: str, id_: str) -> Answer:
    account = server.account
    stored = account.get(object_, id_, query.get("idProperty", [""])[0])
    return 200, shown(account.update(object_, stored.id, body["properties"]))


def _list(server: "HubSpotServer", query: Query, _body: Any, object_: str) -> Answer:
    from hubspot_server.server import page_of  # noqa: PLC0415 - the server imports its answers

    server.account.known(object_)
    archived = query.get("archived", ["false"])[0] == "true"
    rows = [s for s in server.account.objects[object_].values() if (s.archived_at is not None) == archived]
    some, paging = page_of(sorted(rows, key=lambda s: int(s.id)), query, 100)
    return 200, {"results": [shown(each, _split(query, "properties")) for each in some], **paging}


def _batch(server: "HubSpotServer", body: Any, do: Callable[[Mapping[str, Any]], Any], *, status: int = 200) -> Answer:
    inputs: Sequence[Mapping[str, Any]] = body["inputs"]
    if not 0 < len(inputs) <= BATCH:
        raise Refused(400, "VALIDATION_ERROR", "The maximum number of inputs supported in a batch request is 100")
    ids = [str(each["id"]).casefold() for each in inputs if "id" in each]
    if len(set(ids)) != len(ids):
        raise Refused(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
    if server.whole_batches:
        _rehearse(server.account, inputs, do)
    results, errors = [], []
    for each in inputs:
        try:
            trace = {"objectWriteTraceId": each["objectWriteTraceId"]} if "objectWriteTraceId" in each else {}
            results.append({**do(each), **trace})
        except Refused as err:
            named = {"objectWriteTraceId": [each["objectWriteTraceId"]]} if "objectWriteTraceId" in each else {}
            errors.append(err.item(**named, **({"ids": [str(each["id"])]} if "id" in each else {})))
    at = iso(server.account.now())
    answer = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
    if errors:
        return 207, {**answer, "numErrors": len(errors), "errors": errors}
    return status, answer


def _rehearse(account: Account, inputs: Sequence[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], Any]) -> None:
    """Refuse the whole batch if any item would be refused; nothing stays of the attempt."""
    held = {name: dict(rows) for name, rows in account.objects.items()}
    copies = {id(s): (dict(s.properties), s.updated) for rows in held.values() for s in rows.values()}
    last = account._last
    try:
        for each in inputs:
            do(each)
    finally:
        account.objects.clear()
        account.objects.update(held)
        for rows in held.values():
            for stored in rows.values():
                stored.properties, stored.updated = copies[id(stored)]
        account._last = last


def _batch_create(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    account = server.account
    account.known(object_)
    if not all("associations" in each for each in body["inputs"]):
        raise Refused(400, "VALIDATION_ERROR", "Invalid input JSON: associations missing")

    def do(each: Mapping[str, Any]) -> Any:
        stored = account.create(object_, each["properties"], each["associations"])
        return shown(stored)

    return _batch(server, body, do, status=201)


def _batch_update(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    account = server.account
    account.known(object_)
    return _batch(server, body, lambda each: shown(account.update(object_, each["id"], each["properties"])))


def _batch_upsert(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    account = server.account
    account.known(object_)

    def do(each: Mapping[str, Any]) -> Any:
        stored, new = account.upsert(object_, each["idProperty"], each["id"], each["properties"])
        return shown(stored, new=new)

    return _batch(server, body, do)


def _batch_read(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    account = server.account
    by = body.get("idProperty", "")
    return _batch(server, body, lambda each: shown(account.get(object_, str(each["id"]), by), body["properties"]))


def _batch_archive(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    for each in body["inputs"]:
        server.account.archive(object_, str(each["id"]))
    return 204, None


def _gdpr(server: "HubSpotServer", _query: Query, body: Any) -> Answer:
    server.account.purge("contacts", str(body["objectId"]))
    return 204, None


def _search(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    account = server.account
    account.known(object_)
    groups = body.get("filterGroups", [])
    filters = [each for group in groups for each in group["filters"]]
    if len(groups) > 5 or any(len(group["filters"]) > 6 for group in groups) or len(filters) > 18:
        raise Refused(400, "VALIDATION_ERROR", "too many filters")
    if body.get("limit", 10) > 200:
        raise Refused(400, "VALIDATION_ERROR", "limit must be at most 200")
    found = [
        stored for stored, held in account.searchable(object_) if any(_fits(held, group["filters"]) for group in groups)
    ]
    for sort in reversed(body.get("sorts", [])[:1]):
        found.sort(
            key=lambda stored: _comparable(sort["propertyName"], (stored.indexed or {}).get(sort["propertyName"], ""))
        )
    start, limit = int(body.get("after") or 0), body.get("limit", 10)
    if start + limit > server.most_results:
        raise Refused(400, "VALIDATION_ERROR", "paging stops at 10,000 results")
    more = {"paging": {"next": {"after": str(start + limit)}}} if start + limit < len(found) else {}
    results = []
    for stored in found[start : start + limit]:
        seen = Stored(stored.id, dict(stored.indexed or {}), stored.created, stored.updated)
        results.append(shown(seen, body.get("properties", [])))
    return 200, {"total": len(found), "results": results, **more}


def _fits(held: Mapping[str, str], filters: Sequence[Mapping[str, Any]]) -> bool:
    for each in filters:
        name, value = each["propertyName"], held.get(each["propertyName"], "")
        if each["operator"] == "IN":
            if any(wanted != wanted.lower() for wanted in each["values"]):
                return False
            if value.lower() not in each["values"]:
                return False
        elif each["operator"] == "HAS_PROPERTY":
            if not value:
                return False
        elif not value or not _OPERATORS[each["operator"]](
            *(_comparable(name, text) for text in (value, str(each["value"])))
        ):
            return False
    return True


def _comparable(name: str, text: str) -> Any:
    from hubspot_server.account import _typed  # noqa: PLC0415 - one way to read a time

    if name == "hs_object_id":
        return int(text or 0)
    return _typed(name, "datetime", text) if text and name.endswith("lastmodifieddate") else text


# Associations.


def _linked(server: "HubSpotServer", _query: Query, body: Any, from_: str, to: str) -> Answer:
    server.account.known(from_)
    server.account.known(to)
    results = []
    for each in body["inputs"]:
        others = server.account.linked(from_, to, str(each["id"]))
        type_ = {"category": "HUBSPOT_DEFINED", "typeId": TYPES.get((from_, to), 1), "label": None}
        linked = [{"toObjectId": other, "associationTypes": [type_]} for other in others]
        if linked:
            results.append({"from": {"id": str(each["id"])}, "to": linked})
    at = iso(server.account.now())
    return 200, {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}


def _link(server: "HubSpotServer", _query: Query, body: Any, from_: str, to: str) -> Answer:
    results = []
    for each in body["inputs"]:
        one, other = str(each["from"]["id"]), str(each["to"]["id"])
        server.account.get(from_, one)
        server.account.get(to, other)
        server.account.link(from_, one, to, other)
        spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TYPES.get((from_, to), 1)}
        results.append({"from": {"id": one}, "to": {"id": other}, "associationSpec": spec})
    at = iso(server.account.now())
    return 200, {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}


# Owners, pipelines, properties.


def _owners(server: "HubSpotServer", query: Query, _body: Any) -> Answer:
    from hubspot_server.server import page_of  # noqa: PLC0415 - the server imports its answers

    archived = query.get("archived", ["false"])[0] == "true"
    email = query.get("email", [""])[0]
    rows = [o for o in server.account.owners if o["archived"] == archived and email in ("", o["email"])]
    some, paging = page_of(rows, query, 500)
    return 200, {"results": list(some), **paging}


def _owner(server: "HubSpotServer", query: Query, _body: Any, id_: str) -> Answer:
    archived = query.get("archived", ["false"])[0] == "true"
    for owner in server.account.owners:
        if owner["id"] == id_ and owner["archived"] == archived:
            return 200, owner
    raise not_found("owner")


def _pipelines(server: "HubSpotServer", _query: Query, _body: Any, object_: str) -> Answer:
    server.account.known(object_)
    return 200, {"results": server.account.pipelines.get(object_, [])}


def _property(definition: Property) -> dict[str, Any]:
    options = [
        {"label": each, "value": each, "displayOrder": place, "hidden": False}
        for place, each in enumerate(definition.options)
    ]
    return {
        "name": definition.name,
        "label": definition.name,
        "type": definition.type,
        "fieldType": "select" if definition.options else "text",
        "description": "",
        "groupName": "information",
        "options": options,
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "archived": definition.archived,
        "hasUniqueValue": definition.unique,
        "hidden": False,
        "formField": False,
        "modificationMetadata": {
            "archivable": definition.ours,
            "readOnlyDefinition": not definition.ours,
            "readOnlyValue": False,
        },
        **definition.shown,
    }


def _properties(server: "HubSpotServer", query: Query, _body: Any, object_: str) -> Answer:
    server.account.known(object_)
    archived = query.get("archived", ["false"])[0] == "true"
    return 200, {
        "results": [_property(d) for d in server.account.definitions[object_].values() if d.archived == archived]
    }


def _create_property(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    account = server.account
    account.known(object_)
    if object_ in account.fixed:
        raise Refused(400, "VALIDATION_ERROR", "properties of this object are fixed")
    before = account.definitions[object_].get(body["name"])
    if before is not None and not before.archived:
        raise Refused(409, "OBJECT_ALREADY_EXISTS", f"A property named {body['name']} already exists.")
    if before is not None:
        # Restored as it was, whatever was asked for.
        before.archived = False
        return 201, _property(before)
    if body["groupName"] not in account.groups[object_]:
        raise Refused(400, "VALIDATION_ERROR", f"Property group {body['groupName']} does not exist")
    options = tuple(option["value"] for option in body.get("options", []))
    names = ("label", "type", "fieldType", "groupName", "description", "options")
    definition = Property(
        body["name"],
        body["type"],
        options,
        unique=body.get("hasUniqueValue", False),
        ours=True,
        shown={name: body[name] for name in names if name in body},
    )
    account.definitions[object_][body["name"]] = definition
    return 201, _property(definition)


def _change_property(server: "HubSpotServer", _query: Query, body: Any, object_: str, name: str) -> Answer:
    definition = server.account.definitions[object_].get(name)
    if definition is None or definition.archived:
        raise not_found("property")
    # hasUniqueValue is passed over: it is final.
    known = {each: body[each] for each in ("label", "type", "fieldType", "groupName", "options") if each in body}
    definition.shown |= known
    definition.type = body.get("type", definition.type)
    if "options" in body:
        definition.options = tuple(option["value"] for option in body["options"])
    return 200, _property(definition)


def _archive_property(server: "HubSpotServer", _query: Query, _body: Any, object_: str, name: str) -> Answer:
    definition = server.account.definitions[object_].get(name)
    if definition is None or definition.archived:
        raise not_found("property")
    definition.archived = True
    for stored in server.account.objects[object_].values():
        stored.properties.pop(name, None)
    return 204, None


def _groups(server: "HubSpotServer", _query: Query, _body: Any, object_: str) -> Answer:
    server.account.known(object_)
    return 200, {"results": list(server.account.groups[object_].values())}


def _create_group(server: "HubSpotServer", _query: Query, body: Any, object_: str) -> Answer:
    if object_ in server.account.fixed:
        raise Refused(400, "VALIDATION_ERROR", "groups of this object are fixed")
    groups = server.account.groups[object_]
    if body["name"] in groups:
        raise Refused(409, "OBJECT_ALREADY_EXISTS", f"A group named {body['name']} already exists.")
    groups[body["name"]] = {"name": body["name"], "label": body["label"], "displayOrder": -1, "archived": False}
    return 201, groups[body["name"]]


def _archive_group(server: "HubSpotServer", _query: Query, _body: Any, object_: str, name: str) -> Answer:
    if server.account.groups[object_].pop(name, None) is None:
        raise not_found("group")
    return 204, None


_O, _I = r"([a-z_]+)", r"([^/]+)"
_ROUTES: Sequence[tuple[str, str, Callable[..., Answer]]] = (
    ("GET", rf"/account-info/{V}/details", _account),
    ("POST", rf"/crm/objects/{V}/contacts/gdpr-delete", _gdpr),
    ("POST", rf"/crm/objects/{V}/{_O}/batch/create", _batch_create),
    ("POST", rf"/crm/objects/{V}/{_O}/batch/update", _batch_update),
    ("POST", rf"/crm/objects/{V}/{_O}/batch/upsert", _batch_upsert),
    ("POST", rf"/crm/objects/{V}/{_O}/batch/read", _batch_read),
    ("POST", rf"/crm/objects/{V}/{_O}/batch/archive", _batch_archive),
    ("POST", rf"/crm/objects/{V}/{_O}/search", _search),
    ("GET", rf"/crm/objects/{V}/{_O}/{_I}", _get),
    ("PATCH", rf"/crm/objects/{V}/{_O}/{_I}", _patch),
    ("GET", rf"/crm/objects/{V}/{_O}", _list),
    ("POST", rf"/crm/associations/{V}/{_O}/{_O}/batch/read", _linked),
    ("POST", rf"/crm/associations/{V}/{_O}/{_O}/batch/associate/default", _link),
    ("GET", rf"/crm/owners/{V}/{_I}", _owner),
    ("GET", rf"/crm/owners/{V}", _owners),
    ("GET", rf"/crm/pipelines/{V}/{_O}", _pipelines),
    ("POST", rf"/crm/properties/{V}/{_O}/groups", _create_group),
    ("GET", rf"/crm/properties/{V}/{_O}/groups", _groups),
    ("DELETE", rf"/crm/properties/{V}/{_O}/groups/{_I}", _archive_group),
    ("GET", rf"/crm/properties/{V}/{_O}", _properties),
    ("POST", rf"/crm/properties/{V}/{_O}", _create_property),
    ("PATCH", rf"/crm/properties/{V}/{_O}/{_I}", _change_property),
    ("DELETE", rf"/crm/properties/{V}/{_O}/{_I}", _archive_property),
)
