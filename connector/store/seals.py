"""Seals over runs of decisions, append-only."""

from dataclasses import dataclass

from connector.store.database import Transaction
from connector.store.locks import SEAL


@dataclass(frozen=True, slots=True)
class Seal:
    """A hash over the decisions `first` to `last`, both included, and over the seal before."""

    first: int
    last: int
    digest: bytes


def lock(tx: Transaction) -> None:
    """Let one process at a time put seals."""
    tx.run("SELECT pg_advisory_xact_lock(%s)", SEAL)


def newest(tx: Transaction) -> Seal | None:
    """Return the last seal, None before the first."""
    row = tx.one("SELECT first_seq, last_seq, digest FROM seal ORDER BY last_seq DESC LIMIT 1")
    return Seal(row[0], row[1], bytes(row[2])) if row else None


def put(tx: Transaction, seal: Seal) -> None:
    """Store a seal."""
    tx.run(
        "INSERT INTO seal (first_seq, last_seq, digest) VALUES (%s, %s, %s)",
        seal.first,
        seal.last,
        seal.digest,
    )


def every(tx: Transaction) -> list[Seal]:
    """Return all seals in order."""
    rows = tx.all("SELECT first_seq, last_seq, digest FROM seal ORDER BY last_seq")
    return [Seal(first, last, bytes(digest)) for first, last, digest in rows]
