"""The named alternative of bench (b): two bare stages without matching, routing, records or retries."""

import json
import time
from urllib.parse import parse_qs

import psycopg
import requests

from tests.benchmarks.rig import TOKENS, Rig, form_body

BATCH = 200


def measure(rig: Rig, count: int) -> float:
    """Return leads a second: stored body -> parsed row -> one batch call -> marked done, in one process."""
    with psycopg.connect(rig.url) as connection, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKENS['HEARBACK_SANDBOX_TOKEN']}"
        connection.execute(
            "CREATE TABLE IF NOT EXISTS proto_delivery (id serial PRIMARY KEY, body bytea, done boolean)"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS proto_lead (id serial PRIMARY KEY, data jsonb, sent boolean DEFAULT false)"
        )
        with connection.cursor() as cursor:
            rows = [(form_body(10_000_000 + n),) for n in range(count)]
            cursor.executemany("INSERT INTO proto_delivery (body, done) VALUES (%s, false)", rows)
        connection.commit()
        begin = time.perf_counter()
        while _stage_one(connection):
            pass
        while _stage_two(connection, session, f"http://127.0.0.1:{rig.crm_port}"):
            pass
        return count / (time.perf_counter() - begin)


def _stage_one(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    rows = connection.execute(
        "SELECT id, body FROM proto_delivery WHERE NOT done ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED", (BATCH,)
    ).fetchall()
    data = [json.dumps({k: v[0] for k, v in parse_qs(bytes(row[1]).decode()).items()}) for row in rows]  # type: ignore[call-overload]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO proto_lead (data) VALUES (%s)", [(text,) for text in data])
    connection.execute("UPDATE proto_delivery SET done = true WHERE id = ANY(%s)", ([row[0] for row in rows],))
    connection.commit()
    return bool(rows)


def _stage_two(connection: psycopg.Connection[tuple[object, ...]], session: requests.Session, crm: str) -> bool:
    rows = connection.execute(
        "SELECT id, data FROM proto_lead WHERE NOT sent ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED", (BATCH,)
    ).fetchall()
    records = [
        {"trace": f"proto-{row[0]}", "fields": {"x_hearback_key": f"proto-{row[0]}", "LastName": row[1]["nachname"]}}  # type: ignore[index]
        for row in rows
    ]
    if records:
        session.post(f"{crm}/api/batch/leads", json={"records": records}, timeout=30).raise_for_status()
    connection.execute("UPDATE proto_lead SET sent = true WHERE id = ANY(%s)", ([row[0] for row in rows],))
    connection.commit()
    return bool(rows)
