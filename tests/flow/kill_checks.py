"""What must hold when the dust has settled: our store against the CRM's own log."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from kill_stage import Stage

from connector.routing.record import recompute
from connector.store import Store, ledger

#: Leases cut off by the last kill (20 s), the longest wait of the CRM's webhooks (30 s), and what follows.
PATIENCE = 120.0

_UNSETTLED = """
SELECT (SELECT count(*) FROM delivery WHERE state <> 'done'),
    (SELECT count(*) FROM command WHERE state <> 'done'),
    (SELECT count(*) FROM sandbox.webhook_outbox),
    (SELECT count(*) FROM deal_news),
    (SELECT count(*) FROM attainment_due),
    (SELECT count(*) FROM step_instance WHERE next_rung_at <= hearback_now())
"""

Rows = list[tuple[Any, ...]]


@dataclass
class Checks:
    """Read-only questions to the database, each with one right answer."""

    connection: psycopg.Connection[tuple[Any, ...]]

    def rows(self, query: str, *values: object) -> Rows:
        return self.connection.execute(query.encode(), values or None).fetchall()

    def one(self, query: str, *values: object) -> Any:
        (row,) = self.rows(query, *values)
        return row[0]

    def none(self, query: str, *values: object) -> None:
        found = self.rows(query, *values)
        assert found == [], f"{len(found)} rows that must not be, such as {found[:3]}: {query}"


# Effects of one command after its first, with whether a person had changed the record in between.
_REPEATED = """
WITH told AS (
    SELECT e.trace, e.record_id, e.effect, q.at, lag(e.effect) OVER one AS first, lag(q.at) OVER one AS before
    FROM sandbox.effect_log e JOIN sandbox.request_log q ON q.id = e.request_id
    WHERE e.trace <> '' AND e.effect IN ('created', 'updated') WINDOW one AS (PARTITION BY e.trace ORDER BY q.at))
SELECT trace, first, effect, EXISTS (
    SELECT FROM sandbox.effect_log p JOIN sandbox.request_log r ON r.id = p.request_id
    WHERE p.trace = '' AND p.effect = 'updated' AND p.record_id = told.record_id
        AND r.at BETWEEN told.before AND told.at)
FROM told WHERE before IS NOT NULL
"""


def wait_until_settled(stage: Stage) -> float:
    """Wait until nothing is on its way in, out or back; return how long that took."""
    started = time.monotonic()
    quiet = 0
    with stage.watch() as connection:
        while quiet < 3:
            (left,) = connection.execute(_UNSETTLED).fetchall()
            quiet = 0 if any(left) else quiet + 1
            assert time.monotonic() - started < PATIENCE, f"still waiting: {left}; {stuck(connection)}"
            time.sleep(0.3)
    return time.monotonic() - started


def stuck(connection: psycopg.Connection[tuple[Any, ...]]) -> Rows:
    return connection.execute(
        "SELECT state, object_type, purpose, attempts, unknown, error, count(*) FROM command "
        "WHERE state <> 'done' GROUP BY 1, 2, 3, 4, 5, 6 LIMIT 5"
    ).fetchall()


_OPEN_STEPS = """
SELECT p.deal, s.step_key, s.state, s.owner, s.refusals, s.activated_at::time(0)::text, (
    SELECT array_agg(e.type || ' ' || e.occurred_at::time::text ORDER BY e.id) FROM event e
    WHERE e.record_id = b.record_id OR e.attributes ->> 'deal' = p.deal),
    r.fields ->> 'Status', r.fields ->> 'Comment', m.fields ->> 'status', m.changed_at::time::text, b.written
