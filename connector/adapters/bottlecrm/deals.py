"""Deals: their stages are the organisation's own, told apart by kind."""

from datetime import datetime
from zoneinfo import ZoneInfo

from connector.adapters.bottlecrm.client import DEALS, BottleCrmClient, Row, dumps
from connector.adapters.bottlecrm.errors import answer_error
from connector.adapters.bottlecrm.metadata import Metadata
from connector.adapters.bottlecrm.records import KEY, Body
from connector.errors import AmbiguousKey, InvalidRecord, OutcomeUnknown
from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, WriteResult

_OPEN = "open"


def write(client: BottleCrmClient, metadata: Metadata, command: Upsert, body: Body) -> WriteResult:
    """Create or update a deal.

    Raises:
        ConnectorError: it was not written, or nobody knows.
    """
    record = command.record or by_key(client, command.key)
    if "stage_kind" in body:
        body = _staged(client, metadata, body, record)
    if record is not None:
        client.send("PATCH", f"{DEALS.path}{record.id}/", dumps(body))
        return WriteResult(record, Outcome.UPDATED)
    custom = {**body.get("custom_fields", {}), KEY: command.key}
    answer = client.try_send("POST", DEALS.path, dumps({**body, "custom_fields": custom}))
    if not answer.ok:
        raise answer_error(answer)
    made = answer.json()
    id_ = made.get("id") if isinstance(made, dict) else None
    if not isinstance(id_, str):
        raise OutcomeUnknown(f"{answer.call}: the answer names no record", status=answer.status)
    return WriteResult(RecordRef(ObjectType.DEAL, id_), Outcome.CREATED)


def by_key(client: BottleCrmClient, key: str) -> RecordRef | None:
    """Return the deal that carries our key.

    Raises:
        AmbiguousKey: several deals carry it.
    """
    rows = client.page(DEALS, 0, {f"cf_{KEY}": key}, limit=5).rows
    if len(rows) > 1:
        raise AmbiguousKey(f"deal {key}: several records carry this key: {', '.join(str(row['id']) for row in rows)}")
    return RecordRef(ObjectType.DEAL, str(rows[0]["id"])) if rows else None


def detail(client: BottleCrmClient, id_: str) -> Row:
    """Return one deal."""
    found = client.get(f"{DEALS.path}{id_}/").get("opportunity_obj")
    return found if isinstance(found, dict) else {}


def _staged(client: BottleCrmClient, metadata: Metadata, body: Body, record: RecordRef | None) -> Body:
    """Name the first stage of the wanted kind in the deal's own pipeline; one that is closed has a day."""
    kind, rest = body["stage_kind"], {name: value for name, value in body.items() if name != "stage_kind"}
    before = detail(client, record.id) if record is not None else {}
    if before.get("stage_kind") == kind:
        return rest
    stages = metadata.stages.get()
    pipeline = str(before.get("pipeline") or next((stage.pipeline for stage in stages if stage.default), ""))
    codes = [stage.code for stage in stages if stage.pipeline == pipeline and stage.kind == kind]
    if not codes:
        raise InvalidRecord(f"the deal's pipeline has no stage of the kind {kind}", fields=("stage",))
    if kind != _OPEN and not rest.get("closed_on"):
        rest["closed_on"] = _today(metadata.zone.get())
    return {**rest, "stage": codes[0]}


def _today(zone: ZoneInfo) -> str:
    return datetime.now(zone).date().isoformat()
