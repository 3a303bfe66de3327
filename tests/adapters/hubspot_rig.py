import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

import orjson
from hubspot_server import Account, HubSpotServer
from hubspot_server.server import CLIENT_SECRET, TOKEN

from connector.adapters.base import Adapter
from connector.adapters.hubspot.adapter import HubSpotAdapter, from_settings
from connector.adapters.hubspot.limits import Limits
from connector.adapters.sandbox.process import free_port
from connector.adapters.testing import Reply, Rig, ScriptedCrm
from connector.model.delivery import Delivery

WEBHOOK_URL = "https://hearback.example/crm/test"
OWNER, OTHER, GONE = "70010001", "70010002", "70010003"
_SAME_PAGE = {
    "results": [
        {"id": "1", "email": "a@example.com", "type": "PERSON", "archived": False}
        | dict.fromkeys(("createdAt", "updatedAt"), "2024-01-02T03:04:05.678Z")
    ],
    "paging": {"next": {"after": "1"}},
}


def an_account(*, leads: bool = False) -> Account:
    """Return an account with people: two may own records, one has left."""
    account = Account(leads=leads)
    account.add_owner(OWNER, "Anna Kern", "anna@example.com")
    account.add_owner(OTHER, "Olga Maj", "olga@example.com")
    account.add_owner(GONE, "Bert Lang", "bert@example.com", archived=True)
    return account


class HubSpotRig(Rig):
    """A loopback HubSpot with our properties in it."""

    owner, inactive_owner = OWNER, GONE
    #: Whether the account has lead objects.
    leads = False
    secrets = (TOKEN, CLIENT_SECRET, "not-the-token")

    def __init__(self, server: HubSpotServer, stack: ExitStack) -> None:
        self.server = server
        self._stack = stack
        self.adapter: HubSpotAdapter = self._adapter(server.url)
        for part in self.adapter.parts():
            self.adapter.install(part)

    def begin_anew(self) -> None:
        """Build the adapter again, as a new process would."""
        self.adapter = self._adapter(self.server.url)

    def requests(self) -> int:
        return len(self.server.calls)

    def lose_next_answer(self) -> None:
        self.server.lose_next_answer()

    def limit_next(self, delay: timedelta) -> None:
        self.server.limit_next(delay)

    def refused(self) -> Adapter:
        return self._adapter(self.server.url, token="not-the-token")

    def unreachable(self) -> Adapter:
        return self._adapter(f"http://127.0.0.1:{free_port()}")

    def repeating(self) -> Adapter:
        other = self._stack.enter_context(ScriptedCrm(otherwise=lambda _: Reply(body=_SAME_PAGE)))
        return self._adapter(other.url)

    def settle(self) -> None:
        self.server.account.shift += self.server.account.search_lag + timedelta(seconds=1)

    def webhook(
        self,
        leads: Sequence[str],
        *,
        sent_at: datetime,
        received_at: datetime,
        forged: bool = False,
        known: bool = True,
    ) -> Delivery:
        kind = "object.propertyChange" if known else "object.enchantment"
        events = [
            an_event(kind, lead, at=sent_at, eventId=number, object_type="0-136" if ":" in lead else "0-1")
            for number, lead in enumerate(leads)
        ]
        secret = "a stranger's secret" if forged else CLIENT_SECRET
        return a_delivery(orjson.dumps(events), secret=secret, sent_at=sent_at, received_at=received_at)

    def _adapter(self, url: str, token: str = TOKEN) -> HubSpotAdapter:
        options = {"base_url": url, "public_url": WEBHOOK_URL, "portal": "62515"}
        secrets = {"token": token, "client_secret": CLIENT_SECRET}
        return from_settings("test", options, secrets, Limits(searches=10_000))


class LeadObjectsRig(HubSpotRig):
    """An account with lead objects: a new lead is two writes, and the second makes it."""

    leads = True

    def lose_next_answer(self) -> None:
        self.server.lose_next_answer(but="/contacts/")


Kind = TypeVar("Kind", bound=HubSpotRig)


def running(kind: type[Kind]) -> Iterator[Kind]:
    """Yield a rig over a server of its own."""
    with HubSpotServer(an_account(leads=kind.leads)) as server, ExitStack() as stack:
        yield kind(server, stack)


def an_event(kind: str, record: str, *, at: datetime, object_type: str = "0-1", **more: object) -> dict[str, object]:
    """Return an event of an app's webhook as HubSpot sends it."""
    numbers = "".join(char for char in record.rpartition(":")[2] if char.isdigit()) or "1"
    return {
        "eventId": 1,
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": int(at.timestamp() * 1000),
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": int(numbers),
        "objectTypeId": object_type,
        "changeSource": "CRM_UI",
        "sourceId": "userId:1",
        **more,
    }


def a_delivery(
    body: bytes, *, sent_at: datetime, received_at: datetime, secret: str = CLIENT_SECRET, url: str = WEBHOOK_URL
) -> Delivery:
    """Return a delivery signed by the third version of HubSpot's signature."""
    stamp = str(int(sent_at.timestamp() * 1000))
    signed = b"POST" + url.encode() + body + stamp.encode()
    digest = hmac.digest(secret.encode(), signed, hashlib.sha256)
    return Delivery(
        id=uuid4(),
        source="crm:test",
        received_at=received_at,
        content_type="application/json",
        body=body,
        headers={
            "x-hubspot-signature-v3": base64.b64encode(digest).decode(),
            "x-hubspot-request-timestamp": stamp,
        },
        query={},
        url=url,
    )
