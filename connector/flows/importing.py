"""Batch files: one row is one delivery, stored like any other; resumable and idempotent."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid5

import orjson

from connector.errors import ConfigurationError
from connector.flows.accept import accept_many
from connector.model.delivery import AT_ONCE, Delivery
from connector.services import Services
from connector.settings.values import CardProfile, Settings
from connector.sources.cards import Layout, Reject, Row, card_body, read_batch
from connector.store import deliveries

#: Names of card deliveries are derived in this space, so that the same card is stored once.
CARDS = UUID("5b0c0e0e-6d0a-5d0e-9d3a-3f3f1f6f2a10")
ROWS = 500
_REUSED = "the record number was used before in this batch, with another content: give it one of its own"


class Result(StrEnum):
    """What an import did with a row, in the words of the acknowledgement file (C17)."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one row; rejected ones have a reason and the row's text."""

    line: int
    record: str
    result: Result
    reason: str = ""
    text: str = ""


@dataclass(slots=True)
class Imported:
    """How many rows were stored now, were there before, could not be taken."""

    stored: int = 0
    known: int = 0
    rejected: int = 0


def import_cards(
    services: Services,
    file: Path,
    *,
    profile: str,
    batch: str = "",
    at_once: bool = False,
    receipt: Callable[[Receipt], None] = lambda _receipt: None,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Imported:
    """Store every card of a mail house's file as a delivery, and give a receipt for each row, in order.

    Running it again, also after it was killed, stores only what is missing: a card is known by
    house, batch (the file's name unless given) and record number. With `at_once` the leads are handed out together
    and not one by one; cards that are known already stay as they were imported. A file with a trailer is counted
    before anything is stored.

    Raises:
        ConfigurationError: no such profile, or no source of kind `cards`.
        UnreadableDelivery: the file's header is not the profile's, or its trailer counts otherwise.
    """
    settings = services.current().settings
    layout = _layout(_profile(settings, profile))
    source = _source(settings)
    imported, query = Imported(), {"profile": profile, **(AT_ONCE if at_once else {})}
    with file.open("rb") as stream:
        if layout.trailer:
            _count(stream, layout)
        records = read_batch(stream, layout)
        while rows := list(islice(records, ROWS)):
            for each in _store(services, source, query, batch or file.stem, rows):
                _add(imported, each.result)
                receipt(each)
            progress(stream.tell())
    return imported


def _count(stream: BinaryIO, layout: Layout) -> None:
    for _ in read_batch(stream, layout):
        pass
    stream.seek(0)


def _add(imported: Imported, result: Result) -> None:
    imported.stored += result is Result.ACCEPTED
    imported.known += result is Result.DUPLICATE
    imported.rejected += result is Result.REJECTED


def _store(
    services: Services, source: str, query: Mapping[str, str], batch: str, rows: Sequence[Row | Reject]
) -> Iterator[Receipt]:
    cards = [(row, _delivery(source, query, batch, row)) for row in rows if isinstance(row, Row)]
    first: dict[UUID, Delivery] = {}
    for _, delivery in cards:
        first.setdefault(delivery.id, delivery)
    new = accept_many(services, list(first.values()))
    taken = {each.id: each.body for each in first.values() if each.id in new}
    repeats = [delivery.id for _, delivery in cards if first[delivery.id] is not delivery or delivery.id not in new]
    taken |= _bodies(services, [each for each in repeats if each not in new])
    receipts = {id(row): _receipt(row, delivery, new, first, taken) for row, delivery in cards}
    for row in rows:
        yield _refusal(row) if isinstance(row, Reject) else receipts[id(row)]


def _receipt(
    row: Row, delivery: Delivery, new: set[UUID], first: Mapping[UUID, Delivery], taken: Mapping[UUID, bytes]
) -> Receipt:
    if delivery.id in new and first[delivery.id] is delivery:
        return Receipt(row.line, row.record, Result.ACCEPTED)
    # Past its retention a body cannot be compared any more.
    if delivery.id not in taken or _said(taken[delivery.id]) == _said(delivery.body):
        return Receipt(row.line, row.record, Result.DUPLICATE, "it was imported before")
    return Receipt(row.line, row.record, Result.REJECTED, _REUSED, " ".join(row.values.values()))


def _refusal(reject: Reject) -> Receipt:
    return Receipt(reject.line, "", Result.REJECTED, reject.reason, reject.text)


def _bodies(services: Services, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    if not ids:
        return {}
    with services.store.transaction() as tx:
        sealed = deliveries.sealed(tx, ids)
    return {each: services.vault.open(each, body)[1] for each, body in sealed.items()}


def _said(body: bytes) -> tuple[object, object]:
    """Return what a card says; in a file sent again it may stand on another line."""
    card = orjson.loads(body)
    return card["key_code"], card["values"]


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


def _layout(profile: CardProfile) -> Layout:
    return Layout(
        columns=profile.columns,
        encoding=profile.encoding,
        delimiter=profile.delimiter,
        date_format=profile.date_format,
        widths={width.column: width.characters for width in profile.widths},
        trailer=profile.trailer,
    )


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
