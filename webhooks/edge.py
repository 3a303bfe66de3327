"""What every route needs, built once for each application."""

import threading
from dataclasses import dataclass
from typing import cast

from flask import current_app

from connector.services import Services
from webhooks.doors import DoorKeeper
from webhooks.limits import Limits
from webhooks.metrics import Metrics

EXTENSION = "hearback"


@dataclass(frozen=True, slots=True)
class Edge:
    """The services behind the edge, and what the edge itself remembers."""

    services: Services
    keeper: DoorKeeper
    limits: Limits
    metrics: Metrics
    #: Request threads that may wait for a decision at the same time.
    waiting: threading.Semaphore


def edge() -> Edge:
    """Return the edge of the application that handles the current request."""
    return cast("Edge", current_app.extensions[EXTENSION])
