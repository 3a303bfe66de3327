import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import uuid4

import orjson

from connector.adapters.base import Adapter
from connector.adapters.sandbox.adapter import SandboxAdapter
from connector.adapters.sandbox.crm.sender import signature
from connector.adapters.sandbox.process import SandboxProcess, free_port
from connector.adapters.testing import Reply, Rig, ScriptedCrm
from connector.model.delivery import Delivery

TOKEN = "sandbox-token"
SECRET = "sandbox-webhook-secret"
_SAME_PAGE = {"records": [{"id": "us-1", "fields": {"Name": "A", "Email": "a@example.com"}}], "next": "again"}


class SandboxRig(Rig):
    """The real sandbox CRM, in its own process."""

    owner = "us-anna"
    inactive_owner = "us-bert"
    secrets = (TOKEN, SECRET, "not-the-token")

    def __init__(self, crm: SandboxProcess, stack: ExitStack) -> None:
        self._crm = crm
        self._stack = stack
        self.adapter = self._adapter(crm.url)
        crm.control("faults", {})

    def requests(self) -> int:
        return sum(int(str(row["count"])) for row in self._crm.stats()["requests"])

    def lose_next_answer(self) -> None:
        self._crm.control("faults", {"next": ["lost_answer"]})

    def limit_next(self, delay: timedelta) -> None:
        self._crm.control("faults", {"next": ["429"], "retry_after": int(delay.total_seconds())})

    def refused(self) -> Adapter:
        return self._adapter(self._crm.url, token="not-the-token")

    def unreachable(self) -> Adapter:
        return self._adapter(f"http://127.0.0.1:{free_port()}")

    def repeating(self) -> Adapter:
        server = self._stack.enter_context(ScriptedCrm(otherwise=lambda _: Reply(body=_SAME_PAGE)))
        return self._adapter(server.url)

    def settle(self) -> None:
        time.sleep(self._crm.search_lag + 0.05)

    def webhook(
        self,
        leads: Sequence[str],
        *,
        sent_at: datetime,
        received_at: datetime,
        forged: bool = False,
        known: bool = True,
    ) -> Delivery:
        body = orjson.dumps(
            {
                "account": "sandbox",
                "events": [
                    {
                        "id": f"ev-{number}",
                        "type": "updated" if known else "painted",
                        "object": "leads",
                        "record": {"id": lead, "fields": {}, "updated_at": sent_at},
                        "occurred_at": sent_at,
                        "actor": "integration",
                    }
                    for number, lead in enumerate(leads)
                ],
            }
        )
        header = signature("a stranger's secret" if forged else SECRET, int(sent_at.timestamp()), body)
        return Delivery(
            id=uuid4(),
            source="sandbox",
            received_at=received_at,
            content_type="application/json",
            body=body,
            headers={"x-sandbox-signature": header},
            query={},
        )

    def _adapter(self, url: str, token: str = TOKEN) -> SandboxAdapter:
        return SandboxAdapter("test", url=url, token=token, webhook_secrets=[SECRET])
