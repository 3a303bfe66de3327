"""The Flask application: one subpackage per audience, one set of rules for headers, errors and counters."""

import logging
import threading

from flask import Flask, Response, request
from flask_bootstrap import Bootstrap5
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from connector.errors import ConfigurationError, StoreUnavailable
from connector.services import Services
from connector.store.database import is_contention
from webhooks import api, console, crm, health, intake, public
from webhooks.doors import DoorKeeper
from webhooks.edge import EXTENSION, Edge, edge
from webhooks.errors import answer_for
from webhooks.headers import SecureHeaders
from webhooks.limits import Limits
from webhooks.metrics import Metrics

log = logging.getLogger(__name__)

#: Seconds after which a sender should try again when the store is down.
RETRY_AFTER = 5


def create_app(services: Services, *, threads: int = 8) -> Flask:
    """Build the application around open services. `threads` is how many requests this process works at once."""
    # Bootstrap's files lie below this address; each audience has a folder of its own.
    app = Flask("webhooks", static_folder=None, static_url_path="/static")
    app.extensions[EXTENSION] = Edge(
        services=services,
        keeper=DoorKeeper(services),
        limits=Limits(),
        metrics=Metrics(services),
        waiting=threading.Semaphore(threads // 4),
    )
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    console.install(app, services)
    for routes in (intake.routes, crm.routes, api.routes, public.routes, health.routes, console.routes):
        app.register_blueprint(routes)
    app.register_error_handler(Exception, _unforeseen)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(StoreUnavailable, _unavailable)
    app.register_error_handler(ConfigurationError, _unavailable)
    app.after_request(_count)
    app.wsgi_app = SecureHeaders(app.wsgi_app)  # type: ignore[method-assign] # Flask's own way
    proxies = int(services.environ.get("HEARBACK_TRUSTED_PROXIES", "0"))
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign] # see above
    return app


def _count(response: Response) -> Response:
    edge().metrics.answered(_route(), response.status_code)
    return response


def _refused(error: HTTPException) -> Response:
    return answer_for(error)


def _unavailable(error: Exception) -> Response:
    log.error("request refused", extra={"reason": str(error), "route": _route()})
    return answer_for(ServiceUnavailable("the service cannot store anything right now", retry_after=RETRY_AFTER))


def _unforeseen(error: Exception) -> Response:
    if is_contention(error):
        return _unavailable(StoreUnavailable("the database is locked"))
    edge().metrics.failed()
    log.error("request failed", exc_info=error, extra={"route": _route()})
    return answer_for(InternalServerError("something went wrong here; it is in the log"))


def _route() -> str:
    rule = request.url_rule
    return rule.rule if rule else "other"
