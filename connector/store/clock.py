"""The clock of all flows; the demo alone moves it ahead."""

from datetime import timedelta

from connector.store.database import Transaction


def shift(tx: Transaction, by: timedelta) -> None:
    """Let every process see the time `by` ahead of the real one."""
    tx.run("UPDATE clock SET shift = %s", by)
