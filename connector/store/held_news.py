"""What was announced to the holding queue and not yet looked into, and what was found there unannounced."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from connector.store.database import Transaction


def note(tx: Transaction) -> None:
    """Remember that waiting leads are worth a look; touches no row anybody else may hold."""
    tx.run("INSERT INTO held_news DEFAULT VALUES")


def read(tx: Transaction) -> list[int]:
    """Return the numbers of what was announced."""
    return [row[0] for row in tx.all("SELECT id FROM held_news ORDER BY id")]


def forget(tx: Transaction, news: Sequence[int]) -> None:
    """Take off what the whole queue was looked at for; the caller holds the ledger's lock."""
    if news:
        tx.run("DELETE FROM held_news WHERE id = ANY(%s)", list(news))


def unannounced(tx: Transaction, ids: Sequence[UUID], due: datetime) -> list[UUID]:
    """Return which leads had nothing announced to them: no news is there, nor had their time come by `due`.

    Ask after all else was read: whatever was seen by then had been announced by then.
    """
    rows = tx.all(
        "SELECT id FROM lead WHERE id = ANY(%s) AND (wake_at IS NULL OR wake_at > %s) "
        "AND NOT EXISTS (SELECT FROM held_news) ORDER BY id",
        list(ids),
        due,
    )
    return [row[0] for row in rows]


def count_found(tx: Transaction, leads: int) -> None:
    """Add to the leads found unannounced; the caller holds the ledger's lock."""
    tx.run("UPDATE ledger SET sweep_found = sweep_found + %s", leads)


def found(tx: Transaction) -> int:
    """Return how many leads were ever found unannounced."""
    row = tx.one("SELECT sweep_found FROM ledger")
    assert row is not None
    return int(row[0])
