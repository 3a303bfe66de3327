"""A local mirror of the CRMs' records, so that matching needs no CRM call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """One CRM record in canonical fields; `owner` is a user id of that CRM."""

    connection: str
    object_type: str
    record_id: str
    email: str
    phone: str
    domain: str
    owner: str
    open: bool
    fields: Mapping[str, Any]
    changed_at: datetime
    deleted: bool = False


_COLUMNS = "connection, object_type, record_id, email, phone, domain, owner, open, fields, changed_at, deleted"


_PUT = f"""
INSERT INTO mirror_record ({_COLUMNS}) SELECT {_COLUMNS} FROM jsonb_to_recordset(%s::jsonb) AS n (
    connection text, object_type text, record_id text, email text, phone text, domain text, owner text,
    open boolean, fields jsonb, changed_at timestamptz, deleted boolean)
ORDER BY record_id, object_type
ON CONFLICT (record_id, object_type, connection) DO UPDATE SET email = excluded.email,
    phone = excluded.phone, domain = excluded.domain, owner = excluded.owner, open = excluded.open,
    fields = excluded.fields, changed_at = excluded.changed_at, deleted = excluded.deleted
WHERE mirror_record.changed_at <= excluded.changed_at
"""  # noqa: S608 (constants only)

_KNOWN = f"""
SELECT {", ".join(f"m.{column}" for column in _COLUMNS.split(", "))}
FROM unnest(%s::text[], %s::text[]) AS n (t, r)
JOIN mirror_record m ON m.record_id = n.r AND m.object_type = n.t AND m.connection = %s
ORDER BY m.record_id, m.object_type FOR UPDATE OF m
"""  # noqa: S608 (constants only)

# Each branch by an index of its own; somebody found twice is the same row.
_CANDIDATES = f"""
SELECT {_COLUMNS} FROM mirror_record
WHERE email = ANY(%s) AND email <> '' AND object_type IN ('contact', 'lead') AND NOT deleted
UNION ALL SELECT {_COLUMNS} FROM mirror_record
WHERE phone = ANY(%s) AND phone <> '' AND object_type IN ('contact', 'lead') AND NOT deleted
UNION ALL SELECT {_COLUMNS} FROM mirror_record
WHERE domain = ANY(%s) AND domain <> '' AND object_type = 'account' AND NOT deleted
"""  # noqa: S608 (constants only)


def put(tx: Transaction, rows: Sequence[MirrorRow]) -> None:
    """Store the newest state of records, each at most once.

    An older state than the stored one changes nothing (deliveries may come out of order).
    """
    if rows:
        tx.run_rows(_PUT, rows)


def drop(tx: Transaction, connection: str, object_type: str, record_id: str) -> str:
    """Note that a record is gone, if it is mirrored; return whose it was, "" if it is not."""
    row = tx.one(
        "UPDATE mirror_record SET deleted = true WHERE record_id = %s AND object_type = %s AND connection = %s "
        "RETURNING owner",
        record_id,
        object_type,
        connection,
    )
    return str(row[0]) if row else ""


def forget(tx: Transaction, connection: str, object_type: str, records: Sequence[str]) -> list[str]:
    """Take records out of the mirror, which are ours from now on; return whose they were."""
    rows = tx.all(
        "DELETE FROM mirror_record WHERE record_id = ANY(%s) AND object_type = %s AND connection = %s RETURNING owner",
        list(records),
        object_type,
        connection,
    )
    return [row[0] for row in rows]


def known(tx: Transaction, connection: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], MirrorRow]:
    """Lock and return the mirrored records among the given (object type, record id)."""
    if not refs:
        return {}
    types, ids = (list(column) for column in zip(*refs, strict=True))
    return {(row[1], row[2]): MirrorRow(*row) for row in tx.all(_KNOWN, types, ids, connection)}


def get(tx: Transaction, connection: str, object_type: str, record_id: str) -> MirrorRow | None:
    """Return a mirrored record."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM mirror_record "  # noqa: S608 (constants only)
        "WHERE connection = %s AND object_type = %s AND record_id = %s",
        connection,
        object_type,
        record_id,
    )
    return MirrorRow(*row) if row else None


def candidates(
    tx: Transaction, emails: Sequence[str], phones: Sequence[str], domains: Sequence[str]
) -> list[MirrorRow]:
    """Return contacts by e-mail or phone and accounts by domain; empty keys find nothing (R20)."""
    if not (emails or phones or domains):
        return []
    rows = tx.all(_CANDIDATES, list(emails), list(phones), list(domains))
    return list({row[:3]: MirrorRow(*row) for row in rows}.values())
