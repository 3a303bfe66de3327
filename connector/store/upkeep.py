"""Housekeeping in the database."""

from datetime import date

from psycopg import sql

from connector.store.database import Transaction

#: Longest documented sender retry is three days; people replay by hand (I11, I30).
KEY_DAYS = 30
#: Keys forgotten in one transaction.
BATCH = 2_000
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
    SELECT ctid FROM dedupe_key WHERE seen_at < hearback_now() - make_interval(days => %s) LIMIT %s
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

    In batches, so that no post waits long for a key that is being deleted.
    """
    return tx.run(_OLD_IDEMPOTENCY_KEYS, KEY_DAYS, BATCH) + tx.run(_OLD_DEDUPE_KEYS, KEY_DAYS, BATCH)


def drop_old_assignments(tx: Transaction) -> None:
    """Forget what no rolling cap looks back to any more; decisions keep it."""
    tx.run("DELETE FROM assignment WHERE at < hearback_now() - make_interval(days => %s)", CAP_DAYS)


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
