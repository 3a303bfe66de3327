"""Ids sort in the order in which they were made, also within a millisecond."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from connector.model.identity import new_id

NOW = 1_795_000_000_123_000_000


def test_an_id_is_a_uuid_of_version_7_that_holds_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOW)

    made = new_id()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=made.int >> 80) == datetime(
        2026, 11, 18, 11, 6, 40, 123_000, UTC
    )


def test_ids_of_one_millisecond_sort_by_the_time_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(NOW, NOW + 1_000_000, 250))
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks))

    made = [new_id() for _ in range(4000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
