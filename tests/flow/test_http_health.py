"""What machines watch."""

from collections.abc import Iterator

import psycopg
import pytest
from web_support import FORM, Web, services_on, web_of

from connector.services import Services
from connector.store import Store
from webhooks.app import create_app


@pytest.fixture
def web(database_url: str) -> Iterator[Web]:
    with services_on(database_url) as services:
        yield web_of(services)


def test_ready_means_the_database_answers_and_a_configuration_is_in_force(web: Web, empty_database_url: str) -> None:
    with Store(empty_database_url) as store, psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE active_configuration (hash text)")
        connection.commit()
        bare = create_app(Services(store, web.services.vault)).test_client()

        assert web.client.get("/readyz").status_code == 200
        assert bare.get("/readyz").status_code == 503
        assert "no configuration" in bare.get("/readyz").text
        assert bare.get("/healthz").text == "ok\n"


def test_a_dead_database_is_alive_but_not_ready(web: Web) -> None:
    web.services.store.close()

    assert web.client.get("/healthz").status_code == 200
    assert web.client.get("/readyz").status_code == 503


def test_metrics_count_answers_and_what_waits_without_naming_anybody(web: Web) -> None:
    """P2, P10: refusals without a receipt have a counter."""
    web.client.post(FORM, data={"email": "metrics@example.com"})
    web.client.post("/in/guess", data={"email": "metrics@example.com"})
    web.client.post(FORM, data=b"x", content_type="image/png")
    with psycopg.connect(web.url) as connection:
        connection.execute(
            "INSERT INTO command (id, connection, object_type, key, fields, purpose, correlation) "
            "SELECT gen_random_uuid(), 'sandbox', 'lead', 'k' || n, '{}', 'lead', gen_random_uuid() "
            "FROM generate_series(1, 3) AS n"
        )
        connection.execute(
            "INSERT INTO crm_call VALUES ('sandbox', current_date - 1, 'poll', 5), ('sandbox', current_date, 'poll', 2)"
        )

    text = web.client.get("/metrics").text

    for line in (
        'hearback_http_answers_total{route="/in/<token>",status="303"} 1.0',
        'hearback_http_answers_total{route="/in/<token>",status="404"} 1.0',
        'hearback_http_answers_total{route="/in/<token>",status="415"} 1.0',
        'hearback_deliveries{state="stored"} 1.0',
        'hearback_deliveries{state="quarantined"} 0.0',
        'hearback_commands_pending{connection="sandbox",object_type="lead"} 3.0',
        'hearback_crm_calls_total{connection="sandbox",purpose="poll"} 7.0',
    ):
        assert line in text
    assert "metrics@example.com" not in text
    assert "guess" not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/thanks", "/nothing", "/api/v1/openapi.json"])
def test_every_answer_has_security_headers(web: Web, path: str) -> None:
    headers = web.client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
