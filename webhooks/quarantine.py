"""Deliveries that failed verification are kept for the operator, at a bounded rate (requirement I14)."""

import logging

from connector.flows.accept import accept
from connector.model.delivery import Delivery
from webhooks.edge import edge
from webhooks.limits import REJECTED
from webhooks.throttle import throttle

log = logging.getLogger(__name__)


def keep_rejected(delivery: Delivery, step: str) -> None:
    """Store a delivery that is not authentic; `step` is for the operator, the caller never sees it.

    Raises:
        Throttled: this source was sent too many of them lately.
    """
    throttle(REJECTED, "rejected", delivery.source, "too many deliveries that cannot be verified")
    receipt = accept(edge().services, delivery, verified=f"no:{step}", suspect=f"not authentic: {step}")
    log.warning("delivery not authentic", extra={"receipt": str(receipt), "source": delivery.source, "step": step})
