"""Sends the queued webhooks: at least once, in order, signed."""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psycopg
import requests

from connector.adapters.sandbox.crm.store import Store

log = logging.getLogger(__name__)

SIGNATURE_HEADER = "X-Sandbox-Signature"
_BATCH = 100
_TIMEOUT = (3.0, 10.0)
#: Seconds between attempts; the last one repeats until the receiver is back.
_BACK_OFF = (1.0, 2.0, 5.0)
_IDLE_SECONDS = 5.0


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature header of a webhook body."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Sender:
    """A thread that empties the outbox towards one address."""

    def __init__(self, store: Store, *, url: str, secret: str, account: str) -> None:
        self._store = store
        self._url = url
        self._secret = secret
        self._account = account
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier process left behind."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._wake.set()

    def stop(self) -> None:
        """End after the delivery under way."""
        self._stop.set()
        self._wake.set()
        self._thread.join(sum(_TIMEOUT))

    def _run(self) -> None:
        failures = 0
        with requests.Session() as session:
            session.trust_env = False
            while not self._stop.is_set():
                self._wake.clear()
                failures = 0 if self._empty(session) else failures + 1
                if failures:
                    self._stop.wait(_BACK_OFF[min(failures, len(_BACK_OFF)) - 1])
                else:
                    self._wake.wait(_IDLE_SECONDS)

    def _empty(self, session: requests.Session) -> bool:
        """Send until nothing waits; False when the receiver or the database failed."""
        try:
            while not self._stop.is_set() and (waiting := self._store.waiting_hooks(_BATCH)):
                if not self._post(session, [event for _, event in waiting]):
                    return False
                self._store.forget_hooks(waiting[-1][0])
        except psycopg.Error as err:
            log.warning("webhooks wait for the database", extra={"reason": type(err).__name__})
            return False
        return True

    def _post(self, session: requests.Session, events: Sequence[Mapping[str, Any]]) -> bool:
        body = orjson.dumps({"account": self._account, "events": events})
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: signature(self._secret, int(time.time()), body),
        }
        try:
            answer = session.post(self._url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as err:
            log.info("webhook not taken", extra={"reason": type(err).__name__})
            return False
        return answer.ok and not answer.is_redirect
