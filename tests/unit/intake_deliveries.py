"""Deliveries for the source tests, with defaults that do not matter."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from connector.model.delivery import Delivery

URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
NOW = datetime(2026, 9, 16, 12, 0, tzinfo=UTC)
_PAYLOADS = Path(__file__).parents[1] / "payloads" / "intake"


def payload(name: str) -> bytes:
    return (_PAYLOADS / name).read_bytes()


def a_delivery(
    body: bytes | str,
    content_type: str = URLENCODED,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    received_at: datetime = NOW,
) -> Delivery:
    return Delivery(
        id=UUID(int=1),
        source="web",
        received_at=received_at,
        content_type=content_type,
        body=body.encode() if isinstance(body, str) else body,
        headers=headers or {},
        query=query or {},
    )
