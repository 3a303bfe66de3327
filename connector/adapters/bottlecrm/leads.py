"""Leads: made once, found again by our key or by the e-mail address, which BottleCRM keeps unique."""

from collections.abc import Sequence

from connector.adapters.bottlecrm.client import LEADS, BottleCrmClient, Row, dumps
from connector.adapters.bottlecrm.errors import answer_error, refused_fields
from connector.adapters.bottlecrm.records import KEY, Body
from connector.adapters.http import Answer
from connector.errors import AmbiguousKey, OutcomeUnknown
from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, WriteResult

_CONVERTED = "converted"


def write(client: BottleCrmClient, command: Upsert, body: Body) -> WriteResult:
    """Create or update a lead.

    LINKED: another lead has this person's address. MOVED: the lead was converted, and its status stays.

    Raises:
        ConnectorError: it was not written, or nobody knows.
    """
    if command.record is not None:
        return _update(client, command.record, body)
    if not body.get("email"):
        # Without an address BottleCRM would make a second one.
        known = by_key(client, command.key)
        if known:
            return _update(client, known, body)
    return _create(client, command, body)


def by_key(client: BottleCrmClient, key: str) -> RecordRef | None:
    """Return the lead that carries our key; one that was converted is in no list.

    Raises:
        AmbiguousKey: several leads carry it.
    """
    rows = client.page(LEADS, 0, {f"cf_{KEY}": key}, limit=5).rows
    if len(rows) > 1:
        raise AmbiguousKey(f"lead {key}: several records carry this key: {', '.join(str(row['id']) for row in rows)}")
    return RecordRef(ObjectType.LEAD, str(rows[0]["id"])) if rows else None


def _create(client: BottleCrmClient, command: Upsert, body: Body) -> WriteResult:
    custom = {**body.get("custom_fields", {}), KEY: command.key}
    answer = client.try_send("POST", LEADS.path, dumps({**body, "custom_fields": custom}))
    if answer.ok:
        return WriteResult(RecordRef(ObjectType.LEAD, _id(answer)), Outcome.CREATED)
    if "email" in refused_fields(answer):
        # It says of a taken address and of a bad one only that it refuses it: who has it tells which.
        found = _with_address(client, str(body["email"]))
        if found is not None:
            return _meet(client, command, body, found)
    raise answer_error(answer)


def _meet(client: BottleCrmClient, command: Upsert, body: Body, found: Row) -> WriteResult:
    """Take the lead that has the address: ours, made by an attempt whose answer was lost, or somebody else's."""
    ref = RecordRef(ObjectType.LEAD, str(found["id"]))
    if (found.get("custom_fields") or {}).get(KEY) == command.key:
        return _update(client, ref, body)
    _send(client, ref, _beside(body, found, command.key))
    return WriteResult(ref, Outcome.LINKED)


def _beside(body: Body, found: Row, key: str) -> Body:
    """Return what a lead somebody else made takes from ours: the owner, our own fields, and what it lacks."""
    theirs = found.get("custom_fields") or {}
    custom = dict(body.get("custom_fields", {}))
    if not theirs.get(KEY):
        custom[KEY] = key
    added = {name: value for name, value in body.items() if name != "status" and found.get(name) in (None, "")}
    owner = {"assigned_to": body["assigned_to"]} if "assigned_to" in body else {}
    return {**added, **owner, "custom_fields": custom}


def _update(client: BottleCrmClient, ref: RecordRef, body: Body) -> WriteResult:
    answer = client.try_send("PATCH", f"{LEADS.path}{ref.id}/", dumps(body))
    if answer.ok:
        return WriteResult(ref, Outcome.UPDATED)
    if "status" in refused_fields(answer) and _is_converted(client, ref):
        _send(client, ref, {name: value for name, value in body.items() if name != "status"})
        return WriteResult(ref, Outcome.MOVED)
    raise answer_error(answer)


def _send(client: BottleCrmClient, ref: RecordRef, body: Body) -> None:
    client.send("PATCH", f"{LEADS.path}{ref.id}/", dumps(body))


def _is_converted(client: BottleCrmClient, ref: RecordRef) -> bool:
    return _detail(client, ref.id).get("status") == _CONVERTED


def _with_address(client: BottleCrmClient, email: str) -> Row | None:
    """Return the lead with exactly this address: its filter also finds addresses that contain it."""
    wanted = email.casefold()
    same = (row for row in client.rows(LEADS, {"email": email}) if str(row.get("email") or "").casefold() == wanted)
    return next(same, None) or _converted_with(client, email)


def _converted_with(client: BottleCrmClient, email: str) -> Row | None:
    """Return the lead with this address that no list shows, because it was converted: the search shows it."""
    hits: Sequence[Row] = client.get("/api/search/", {"q": email}).get("results") or ()
    details = (_detail(client, str(hit["id"])) for hit in hits if hit.get("type") == "lead")
    return next((row for row in details if str(row.get("email") or "").casefold() == email.casefold()), None)


def _detail(client: BottleCrmClient, id_: str) -> Row:
    found = client.get(f"{LEADS.path}{id_}/").get("lead_obj")
    return found if isinstance(found, dict) else {}


def _id(answer: Answer) -> str:
    body = answer.json()
    id_ = body.get("id") if isinstance(body, dict) else None
    if not isinstance(id_, str):
        raise OutcomeUnknown(f"{answer.call}: the answer names no record", status=answer.status)
    return id_
