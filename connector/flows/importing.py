"""Batch files: one row is one delivery, stored like any other; resumable and idempotent."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid5

from connector.errors import ConfigurationError
from connector.flows.accept import accept_many
from connector.model.delivery import AT_ONCE, Delivery
from connector.services import Services
from connector.settings.values import CardProfile, Settings
from connector.sources.cards import Reject, Row, card_body, read_batch

#: Names of card deliveries are derived in this space, so that the same card is stored once.
CARDS = UUID("5b0c0e0e-6d0a-5d0e-9d3a-3f3f1f6f2a10")
ROWS = 500


@dataclass(slots=True)
class Imported:
    """What an import did: rows stored now, rows that were there, rows that could not be read."""

    stored: int = 0
    known: int = 0
    rejects: list[Reject] = field(default_factory=list)


def import_cards(
    services: Services,
    file: Path,
    *,
    profile: str,
    batch: str = "",
    at_once: bool = False,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Imported:
    """Store every card of a mail house's file as a delivery.

    Running it again, also after it was killed, stores only what is missing: a card is known by
    house, batch (the file's name unless given) and record number. With `at_once` the leads are handed out together
    and not one by one; cards that are known already stay as they were imported.

    Raises:
        ConfigurationError: no such profile, or no source of kind `cards`.
        UnreadableDelivery: the file's header is not the profile's.
    """
    settings = services.current().settings
    layout = _profile(settings, profile)
    source = _source(settings)
    imported, query = Imported(), {"profile": profile, **(AT_ONCE if at_once else {})}
    with file.open("rb") as stream:
        for rows in _chunks(_read(stream, layout)):
            _store(services, source, query, batch or file.stem, rows, imported)
            progress(stream.tell())
    return imported


def _store(
    services: Services,
    source: str,
    query: Mapping[str, str],
    batch: str,
    rows: list[Row | Reject],
    imported: Imported,
) -> None:
    cards = [row for row in rows if isinstance(row, Row)]
    imported.rejects.extend(row for row in rows if isinstance(row, Reject))
    stored = accept_many(services, [_delivery(source, query, batch, row) for row in cards])
    imported.stored += stored
    imported.known += len(cards) - stored


def _delivery(source: str, query: Mapping[str, str], batch: str, row: Row) -> Delivery:
    profile = query["profile"]
    return Delivery(
        id=uuid5(CARDS, f"{profile}\n{batch}\n{row.record}"),
        source=source,
        received_at=datetime.now(UTC),
        content_type="application/json",
        body=card_body(profile, batch, row),
        headers={},
        query=query,
    )


def _read(stream: BinaryIO, profile: CardProfile) -> Iterator[Row | Reject]:
    return read_batch(
        stream,
        columns=profile.columns,
        encoding=profile.encoding,
        delimiter=profile.delimiter,
        date_format=profile.date_format,
    )


def _chunks(rows: Iterator[Row | Reject]) -> Iterator[list[Row | Reject]]:
    chunk: list[Row | Reject] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) >= ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _profile(settings: Settings, name: str) -> CardProfile:
    if name not in settings.card_profiles:
        known = ", ".join(sorted(settings.card_profiles)) or "none"
        raise ConfigurationError(f"no card profile is called {name!r}: hearback.yaml has {known}")
    return settings.card_profiles[name]


def _source(settings: Settings) -> str:
    for source in settings.sources.values():
        if source.kind == "cards":
            return source.key
    raise ConfigurationError("no source of kind `cards` is configured: add one to hearback.yaml")
