"""`POST /crm/<connection>`, and with a secret as the last part of the path for senders that cannot sign."""

import logging
from dataclasses import replace

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound, Unauthorized

from connector.adapters.base import Capability
from connector.errors import WebhookRejected
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from webhooks.bodies import JSON_CAP, read_body
from webhooks.deliveries import delivery_of
from webhooks.edge import edge
from webhooks.quarantine import keep_rejected

log = logging.getLogger(__name__)

routes = Blueprint("crm", __name__)


@routes.post("/crm/<connection>")
@routes.post("/crm/<connection>/<secret>")
def receive(connection: str, secret: str = "") -> Response:
    """Store what a CRM says happened; a job reads it."""
    body = read_body(JSON_CAP)
    settings = edge().keeper.doors().settings
    if connection not in settings.connections:
        raise NotFound("no such connection: check the address in the CRM's webhook settings")
    adapter = edge().services.adapter(settings, connection)
    if Capability.WEBHOOKS not in adapter.capabilities:
        raise NotFound("this kind of CRM sends no webhooks")
    delivery = delivery_of(f"crm:{connection}", body)
    delivery = replace(delivery, presented=secret or delivery.presented)
    try:
        adapter.verify_webhook(delivery)
    except WebhookRejected as err:
        return _reject(delivery, err.step)
    receipt = accept(edge().services, delivery, verified="yes")
    media, text = adapter.webhook_answer or ("text/plain", f"ok {receipt}\n")
    return Response(text, mimetype=media)


def _reject(delivery: Delivery, step: str) -> Response:
    keep_rejected(delivery, step)
    raise Unauthorized("the webhook could not be verified")
