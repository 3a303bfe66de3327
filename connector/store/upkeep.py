"""Housekeeping in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from psycopg import sql

from connector.store.database import Transaction

#: Longest documented sender retry is three days; people replay by hand (I11, I30).
KEY_DAYS = 30
#: Keys forgotten in one transaction.
BATCH = 2_000
#: What a delivery that nobody looked at ends with, and what stays of a reason: what it quotes goes with the body.
PAST = "'nobody looked at it before its body was past its retention time'"
BARE = "split_part(d.reason, ' (', 1)"
#: Thirty days in twelve parts (a twelfth of a lead a month) is the longest span of a cap.
CAP_DAYS = 366

# What a worker holds right now is not old, and what another housekeeper deletes is passed over.
_OLD_IDEMPOTENCY_KEYS = """
DELETE FROM idempotency_key WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_key WHERE created_at < now() - make_interval(days => %s) LIMIT %s
    FOR UPDATE SKIP LOCKED))
"""
_OLD_DEDUPE_KEYS = """
DELETE FROM dedupe_key WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM dedupe_key WHERE seen_at < hearback_now() - make_interval(days => %s)
        AND NOT (key LIKE 'notice:%%' AND lead_id IS NOT NULL) LIMIT %s
    FOR UPDATE SKIP LOCKED))
"""


def make_partitions(tx: Transaction) -> None:
    """Create the monthly partitions of delivery bodies for this month and the next.

    A new partition locks the whole table, and every post would queue behind a lock that waits: it gives up
    soon and is tried again a minute later, as next month's has weeks of time.

    Raises:
        psycopg.errors.LockNotAvailable: the table was busy.
    """
    tx.run("SET LOCAL lock_timeout = '200ms'")
    first = tx.now().date().replace(day=1)
    for _ in range(2):
        following = _next_month(first)
        name = f"delivery_body_{first:%Y_%m}"
        if tx.one(
            "SELECT to_regclass(%s) IS NULL AND NOT EXISTS (SELECT FROM delivery_body_default "
            "WHERE received_at >= %s AND received_at < %s)",
            name,
            first,
            following,
        ) == (True,):
            tx.connection.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF delivery_body FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(name), sql.Literal(first.isoformat()), sql.Literal(following.isoformat())
                )
            )
        first = following


def drop_stale_jobs(tx: Transaction) -> None:
    """Drop wake-ups whose worker died, and the record of old ticks; the rows they were about are the truth."""
    tx.run(
        "DELETE FROM procrastinate_jobs j WHERE status = 'doing' AND NOT EXISTS (SELECT FROM procrastinate_workers w "
        "WHERE w.id = j.worker_id AND w.last_heartbeat > now() - interval '2 minutes')"
    )
    tx.run("DELETE FROM procrastinate_periodic_defers WHERE defer_timestamp < extract(epoch FROM now()) - 3600")


def drop_old_keys(tx: Transaction) -> int:
    """Forget a batch of idempotency and dedupe keys no sender can still be repeating; return how many went.

    The key by which a vendor may ask to erase a lead goes with the lead.
    In batches, so that no post waits long for a key that is being deleted.
    """
    return tx.run(_OLD_IDEMPOTENCY_KEYS, KEY_DAYS, BATCH) + tx.run(_OLD_DEDUPE_KEYS, KEY_DAYS, BATCH)


def drop_old_assignments(tx: Transaction) -> None:
    """Forget what no rolling cap looks back to any more; decisions keep it."""
    tx.run("DELETE FROM assignment WHERE at < hearback_now() - make_interval(days => %s)", CAP_DAYS)


@dataclass(frozen=True, slots=True)
class Kept:
    """How long bodies of some sources are kept; `named` None means all but those of `others`."""

    name: str
    days: int
    named: Sequence[str] | None = None
    others: Sequence[str] = ()


_OF_SOURCES = "(%(all)s AND NOT d.source = ANY(%(sources)s) OR NOT %(all)s AND d.source = ANY(%(sources)s))"

_DROP_BODIES = f"""
WITH past AS (
    DELETE FROM delivery_body b USING delivery d
    WHERE b.received_at >= %(since)s AND b.received_at < %(until)s AND d.id = b.delivery_id
      AND d.state IN ('done', 'quarantined') AND {_OF_SOURCES}
    RETURNING d.id),
unmarked AS (DELETE FROM delivery_mark m USING past WHERE m.delivery_id = past.id)
UPDATE delivery d SET reason = CASE WHEN d.state = 'quarantined' THEN {PAST} ELSE {BARE} END,
    finished_at = coalesce(d.finished_at, hearback_now()),
    fate = CASE WHEN d.state = 'quarantined' THEN 'rejected' ELSE d.fate END, state = 'done'
FROM past WHERE d.id = past.id
"""  # noqa: S608 (constants only)


def drop_bodies(tx: Transaction, kept: Kept) -> bool:
    """Drop bodies past their time, of a day at most; return whether there may be more.

    Hash, key and fate stay. What was set aside and never looked at is rejected by it; what waits to be worked stays.
    """
    done = tx.one("SELECT done_until FROM retention WHERE sources = %s FOR UPDATE", kept.name)
    target = tx.now() - timedelta(days=kept.days)
    since = done[0] if done else _oldest(tx, target)
    until = min(target, since + timedelta(days=1))
    if until <= since:
        return False
    sources = kept.others if kept.named is None else kept.named
    tx.connection.execute(
        _DROP_BODIES.encode(),
        {"since": since, "until": until, "all": kept.named is None, "sources": list(sources)},
    )
    tx.run(
        "INSERT INTO retention (sources, done_until) VALUES (%s, %s) "
        "ON CONFLICT (sources) DO UPDATE SET done_until = excluded.done_until",
        kept.name,
        until,
    )
    return until < target


def _oldest(tx: Transaction, target: datetime) -> datetime:
    row = tx.one("SELECT min(received_at) FROM delivery_body WHERE received_at < %s", target)
    return row[0] if row and row[0] else target - timedelta(microseconds=1)


def drop_partitions(tx: Transaction, days: int) -> None:
    """Drop the monthly partitions of bodies that are past every retention time, once nothing in them waits.

    Raises:
        psycopg.errors.LockNotAvailable: the table was busy.
    """
    tx.run("SET LOCAL lock_timeout = '200ms'")
    rows = tx.all("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'delivery_body'::regclass")
    month = (tx.now() - timedelta(days=days)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    past = f"delivery_body_{month:%Y_%m}"
    # Those that were still waiting to be worked when their day came.
    every = {"since": datetime.min.replace(tzinfo=UTC), "until": month, "all": True, "sources": []}
    tx.connection.execute(_DROP_BODIES.encode(), every)
    for (name,) in rows:
        if name.removeprefix("delivery_body_").replace("_", "").isdigit() and name < past:
            partition = sql.Identifier(name)
            query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(partition)
            if tx.connection.execute(query).fetchone() == (True,):
                tx.connection.execute(sql.SQL("DROP TABLE {}").format(partition))


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
