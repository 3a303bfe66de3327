"""Tasks: BottleCRM makes one and does not say which, so new ones are looked up by what they carry of ours."""

from collections.abc import Mapping, Sequence

from connector.adapters.bottlecrm.client import TASKS, BottleCrmClient, Row, dumps
from connector.adapters.bottlecrm.errors import answer_error
from connector.adapters.bottlecrm.records import BATCH, KEY, Body
from connector.errors import AmbiguousKey, ConnectorError, OutcomeUnknown
from connector.model.crm import ObjectType, Outcome, RecordRef, WriteResult

Answer = WriteResult | ConnectorError
#: Stands for the id of a task that was just made.
_UNNAMED = ""


def write(client: BottleCrmClient, key: str, record: RecordRef | None, body: Body, batch: str) -> WriteResult:
    """Create or update a task. One that was created has no id yet: `named` finds it.

    Raises:
        ConnectorError: it was not written, or nobody knows.
    """
    if record is not None:
        client.send("PATCH", f"{TASKS.path}{record.id}/", dumps(body))
        return WriteResult(record, Outcome.UPDATED)
    custom = {**body.get("custom_fields", {}), KEY: key, BATCH: batch}
    answer = client.try_send("POST", TASKS.path, dumps({"priority": "Medium", **body, "custom_fields": custom}))
    if not answer.ok:
        raise answer_error(answer)
    return WriteResult(RecordRef(ObjectType.TASK, _UNNAMED), Outcome.CREATED)


def is_unnamed(answer: Answer) -> bool:
    """Tell whether an answer is of a task that was made and has no id yet."""
    return isinstance(answer, WriteResult) and answer.ref.id == _UNNAMED


def named(client: BottleCrmClient, bodies: Mapping[str, Body], batch: str) -> dict[str, Answer]:
    """Return the new task of each key, from one look at all that were made in this call."""
    rows = list(client.rows(TASKS, {f"cf_{BATCH}": batch}))
    found: dict[str, Answer] = {}
    for key, body in bodies.items():
        same = [row for row in rows if _face(row) == _face(body)]
        if len(same) == 1:
            found[key] = WriteResult(RecordRef(ObjectType.TASK, str(same[0]["id"])), Outcome.CREATED)
        else:
            # Two of the same face, as of one lead: by itself.
            found[key] = _alone(client, key)
    return found


def by_key(client: BottleCrmClient, key: str) -> RecordRef | None:
    """Return the task that carries our key.

    Raises:
        AmbiguousKey: several tasks carry it.
    """
    rows = client.page(TASKS, 0, {f"cf_{KEY}": key}, limit=5).rows
    if len(rows) > 1:
        raise AmbiguousKey(f"task {key}: several records carry this key: {', '.join(str(row['id']) for row in rows)}")
    return RecordRef(ObjectType.TASK, str(rows[0]["id"])) if rows else None


def _alone(client: BottleCrmClient, key: str) -> Answer:
    try:
        ref = by_key(client, key)
    except ConnectorError as err:
        return err
    if ref is None:
        return OutcomeUnknown(f"task {key}: made, and not found again")
    return WriteResult(ref, Outcome.CREATED)


def _face(row: Row) -> Sequence[object]:
    """Return what a list shows of a task that tells it from others."""
    return str(row.get("title") or "").strip(), _id(row.get("lead")), _id(row.get("opportunity")), row.get("due_date")


def _id(link: object) -> str:
    return str(link.get("id") if isinstance(link, dict) else link or "")
