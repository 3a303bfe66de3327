"""The adapter's rig over the real BottleCRM, with a proxy between them for what goes wrong on the way."""

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import uuid4

import orjson
from bottlecrm_server.faults import Fault, Faults
from bottlecrm_server.people import ANNA, BERT, US
from bottlecrm_server.process import BottleCrm

from connector.adapters.base import Adapter
from connector.adapters.bottlecrm.adapter import BottleCrmAdapter
from connector.adapters.sandbox.process import free_port
from connector.adapters.testing import Reply, Rig, ScriptedCrm
from connector.model.crm import PartState
from connector.model.delivery import Delivery

SECRET = "whsec-of-the-endpoint"
_BAD_TOKEN = "bcrm_pat_not-the-token"


def signed(secret: str, at: datetime, body: bytes) -> str:
    """Return the signature header as BottleCRM writes it."""
    stamp = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


class BottleCrmRig(Rig):
    """The real BottleCRM in processes of its own."""

    most_events = 1

    def __init__(
        self, crm: BottleCrm, faults: Faults, stack: ExitStack, kind: type[BottleCrmAdapter] = BottleCrmAdapter
    ) -> None:
        self.crm, self.faults, self._stack, self._kind = crm, faults, stack, kind
        self.owner = crm.people[ANNA].profile
        self.inactive_owner = crm.people[BERT].profile
        self._token = crm.people[US].token
        self.secrets = (self._token, _BAD_TOKEN, SECRET)
        faults.clear()
        self.adapter = self._adapter(faults.url)

    def install(self) -> None:
        """Make what is missing of our parts."""
        for part in self.adapter.parts():
            if not part.remedy and part.state is not PartState.PRESENT:
                self.adapter.install(part)
        self.faults.clear()

    def requests(self) -> int:
        return len(self.faults.asked)

    def lose_next_answer(self) -> None:
        self.faults.plan(Fault())

    def limit_next(self, delay: timedelta) -> None:
        after = str(int(delay.total_seconds()))
        self.faults.plan(Fault(429, headers=(("Retry-After", after),), forward=False), lambda _: True)

    def refused(self) -> Adapter:
        return self._adapter(self.faults.url, _BAD_TOKEN)

    def unreachable(self) -> Adapter:
        return self._adapter(f"http://127.0.0.1:{free_port()}")

    def repeating(self) -> Adapter:
        user = {
            "id": str(uuid4()),
            "is_active": True,
            "user_details": {"name": "A", "email": "a@b.c", "is_active": True},
        }
        page = {
            "active_users": {"active_users": [user], "active_users_count": 9_999_999, "offset": 0},
            "inactive_users": {"inactive_users": [], "inactive_users_count": 0, "offset": 0},
        }
        server = self._stack.enter_context(ScriptedCrm(otherwise=lambda _: Reply(body=page)))
        return self._adapter(server.url)

    def settle(self) -> None:
        """Nothing lags: it is one database."""

    def webhook(
        self,
        leads: Sequence[str],
        *,
        sent_at: datetime,
        received_at: datetime,
        forged: bool = False,
        known: bool = True,
    ) -> Delivery:
        (lead,) = leads
        body = orjson.dumps(
            {
                "id": str(uuid4()),
                "event": "lead.updated" if known else "lead.painted",
                "created_at": sent_at,
                "org_id": self.crm.org or str(uuid4()),
                "data": {"id": lead, "title": None},
            }
        )
        return Delivery(
            id=uuid4(),
            source="crm:bottle",
            received_at=received_at,
            content_type="application/json",
            body=body,
            headers={"x-bottlecrm-signature": signed("a stranger's" if forged else SECRET, sent_at, body)},
            query={},
        )

    def _adapter(self, url: str, token: str = "") -> BottleCrmAdapter:
        return self._kind("test", url=url, token=token or self._token, webhook_secrets=[SECRET])
