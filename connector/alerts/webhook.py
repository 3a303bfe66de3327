"""A signed POST, as Standard Webhooks 1.0.0 has it: the id stays the same when it is sent again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
import requests

from connector.errors import NotDelivered
from connector.signatures import standard_webhook_headers

#: Seconds to connect, and between two bytes of the answer.
TIMEOUT = (3.0, 15.0)
_OK = range(200, 300)
_GONE = 410


def post(url: str, secret: str, *, number: str, at: datetime, document: Mapping[str, Any]) -> None:
    """Post a document as JSON.

    Raises:
        NotDelivered: no answer came, or another one than 2xx; with `final` the receiver wants no more.
    """
    body = orjson.dumps(document)
    headers = {"Content-Type": "application/json", **standard_webhook_headers(secret, number, at, body)}
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as err:
        raise NotDelivered(type(err).__name__) from err
    if status not in _OK:
        raise NotDelivered(f"the receiver answered {status}", final=status == _GONE)