FROM step_instance s JOIN plan_instance p ON p.id = s.plan_instance
LEFT JOIN binding b ON b.key = 'step:' || s.id LEFT JOIN sandbox.record r ON r.id = b.record_id
LEFT JOIN mirror_record m ON m.record_id = b.record_id
WHERE s.state = 'open' ORDER BY 1 LIMIT 6
"""


def diagnosis(stage: Stage) -> str:
    """Say where everything stands, and what the log complains about, for whoever has to find out why."""
    complaints: Counter[str] = Counter()
    for line in stage.log.read_text(errors="replace").splitlines():
        with suppress(ValueError, TypeError, AttributeError):
            said = json.loads(line)
            if said["level"] in ("warning", "error", "critical"):
                place = (said.get("at") or ["", ""])[-2:]
                complaints[f"{said['level']} {said['event']} {said.get('error') or said.get('why') or ''} {place}"] += 1
    with stage.watch() as connection:
        left = connection.execute(_UNSETTLED).fetchall()
        waiting = stuck(connection)
        paused = connection.execute("SELECT * FROM connection_state").fetchall()
        surveys = connection.execute("SELECT deal, state, suppressed_reason FROM survey_invitation").fetchall()
        steps = connection.execute(_OPEN_STEPS).fetchall()
        jobs = connection.execute("SELECT status, count(*) FROM procrastinate_jobs GROUP BY 1").fetchall()
    for line in (stage.postgres.folder / "postgres" / "log").read_text(errors="replace").splitlines():
        if "Process " in line or "deadlock" in line:
            complaints[line[-240:]] += 1
    said_most = "\n".join(f"{count:5} {what}" for what, count in complaints.most_common(25))
    return (
        f"stored, pending, webhooks, news, attainments, rungs: {left}\ncommands {waiting}\n"
        f"connection {paused}\nsteps {steps}\nsurveys {surveys}\njobs {jobs}\n{said_most}\n{stage.tail()}"
    )


def check_fates(check: Checks, receipts: Mapping[int, Collection[str]]) -> Counter[str]:
    """P2: what was acknowledged is there, and ended in exactly one fate."""
    acknowledged = sorted({receipt for given in receipts.values() for receipt in given})
    fates = dict(check.rows("SELECT id::text, fate FROM delivery WHERE id = ANY(%s::uuid[])", acknowledged))
    assert fates.keys() == set(acknowledged)
    assert set(fates.values()) <= {"leads", "duplicate"}
    # What became of it is written down once: a lead, or the delivery that came before.
    check.none(
        "SELECT d.id, d.fate, count(s) FROM delivery d LEFT JOIN submission s ON s.delivery_id = d.id "
        "WHERE d.kind = 'lead' GROUP BY d.id HAVING count(s) <> (d.fate = 'leads')::integer"
    )
    check.none(
        "SELECT d.id FROM delivery d LEFT JOIN delivery f ON f.id = d.first_delivery "
        "WHERE d.fate = 'duplicate' AND f.fate IS DISTINCT FROM 'leads'"
    )
    check.none("SELECT id FROM delivery WHERE kind = 'crm' AND fate <> 'applied'")
    return Counter(fates.values())


def check_people(check: Checks, emails: Collection[str]) -> None:
    """Everybody became one lead, however often their submission was repeated."""
    leads = Counter(row[0] for row in check.rows("SELECT data ->> 'email' FROM lead"))
    assert leads == Counter(set(emails))


def check_decisions(check: Checks) -> None:
    """P3, P4: an unbroken chain, for each lead and over all, and samples recompute to the same bytes."""
    check.none(
        "SELECT l.id FROM lead l JOIN decision d ON d.lead_id = l.id GROUP BY l.id "
        "HAVING count(*) <> max(d.assign_seq) OR min(d.assign_seq) <> 1 OR max(d.assign_seq) <> l.assign_seq"
    )
    check.none("SELECT id FROM lead WHERE id NOT IN (SELECT lead_id FROM decision)")
    check.none(
        "SELECT l.id FROM lead l JOIN decision d ON d.lead_id = l.id AND d.assign_seq = l.assign_seq "
        "WHERE d.owner IS DISTINCT FROM l.owner OR (d.outcome = 'held') <> (l.status = 'held')"
    )
    assert check.rows("SELECT count(*), min(seq), max(seq) FROM decision") == check.rows(
        "SELECT decisions, 1::bigint, decisions FROM ledger"
    )
    check.none(
        "SELECT seq FROM (SELECT seq, decided_at, lag(decided_at) OVER (ORDER BY seq) AS before FROM decision) d "
        "WHERE decided_at < before"
    )
    rule_sets = {row[0]: bytes(row[1]) for row in check.rows("SELECT hash, document FROM rule_set")}
    for seq, record, rule_set in check.rows("SELECT seq, record, rule_set FROM decision WHERE seq % 20 = 0"):
        assert recompute(record.encode(), rule_sets[rule_set]) == record.encode(), (
            f"decision {seq} recomputes otherwise"
        )


def check_caps(check: Checks, max_open: int, *, fallback: str) -> tuple[int, int]:
    """Replay all decisions in order: nobody ever had more than the cap, and what they freed was closed by somebody.

    Returns how many people stood at the cap, and how many leads had to wait.
    """
    open_now: dict[str, int] = defaultdict(int)
    freed: dict[str, int] = defaultdict(int)
    at_cap: set[str] = set()
    for seq, text in check.rows("SELECT seq, record FROM decision ORDER BY seq"):
        record = json.loads(text)
        for person, standing in record["book"].items():
            since = open_now[person] - standing[2]
            assert since >= 0, f"decision {seq}: {person} gained leads without a decision"
            freed[person] += since
            open_now[person] = standing[2]
        owner = record["owner"]
        if owner is not None:
            assert owner != fallback, f"decision {seq} fell back"
            assert open_now[owner] < max_open, f"decision {seq}: {owner} was full"
            open_now[owner] += 1
            at_cap |= {owner} if open_now[owner] == max_open else set()
    closed: dict[str, int] = dict(check.rows("SELECT owner, count(*) FROM lead WHERE status = 'closed' GROUP BY owner"))
    left: dict[str, int] = dict(check.rows("SELECT person, open_leads FROM ledger_entry"))
    assert {p: freed[p] + open_now[p] - left[p] for p in open_now} == {p: closed.get(p, 0) for p in open_now}
    return len(at_cap), check.one("SELECT count(*) FROM decision WHERE outcome = 'held'")


def check_ledger(stage: Stage, check: Checks) -> None:
    """The counts are those of the leads, and nobody's turn was lost or made up."""
    with Store(stage.postgres.url, size=1) as store, store.transaction() as tx:
        assert ledger.recount(tx) == {}
    assert check.one("SELECT sum(balance) FROM ledger_entry") == 0


