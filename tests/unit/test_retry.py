"""What follows a failed attempt."""

from datetime import timedelta

import pytest

from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermanentError,
    PermissionDenied,
    RateLimited,
    RecordLocked,
    RecordNotFound,
    TransientError,
    Unavailable,
    UnexpectedAnswer,
    UnsupportedCapability,
)
from connector.flows.retry import NextStep, RetryPolicy

SECOND = timedelta(seconds=1)
POLICY = RetryPolicy(first=SECOND, ceiling=20 * SECOND, attempts=6, down=10 * SECOND, refused=timedelta(minutes=5))


def every_error(root: type[ConnectorError] = ConnectorError) -> set[type[ConnectorError]]:
    # Adapters make kinds of their own, which are worked like those they are made of.
    ours = [kind for kind in root.__subclasses__() if kind.__module__ == root.__module__]
    return {root}.union(*map(every_error, ours))


@pytest.mark.parametrize(
    ("error", "step", "wait"),
    [
        (TransientError("x"), NextStep.RETRY, SECOND),
        (RecordLocked("x"), NextStep.RETRY, SECOND),
        (RecordLocked("x", retry_after=7 * SECOND), NextStep.RETRY, 7 * SECOND),
        (OutcomeUnknown("x"), NextStep.RECONCILE, SECOND),
        (Unavailable("x"), NextStep.PAUSE, 10 * SECOND),
        (Unavailable("x", retry_after=3 * SECOND), NextStep.PAUSE, 3 * SECOND),
        (RateLimited("x"), NextStep.PAUSE, SECOND),
        (RateLimited("x", retry_after=90 * SECOND), NextStep.PAUSE, 90 * SECOND),
        (AuthenticationError("x"), NextStep.PAUSE, timedelta(minutes=5)),
        *((kind("x"), NextStep.PARK, timedelta(0)) for kind in sorted(every_error(PermanentError), key=str)),
        (ConnectorError("x"), NextStep.PARK, timedelta(0)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_kind_of_error_has_its_next_step(error: ConnectorError, step: NextStep, wait: timedelta) -> None:
    assert POLICY.next_step(error, 1) == (step, wait)


def test_the_table_above_knows_every_error() -> None:
    permanent = {
        AmbiguousKey,
        InvalidRecord,
        OwnerRefused,
        PermanentError,
        PermissionDenied,
        RecordNotFound,
        UnexpectedAnswer,
        UnsupportedCapability,
    }
    transient = {RateLimited, RecordLocked, TransientError, Unavailable}

    assert every_error() - permanent == {ConnectorError, AuthenticationError, OutcomeUnknown, *transient}


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)])
def test_waits_double(attempts: int, seconds: int) -> None:
    assert POLICY.next_step(TransientError("x"), attempts)[1] == seconds * SECOND
    assert POLICY.next_step(OutcomeUnknown("x"), attempts)[1] == seconds * SECOND


def test_waits_stop_growing_at_the_ceiling() -> None:
    longer = RetryPolicy(first=SECOND, ceiling=20 * SECOND, attempts=40)

    assert [longer.next_step(TransientError("x"), n)[1] for n in (5, 6, 39)] == [16 * SECOND, 20 * SECOND, 20 * SECOND]


@pytest.mark.parametrize("error", [TransientError("x"), OutcomeUnknown("x")], ids=["transient", "unknown"])
def test_after_the_last_attempt_a_person_is_asked(error: ConnectorError) -> None:
    assert POLICY.next_step(error, 5)[0] is not NextStep.PARK
    assert POLICY.next_step(error, 6) == (NextStep.PARK, timedelta(0))


@pytest.mark.parametrize(
    "error", [RateLimited("x"), Unavailable("x"), AuthenticationError("x")], ids=["limit", "down", "credentials"]
)
def test_what_is_no_records_fault_never_parks_a_record(error: ConnectorError) -> None:
    assert POLICY.next_step(error, 1_000)[0] is NextStep.PAUSE


def test_the_waits_of_all_attempts_last_about_a_day() -> None:
    policy = RetryPolicy()

    total = sum((policy.next_step(OutcomeUnknown("x"), n)[1] for n in range(1, policy.attempts)), timedelta(0))

    assert timedelta(hours=20) < total < timedelta(hours=28)
