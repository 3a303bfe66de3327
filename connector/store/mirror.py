"""A local mirror of the CRMs' records, so that matching needs no CRM call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

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


def put(tx: Transaction, row: MirrorRow) -> MirrorRow | None:
    """Store a record's newest state; return what was known before, None for a new record.

    An older state than the stored one changes nothing (deliveries may come out of order).
    """
    before = get(tx, row.connection, row.object_type, row.record_id, lock=True)
    tx.run(
        f"INSERT INTO mirror_record ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "  # noqa: S608
        "ON CONFLICT (connection, object_type, record_id) DO UPDATE SET email = excluded.email, "
        "phone = excluded.phone, domain = excluded.domain, owner = excluded.owner, open = excluded.open, "
        "fields = excluded.fields, changed_at = excluded.changed_at, deleted = excluded.deleted "
        "WHERE mirror_record.changed_at <= excluded.changed_at",
        row.connection,
        row.object_type,
        row.record_id,
        row.email,
        row.phone,
        row.domain,
        row.owner,
        row.open,
        Jsonb(dict(row.fields)),
        row.changed_at,
        row.deleted,
    )
    return before


def get(tx: Transaction, connection: str, object_type: str, record_id: str, *, lock: bool = False) -> MirrorRow | None:
    """Return a mirrored record."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM mirror_record "  # noqa: S608 (constants only)
        "WHERE connection = %s AND object_type = %s AND record_id = %s" + (" FOR UPDATE" if lock else ""),
        connection,
        object_type,
        record_id,
    )
    return MirrorRow(*row) if row else None


def candidates(
    tx: Transaction, emails: Sequence[str], phones: Sequence[str], domains: Sequence[str]
) -> list[MirrorRow]:
    """Return contacts by e-mail or phone and accounts by domain; empty keys find nothing (R20)."""
    found: dict[tuple[str, str, str], MirrorRow] = {}
    for column, values, kinds in (
        ("email", emails, ("contact", "lead")),
        ("phone", phones, ("contact", "lead")),
        ("domain", domains, ("account",)),
    ):
        wanted = [value for value in values if value]
        if not wanted:
            continue
        rows = tx.all(
            f"SELECT {_COLUMNS} FROM mirror_record WHERE {column} = ANY(%s) AND {column} <> '' "  # noqa: S608
            "AND object_type = ANY(%s) AND NOT deleted",
            wanted,
            list(kinds),
        )
        found.update({(row[0], row[1], row[2]): MirrorRow(*row) for row in rows})
    return list(found.values())
