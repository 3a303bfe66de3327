"""How each connection is doing: its pause, its feed, the CRM's own limit, and what waits for it."""

from dataclasses import dataclass, field
from datetime import datetime

from connector.model.crm import Budget
from connector.store.database import Transaction

#: The rate of writes is that of so many minutes.
RATE_MINUTES = 10


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a connection rests; `until` None: until a person resumes it."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Feed:
    """When the change feed was read last, and when it last had nothing more."""

    polled_at: datetime | None = None
    caught_up_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: writes on their way, writes no CRM took, writes that are only shown, records to read again.

    `written` counts the writes of the last `RATE_MINUTES`; `reread_error` is why a record could not be read.
    """

    backlog: int = 0
    dead: int = 0
    observed: int = 0
    rereads: int = 0
    reread_error: str = ""
    written: int = 0

    @property
    def drained_in(self) -> int | None:
        """Return in how many minutes the backlog is gone at the present rate; None when nothing goes out."""
        if not self.backlog:
            return 0
        return -(-self.backlog * RATE_MINUTES // self.written) if self.written else None


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """What is stored of a connection."""

    pause: Pause | None = None
    feed: Feed = field(default_factory=Feed)
    budget: Budget | None = None
    budget_at: datetime | None = None


_STATE = """
SELECT paused_until > clock_timestamp(), nullif(paused_until, 'infinity'), reason, polled_at, caught_up_at,
    budget_used, budget_limit, budget_window, budget_at
FROM connection_state WHERE connection = %s
"""

_WAITING = """
SELECT (SELECT count(*) FROM command WHERE connection = %(c)s AND state = 'pending'),
    (SELECT count(*) FROM command WHERE state IN ('dead', 'parked') AND state = 'dead' AND connection = %(c)s),
    (SELECT count(*) FROM command WHERE state = 'observed' AND connection = %(c)s),
    (SELECT count(*) FROM record_reread WHERE connection = %(c)s),
    coalesce((SELECT reason FROM record_reread WHERE connection = %(c)s AND reason <> ''
              ORDER BY attempts DESC LIMIT 1), ''),
    (SELECT coalesce(sum(writes), 0)::integer FROM crm_written
     WHERE connection = %(c)s AND minute > clock_timestamp() - make_interval(mins => %(m)s))
"""


def state(tx: Transaction, connection: str) -> ConnectionState:
    """Return a connection's pause, feed and budget."""
    row = tx.one(_STATE, connection)
    if row is None:
        return ConnectionState()
    paused, until, reason, polled_at, caught_up_at, used, limit, window, budget_at = row
    return ConnectionState(
        Pause(until, reason) if paused else None,
        Feed(polled_at, caught_up_at),
        Budget(used, limit, window) if limit is not None else None,
        budget_at,
    )


def waiting(tx: Transaction, connection: str) -> Waiting:
    """Count what waits for a connection."""
    row = tx.connection.execute(_WAITING, {"c": connection, "m": RATE_MINUTES}).fetchone()
    assert row is not None
    return Waiting(*row)


def mirrored(tx: Transaction, connection: str) -> dict[str, int]:
    """Count the mirrored records by type; reads all of them."""
    rows = tx.all(
        "SELECT object_type, count(*) FROM mirror_record WHERE connection = %s AND NOT deleted "
        "GROUP BY object_type ORDER BY object_type",
        connection,
    )
    return dict(rows)


def note_budget(tx: Transaction, connection: str, budget: Budget) -> None:
    """Remember how much of its own limit a CRM says is used."""
    tx.run(
        "INSERT INTO connection_state (connection, budget_used, budget_limit, budget_window, budget_at) "
        "VALUES (%s, %s, %s, %s, clock_timestamp()) ON CONFLICT (connection) DO UPDATE SET "
        "budget_used = excluded.budget_used, budget_limit = excluded.budget_limit, "
        "budget_window = excluded.budget_window, budget_at = excluded.budget_at",
        connection,
        budget.used,
        budget.limit,
        budget.window,
    )


def note_written(tx: Transaction, connection: str, writes: int) -> None:
    """Count writes that took effect just now."""
    tx.run(
        "INSERT INTO crm_written (connection, minute, writes) VALUES (%s, date_trunc('minute', clock_timestamp()), %s) "
        "ON CONFLICT (connection, minute) DO UPDATE SET writes = crm_written.writes + excluded.writes",
        connection,
        writes,
    )


def forget(tx: Transaction) -> None:
    """Forget rates that nobody asks for any more."""
    tx.run("DELETE FROM crm_written WHERE minute < clock_timestamp() - interval '6 hours'")
