"""Published configurations and rule sets: immutable rows under their hash, and one active pointer."""

from dataclasses import dataclass
from datetime import datetime

from connector.store import held_news, observed
from connector.store.database import Transaction
from connector.store.locks import PUBLISH


def publish(tx: Transaction, *, digest: str, document: bytes, rule_set: str, rule_set_document: bytes) -> bool:
    """Store a configuration and make it the active one; return False when it already was.

    Waiting leads are worth a look then: whoever publishes wakes the holding queue after the commit.
    """
    tx.run("SELECT pg_advisory_xact_lock(%s)", PUBLISH)
    before = active_hash(tx)
    tx.run(
        "INSERT INTO rule_set (hash, document) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        rule_set,
        rule_set_document,
    )
    tx.run(
        "INSERT INTO configuration (hash, document, rule_set) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        digest,
        document,
        rule_set,
    )
    changed = tx.run(
        "INSERT INTO active_configuration (hash) VALUES (%s) "
        "ON CONFLICT (one) DO UPDATE SET hash = excluded.hash, since = now() "
        "WHERE active_configuration.hash <> excluded.hash",
        digest,
    )
    _shelve(tx, before, changed=changed == 1)
    return _announced(tx, changed == 1)


@dataclass(frozen=True, slots=True)
class Version:
    """A published configuration; `since` is when the one in force came into force."""

    hash: str
    rule_set: str
    published_at: datetime
    since: datetime | None


def versions(tx: Transaction, limit: int) -> list[Version]:
    """Return published configurations, newest first."""
    rows = tx.all(
        "SELECT c.hash, c.rule_set, c.published_at, a.since FROM configuration c "
        "LEFT JOIN active_configuration a ON a.hash = c.hash ORDER BY c.published_at DESC LIMIT %s",
        limit,
    )
    return [Version(*row) for row in rows]


def beginning_with(tx: Transaction, start: str) -> list[str]:
    """Return the hashes of stored configurations that begin so."""
    return [row[0] for row in tx.all("SELECT hash FROM configuration WHERE starts_with(hash, %s) ORDER BY hash", start)]


def activate(tx: Transaction, digest: str) -> bool:
    """Put a stored configuration in force; return False when it already was. As for `publish`, wake the queue."""
    tx.run("SELECT pg_advisory_xact_lock(%s)", PUBLISH)
    before = active_hash(tx)
    changed = tx.run("UPDATE active_configuration SET hash = %s, since = now() WHERE hash <> %s", digest, digest)
    _shelve(tx, before, changed=changed == 1)
    return _announced(tx, changed == 1)


def _shelve(tx: Transaction, before: str | None, *, changed: bool) -> None:
    """Keep what a version only showed from going out because the next one writes."""
    if changed and before is not None:
        observed.shelve_version(tx, before)


def _announced(tx: Transaction, changed: bool) -> bool:
    if changed:
        held_news.note(tx)
    return changed


def active_hash(tx: Transaction) -> str | None:
    """Return the hash of the configuration in force, None before the first publication."""
    row = tx.one("SELECT hash FROM active_configuration")
    return row[0] if row else None


def document(tx: Transaction, digest: str) -> bytes:
    """Return a stored configuration."""
    row = tx.one("SELECT document FROM configuration WHERE hash = %s", digest)
    if row is None:
        raise KeyError(digest)
    return bytes(row[0])


def rule_set_document(tx: Transaction, digest: str) -> bytes:
    """Return a stored rule set; it stays for ever."""
    row = tx.one("SELECT document FROM rule_set WHERE hash = %s", digest)
    if row is None:
        raise KeyError(digest)
    return bytes(row[0])
