"""Alerts and their notices, and the facts they are raised on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from connector.model.identity import new_id
from connector.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Lasting:
    """An alert that is not over. `waiting` names the channels with a notice of it that was not sent yet."""

    id: UUID
    told_at: datetime
    waiting: Sequence[str]


class Notice(NamedTuple):
    """What is to be told of an alert through one channel; `attempts` counts this one."""

    id: UUID
    alert: UUID
    kind: str
    subject: str
    news: str
    channel: str
    facts: dict[str, Any]
    raised_at: datetime
    created_at: datetime
    attempts: int


class Count(NamedTuple):
    """How many of something there are, and since when the oldest waits."""

    subject: str
    number: int
    since: datetime


# The facts.


def last_delivery(tx: Transaction, source: str) -> datetime | None:
    """Return when a source sent something last, in any state; None for never."""
    row = tx.one("SELECT received_at FROM delivery WHERE source = %s ORDER BY received_at DESC LIMIT 1", source)
    return row[0] if row else None


def in_force_since(tx: Transaction) -> datetime:
    """Return when the configuration in force was put there."""
    row = tx.one("SELECT since FROM active_configuration")
    assert row is not None
    since: datetime = row[0]
    return since


def set_aside(tx: Transaction, since: datetime) -> list[Count]:
    """Count what was set aside and still is, by source, of what came after `since`."""
    rows = tx.all(
        # The first condition is that of the index.
        "SELECT source, count(*), min(received_at) FROM delivery WHERE state IN ('waiting', 'quarantined') "
        "AND state = 'quarantined' AND received_at > %s GROUP BY source",
        since,
    )
    return [Count(*row) for row in rows]


def oldest_stored(tx: Transaction) -> datetime | None:
    """Return since when the oldest delivery waits to be worked, None when none does."""
    rows = [
        tx.one(
            "SELECT received_at FROM delivery WHERE state = 'stored' AND kind = %s ORDER BY received_at, id LIMIT 1",
            kind,
        )
        for kind in ("lead", "crm")
    ]
    return min((row[0] for row in rows if row), default=None)


def oldest_command(tx: Transaction, connection: str, before: datetime) -> datetime | None:
    """Return since when the oldest command waits that was put before an instant and may be sent now."""
    row = tx.one(
        "SELECT min(created_at) FROM command WHERE connection = %s AND state = 'pending' AND created_at < %s "
        "AND due_at <= clock_timestamp()",
        connection,
        before,
    )
    return row[0] if row else None


def dead_letters(tx: Transaction) -> list[Count]:
    """Count the commands that wait for a person, by connection."""
    rows = tx.all(
        "SELECT connection, count(*), min(created_at) FROM command WHERE state IN ('dead', 'parked') "
        "AND state = 'dead' GROUP BY connection"
    )
    return [Count(*row) for row in rows]


def pauses(tx: Transaction) -> dict[str, datetime]:
    """Return since when no command took effect in each connection that rests and has some waiting."""
    rows = tx.all(
        "SELECT s.connection, s.paused_since FROM connection_state s WHERE s.paused_since IS NOT NULL "
        "AND (SELECT c.id FROM command c WHERE c.connection = s.connection AND c.state = 'pending' LIMIT 1) IS NOT NULL"
    )
    return dict(rows)


# The alerts.


def lasting(tx: Transaction) -> dict[tuple[str, str], Lasting]:
    """Return the alerts that are not over, by kind and subject."""
    rows = tx.all(
        "SELECT a.kind, a.subject, a.id, a.told_at, "
        "ARRAY(SELECT n.channel FROM alert_notice n WHERE n.alert_id = a.id AND n.state = 'pending') "
        "FROM alert a WHERE a.ended_at IS NULL"
    )
    return {(kind, subject): Lasting(*rest) for kind, subject, *rest in rows}


def raise_alert(
    tx: Transaction, kind: str, subject: str, facts: Mapping[str, Any], channels: Collection[str], now: datetime
) -> UUID | None:
    """Store a new alert with its notices; None when somebody raised it at the same moment."""
    alert = new_id()
    raised = tx.run(
        "INSERT INTO alert (id, kind, subject, facts, raised_at, told_at) VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (kind, subject) WHERE ended_at IS NULL DO NOTHING",
        alert,
        kind,
        subject,
        Jsonb(dict(facts)),
        now,
        now,
    )
    if not raised:
        return None
    _put_notices(tx, alert, "raised", facts, channels, now)
    return alert


def repeat_alert(
    tx: Transaction, alert: Lasting, facts: Mapping[str, Any], channels: Collection[str], now: datetime
) -> bool:
    """Tell again of an alert that lasts; False when somebody else just did."""
    told = tx.run(
        "UPDATE alert SET told_at = %s, facts = %s WHERE id = %s AND told_at = %s AND ended_at IS NULL",
        now,
        Jsonb(dict(facts)),
        alert.id,
        alert.told_at,
    )
    if told:
        _put_notices(tx, alert.id, "lasting", facts, channels, now)
    return told == 1


def end_alert(tx: Transaction, alert: UUID, channels: Collection[str], now: datetime) -> bool:
    """End an alert and tell so; False when somebody else just did."""
    row = tx.one("UPDATE alert SET ended_at = %s WHERE id = %s AND ended_at IS NULL RETURNING facts", now, alert)
    if row:
        _put_notices(tx, alert, "over", row[0], channels, now)
    return row is not None


_NOTICE = {
    "id": "uuid",
    "alert_id": "uuid",
    "news": "text",
    "channel": "text",
    "facts": "jsonb",
    "created_at": "timestamptz",
    "due_at": "timestamptz",
}


def _put_notices(
    tx: Transaction, alert: UUID, news: str, facts: Mapping[str, Any], channels: Collection[str], now: datetime
) -> None:
    rows = [(new_id(), alert, news, channel, Jsonb(dict(facts)), now, now) for channel in channels]
    tx.copy("alert_notice", _NOTICE, rows)


# An earlier notice of the same alert goes first, so that nobody hears of its end before its beginning.
_LEASE = """
UPDATE alert_notice SET attempts = attempts + 1, due_at = %(until)s FROM alert
WHERE alert.id = alert_notice.alert_id AND alert_notice.id = (
    SELECT n.id FROM alert_notice n
    WHERE n.state = 'pending' AND n.due_at <= %(now)s
      AND (SELECT e.id FROM alert_notice e WHERE e.alert_id = n.alert_id AND e.channel = n.channel
           AND e.state = 'pending' AND e.id < n.id LIMIT 1) IS NULL
    ORDER BY n.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING alert_notice.id, alert.id, alert.kind, alert.subject, alert_notice.news, alert_notice.channel,
    alert_notice.facts, alert.raised_at, alert_notice.created_at, alert_notice.attempts
"""


def lease(tx: Transaction, lease_time: timedelta) -> Notice | None:
    """Take the right to send one notice; if nothing is heard of it again, it is due again after `lease_time`."""
    now = tx.now()
    row = tx.connection.execute(_LEASE, {"now": now, "until": now + lease_time}).fetchone()
    return Notice(*row) if row else None


def sent(tx: Transaction, notice: Notice, note: str) -> None:
    """Record that a notice left."""
    tx.run("UPDATE alert_notice SET state = 'sent', sent_at = %s, error = %s WHERE id = %s", tx.now(), note, notice.id)


def not_sent(tx: Transaction, notice: Notice, error: str, due: datetime | None) -> None:
    """Record a failure and when to try again; None: no more. A lease that somebody else has by now is theirs."""
    tx.run(
        "UPDATE alert_notice SET error = %s, due_at = coalesce(%s, due_at), state = %s "
        "WHERE id = %s AND attempts = %s AND state = 'pending'",
        error,
        due,
        "pending" if due else "failed",
        notice.id,
        notice.attempts,
    )


def listing(tx: Transaction, *, over: bool, limit: int) -> Sequence[dict[str, Any]]:
    """Return alerts, newest first; without `over` those that last."""
    rows = tx.all(
        "SELECT a.id, a.kind, a.subject, a.facts, a.raised_at, a.told_at, a.ended_at, "
        "ARRAY(SELECT n.channel || ' ' || n.news || ' ' || n.state || CASE WHEN n.error = '' THEN '' "
        "ELSE ' (' || n.attempts || ' tries, ' || n.error || ')' END FROM alert_notice n WHERE n.alert_id = a.id "
        "ORDER BY n.id) FROM alert a WHERE %s OR a.ended_at IS NULL ORDER BY a.id DESC LIMIT %s",
        over,
        limit,
    )
    names = ("id", "kind", "subject", "facts", "raised_at", "told_at", "ended_at", "notices")
    return [dict(zip(names, row, strict=True)) for row in rows]
