"""What people owe: mandatory steps they let go past their due instant, until somebody has done them."""

from datetime import datetime
from uuid import UUID

from connector.store.database import Transaction


def put(tx: Transaction, step: UUID, person: str, reason: str, now: datetime) -> None:
    """Hold a person to account for a step they let go past its due instant."""
    tx.run(
        "INSERT INTO accountability_item (step_instance, person, since, reason) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (step_instance, person) DO UPDATE SET cleared_at = NULL",
        step,
        person,
        now,
        reason,
    )


def clear(tx: Transaction, step: UUID, now: datetime) -> bool:
    """Clear what people owe for a step; tell whether anybody owed anything."""
    return (
        tx.run(
            "UPDATE accountability_item SET cleared_at = %s WHERE step_instance = %s AND cleared_at IS NULL", now, step
        )
        > 0
    )


def owed(tx: Transaction) -> dict[str, int]:
    """Return how many overdue mandatory steps each person has let go and not seen cleared (F13)."""
    rows = tx.all("SELECT person, count(*) FROM accountability_item WHERE cleared_at IS NULL GROUP BY person")
    return {row[0]: row[1] for row in rows}