def check_effects(check: Checks) -> tuple[Counter[str], int]:
    """P5: by the CRM's own log every command had one effect, and nothing happened that we did not command.

    An update whose answer was lost is sent again, which changes nothing unless a person changed the same
    record in between. Returns the commands by purpose, and how often that happened.
    """
    check.none("SELECT id, state, error FROM command WHERE state <> 'done'")
    repeated = check.rows(_REPEATED)
    assert all((first, effect, changed) == ("updated", "updated", True) for _, first, effect, changed in repeated), (
        repeated
    )
    check.none(
        "SELECT e.trace FROM sandbox.effect_log e LEFT JOIN command c ON c.id::text = e.trace "
        "WHERE e.trace <> '' AND c.id IS NULL"
    )
    # What people send may be refused: theirs carries no trace.
    check.none(
        "SELECT effect, object FROM sandbox.effect_log "
        "WHERE effect NOT IN ('created', 'updated', 'unchanged') AND trace <> ''"
    )
    check.none("SELECT id FROM command WHERE id::text NOT IN (SELECT trace FROM sandbox.effect_log)")
    check.none(
        "SELECT object, hearback_key FROM sandbox.record WHERE hearback_key IS NOT NULL GROUP BY 1, 2 "
        "HAVING count(*) > 1"
    )
    # A command that changed nothing found what it wanted there already; the first one of a key never does.
    check.none(
        "SELECT c.key FROM command c WHERE c.purpose IN ('assign', 'rep_task') AND NOT EXISTS "
        "(SELECT FROM sandbox.effect_log e WHERE e.trace = c.id::text AND e.effect = 'created')"
    )
    return Counter(dict(check.rows("SELECT purpose, count(*) FROM command GROUP BY purpose"))), len(repeated)


def check_crm_agrees(check: Checks, users: Mapping[str, str]) -> None:
    """Every assigned lead is in the CRM with its owner and its task; what people closed there is closed here."""
    ours = check.rows("SELECT 'lead:' || id, owner, status FROM lead WHERE status <> 'held'")
    theirs = check.rows(
        "SELECT hearback_key, fields ->> 'OwnerId', fields ->> 'Status' FROM sandbox.record WHERE object = 'leads'"
    )
    told = {key: (owner, "assigned" if status == "New" else "closed") for key, owner, status in theirs}
    assert {key: (users[owner], status) for key, owner, status in ours} == told
    check.none(
        "SELECT l.id FROM lead l WHERE l.status <> 'held' AND NOT EXISTS (SELECT FROM sandbox.record r "
        "WHERE r.object = 'tasks' AND r.hearback_key = 'task:' || l.id || ':' || l.owner)"
    )


def check_followups(check: Checks, deals: int) -> None:
    """Each deal went through its plan once: a task a step, one rung of each kind, one survey, two credits."""
    assert check.one("SELECT count(*) FROM plan_instance") == deals
    steps = check.rows("SELECT step_key, state, count(*) FROM step_instance GROUP BY 1, 2 ORDER BY 1")
    assert steps == [("check_arrival", "done", deals), ("confirm_order", "done", deals)]
    assert check.rows("SELECT rung, count(*) FROM step_rung GROUP BY rung ORDER BY rung") == [(0, deals), (1, deals)]
    assert check.one("SELECT count(*) FROM handover WHERE to_person IS NOT NULL") == deals
    assert check.one("SELECT count(*) FROM accountability_item WHERE cleared_at IS NULL") == 0
    credited = dict(check.rows("SELECT state, count(*) FROM credit GROUP BY state"))
    assert credited == {"provisional": deals, "confirmed": deals}
    asked = "SELECT count(*) FROM sandbox.record WHERE object = 'deals' AND {} = '{}'"
    for field, value in (
        ("fields ->> 'x_hearback_score'", "9"),
        ("fields ->> 'x_hearback_open_mandatory'", "0"),
        ("fields ->> 'x_hearback_overdue'", "0"),
    ):
        assert check.one(asked.format(field, value)) == deals, field


def check_attainment(check: Checks, users: Mapping[str, str]) -> None:
    """What stands on a rep's record is the sum of their confirmed credits."""
    sums = check.rows("SELECT person, sum(base) FROM credit WHERE state = 'confirmed' GROUP BY person")
    told = dict(
        check.rows(
            "SELECT id, (fields ->> 'x_hearback_attainment_numerator')::numeric FROM sandbox.record "
            "WHERE object = 'users'"
        )
    )
    assert {users[person]: total for person, total in sums} == {
        users[person]: told[users[person]] for person, _ in sums
    }
