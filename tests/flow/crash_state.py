"""What a story left behind, without what no two runs share: ids, times, tokens and the number of attempts.

Every table is taken as it is, so that a new one takes part in the comparison by itself.
"""

import json
import re
from collections import Counter
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Row = dict[str, Any]
State = dict[str, list[str]]

#: Bookkeeping of attempts, calls and the runs themselves. Marks are kept of repeats too.
_LEFT_OUT = {
    "alembic_version",
    "clock",
    "delivery_body",
    "address_rate",
    "crm_call",
    "crm_written",
    "delivery_mark",
    "held_news",
    "notebook",
    "retention",
    "sandbox.effect_log",
    "sandbox.request_log",
    "sandbox.setting",
    "sandbox.webhook_outbox",
}
_DROPPED = {
    "command": {"seq", "attempts", "unknown", "leased_by", "outcome", "error"},
    "connection_state": {"cursor", "reason"},
    "delivery": {"attempts"},
    "sandbox.record": {"seq"},
}
#: Types without a meaning outside of their run.
_VOLATILE = {"bytea", "timestamp with time zone"}

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RECORD = re.compile(r"\b(?:ld|tk)-[0-9a-f]{16}\b")
_NOISE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+\d\d:?\d\d|Z)?"), "<time>"),
    (re.compile(r":\d{8}T\d{4}\b"), ":<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"/s/[\w-]+"), "/s/<token>"),
    (re.compile(r"\b\d+ of (\d+) events"), r"some of \1 events"),
)


def state_of(database: str, crm: str) -> State:
    """Return the rows of every table in words that are the same in every run."""
    with (
        psycopg.connect(database, row_factory=dict_row) as ours,
        psycopg.connect(crm, row_factory=dict_row) as theirs,
    ):
        tables = _tables(ours, "public") | _tables(theirs, "sandbox")
        tables["delivery"] = _first_posts(tables["delivery"])
        return _State(tables).words()


def effects_of(database: str, crm: str) -> dict[str, Counter[str]]:
    """Return for each command how often it created or changed something in the CRM."""
    with psycopg.connect(database) as ours, psycopg.connect(crm) as theirs:
        effects = {row[0]: Counter[str]() for row in ours.execute("SELECT id::text FROM command").fetchall()}
        for trace, effect in theirs.execute("SELECT trace, effect FROM sandbox.effect_log WHERE trace <> ''"):
            effects[trace][effect] += 1
    return effects


def difference(reference: State, state: State) -> list[str]:
    """Say which rows a run lacks or has too many."""
    found = []
    for table in sorted(reference.keys() | state.keys()):
        wanted, had = Counter(reference.get(table, ())), Counter(state.get(table, ()))
        found += [f"{table} lacks {row}" for row in (wanted - had).elements()]
        found += [f"{table} has   {row}" for row in (had - wanted).elements()]
    return found


def _tables(connection: psycopg.Connection[Row], schema: str) -> dict[str, list[Row]]:
    columns = connection.execute(
        "SELECT table_name, column_name, data_type, is_identity = 'YES' AS counted FROM information_schema.columns "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema = %s AND table_type = 'BASE TABLE'",
        (schema,),
    ).fetchall()
    prefix = "" if schema == "public" else f"{schema}."
    tables: dict[str, list[Row]] = {}
    for name in sorted({str(column["table_name"]) for column in columns}):
        table = prefix + name
        if table in _LEFT_OUT or name.startswith(("procrastinate_", "delivery_body_")):
            continue
        kept = [
            str(c["column_name"])
            for c in columns
            if c["table_name"] == name
            and c["data_type"] not in _VOLATILE
            and not c["counted"]
            and c["column_name"] not in _DROPPED.get(table, ())
        ]
        tables[table] = _rows(connection, schema, name, kept, with_sha=table == "delivery")
    return tables


def _rows(connection: psycopg.Connection[Row], schema: str, name: str, columns: list[str], with_sha: bool) -> list[Row]:
    selected = [sql.Identifier(column) for column in columns]
    if with_sha:
        selected.append(sql.SQL("encode(sha256, 'hex') AS sha256"))
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(selected), sql.Identifier(schema, name))
    return connection.execute(query).fetchall()


def _first_posts(rows: list[Row]) -> list[Row]:
    """Leave out what a sender posted again because it heard no answer; it must have led to nothing new."""
    first: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: str(row["id"])):
        before = first.setdefault((row["source"], row["sha256"]), row)
        if before is not row:
            assert row["fate"] in ("duplicate", "applied") or row["state"] == "quarantined", row
    return list(first.values())


class _State:
    """Tables with a name for each id that stands for something."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self._tables = tables
        self._names: dict[str, str] = {}
        for row in tables["lead"]:
            self._names[str(row["id"])] = f"<lead {row['data'].get('email') or row['data'].get('last_name')}>"
        for row in tables["delivery"]:
            # What a CRM sends tells ids and times, which are its own in every run.
            body = row["sha256"][:8] if row["kind"] == "lead" else ""
            self._names[str(row["id"])] = f"<delivery {row['source']} {body}>"
        for row in tables["step_instance"]:
            self._names[str(row["id"])] = f"<step {row['step_key']}>"
        for row in tables["plan_instance"]:
            self._names[str(row["id"])] = f"<plan {row['plan_key']}>"
        for row in tables["sandbox.record"]:
            key = row["fields"].get("x_hearback_key")
            if key:
                self._names[row["id"]] = f"<record {self.named(key)}>"

    def words(self) -> State:
        return {table: sorted(self._words(table, row) for row in rows) for table, rows in self._tables.items()}

    def named(self, text: str) -> str:
        """Return a text with names in the place of ids."""
        text = _UUID.sub(lambda found: self._names.get(found[0], "<id>"), text)
        return _RECORD.sub(lambda found: self._names.get(found[0], found[0]), text)

    def _words(self, table: str, row: Row) -> str:
        values = dict(row)
        if table == "delivery":
            values.pop("sha256")
        if table == "binding":
            values["written"] = sorted(values["written"])
        if table == "decision":
            values["record"] = json.loads(values["record"])
        text = self.named(json.dumps(values, sort_keys=True, default=str, ensure_ascii=False))
        for pattern, word in _NOISE:
            text = pattern.sub(word, text)
        return text
