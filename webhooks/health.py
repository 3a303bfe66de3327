"""For machines that watch this one: alive, ready, and in numbers."""

from flask import Blueprint, Response

from connector.errors import ConfigurationError, StoreUnavailable
from webhooks.edge import edge

routes = Blueprint("health", __name__)


@routes.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return Response("ok\n", mimetype="text/plain")


@routes.get("/readyz")
def readyz() -> Response:
    """Say whether leads can be taken: the database answers and a configuration is in force."""
    services = edge().services
    try:
        with services.store.transaction() as tx:
            active = services.active(tx)
    except (StoreUnavailable, ConfigurationError) as err:
        return Response(f"not ready: {err}\n", 503, mimetype="text/plain")
    return Response(f"ready, configuration {active.settings.hash[:12]}\n", mimetype="text/plain")


@routes.get("/metrics")
def metrics() -> Response:
    """Write the counters down for Prometheus."""
    return Response(edge().metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")
