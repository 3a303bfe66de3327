"""How many calls each connection made, by day (UTC) and by what they were for."""

from collections.abc import Mapping

from connector.store.database import Transaction

_ADD = """
INSERT INTO crm_call (connection, day, purpose, calls)
SELECT c, (clock_timestamp() AT TIME ZONE 'UTC')::date, p, n
FROM jsonb_to_recordset(%s::jsonb) AS n (c text, p text, n bigint) ORDER BY c, p
ON CONFLICT (connection, day, purpose) DO UPDATE SET calls = crm_call.calls + excluded.calls
"""
#: Whoever looks at a year's use still finds it.
KEPT_DAYS = 400


def add(tx: Transaction, counted: Mapping[tuple[str, str], int]) -> None:
    """Add calls to today's, given by connection and purpose."""
    rows = [{"c": connection, "p": purpose, "n": number} for (connection, purpose), number in counted.items()]
    tx.run_rows(_ADD, rows)


def today(tx: Transaction, connection: str) -> dict[str, int]:
    """Return today's calls of a connection by purpose, most first."""
    rows = tx.all(
        "SELECT purpose, calls FROM crm_call WHERE connection = %s "
        "AND day = (clock_timestamp() AT TIME ZONE 'UTC')::date ORDER BY calls DESC, purpose",
        connection,
    )
    return {row[0]: row[1] for row in rows}


def totals(tx: Transaction) -> dict[tuple[str, str], int]:
    """Return all calls that are still counted, by connection and purpose."""
    rows = tx.all("SELECT connection, purpose, sum(calls)::bigint FROM crm_call GROUP BY connection, purpose")
    return {(row[0], row[1]): row[2] for row in rows}


def forget(tx: Transaction) -> None:
    """Forget days long past."""
    tx.run("DELETE FROM crm_call WHERE day < current_date - %s", KEPT_DAYS)
