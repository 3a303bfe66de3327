"""`Prefer: wait=SECONDS` (RFC 7240): hold the answer until the lead has an owner, if a thread can be spared."""

import time
from uuid import UUID

from werkzeug.http import parse_dict_header

from connector.flows import reading
from connector.flows.reading import LeadView
from webhooks.edge import edge

#: Longest time an answer is held, in seconds.
LONGEST = 30

_FIRST_LOOK = 0.03
_LOOK = 0.08


def preferred_wait(header: str) -> int:
    """Return for how many seconds the sender would wait, 0 for none."""
    asked = parse_dict_header(header).get("wait") or ""
    return min(int(asked), LONGEST) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0  # noqa: PLR2004


def wait_for_lead(receipt: UUID, seconds: int) -> LeadView | None:
    """Return the lead a delivery led to; None when time or threads are short, or it led to none."""
    spare = edge().waiting
    if not spare.acquire(blocking=False):
        return None
    try:
        return _look_until(receipt, time.monotonic() + seconds)
    finally:
        spare.release()


def _look_until(receipt: UUID, deadline: float) -> LeadView | None:
    services = edge().services
    pause = _FIRST_LOOK
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = _LOOK
        row = reading.receipt(services, receipt)
        if row is None or row.state == "quarantined":
            return None
        if row.fate is not None:
            return reading.lead(services, row.leads[0]) if row.leads else None
    return None
