"""Writes that are only shown, as their connection is observed; they go out when a person asks, never by themselves.

A later write to a record that was never made, because making it was only shown, is only shown too.
"""

from connector.store.database import Transaction

#: What nobody has begun to send, and nobody asked for by name as an erasure is.
_FREE = "state = 'pending' AND NOT unknown AND leased_until IS NULL AND purpose <> 'erase'"

_SHELVE_VERSION = f"""
UPDATE command SET state = 'observed' WHERE {_FREE} AND connection IN (
    SELECT c.key FROM configuration p, jsonb_each(convert_from(p.document, 'UTF8')::jsonb -> 'connections') c
    WHERE p.hash = %s AND c.value ->> 'mode' = 'observe')
"""  # noqa: S608 (constants only)

#: Tells a command `c` whose record, or the one it links to, was only shown: one that is bound is there all the same.
NEVER_MADE = """
EXISTS (SELECT FROM command o WHERE o.key IN (c.key, c.after_key) AND o.connection = c.connection
    AND o.state = 'observed' AND o.seq < c.seq
    AND NOT EXISTS (SELECT FROM binding b WHERE b.key = o.key AND b.connection = o.connection))
"""

_FOLLOW = f"""
UPDATE command c SET state = 'observed' WHERE connection = %s AND {_FREE} AND {NEVER_MADE}
"""  # noqa: S608 (constants only)


def shelve(tx: Transaction, connection: str) -> int:
    """Only show what waits to be written; return how many that are."""
    return tx.run(f"UPDATE command SET state = 'observed' WHERE connection = %s AND {_FREE}", connection)  # noqa: S608 (constants only)


def shelve_version(tx: Transaction, configuration: str) -> int:
    """Only show what waits for connections that a configuration, in force until now, observes."""
    return tx.run(_SHELVE_VERSION, configuration)


def follow(tx: Transaction, connection: str) -> int:
    """Only show what waits to be written to records that were only shown; return how many that are."""
    if tx.one("SELECT FROM command WHERE connection = %s AND state = 'observed' LIMIT 1", connection) is None:
        return 0
    return tx.run(_FOLLOW, connection)


def purposes(tx: Transaction, connection: str) -> dict[str, int]:
    """Count what is only shown and may be written, by purpose: leads that are over stay out."""
    rows = tx.all(
        f"SELECT purpose, count(*) FROM command c WHERE {_RELEASED} GROUP BY purpose ORDER BY purpose",  # noqa: S608 (constants only)
        connection,
    )
    return dict(rows)


def release(tx: Transaction, connection: str) -> int:
    """Write what was only shown, of leads that are still open; return how many commands that are."""
    return tx.run(f"UPDATE command c SET state = 'pending', due_at = '-infinity' WHERE {_RELEASED}", connection)  # noqa: S608 (constants only)


_RELEASED = (
    "connection = %s AND state = 'observed' AND NOT EXISTS "
    "(SELECT FROM lead l WHERE l.id = c.lead_id AND l.status = 'closed')"
)
