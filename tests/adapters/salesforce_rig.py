from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import uuid4

from salesforce_server.metadata import Metadata
from salesforce_server.org import ORG_ID, Org
from salesforce_server.people import People
from salesforce_server.server import ORIGIN, Answer, Call, SalesforceServer

from connector.adapters.base import Adapter
from connector.adapters.salesforce.adapter import SalesforceAdapter
from connector.adapters.salesforce.tokens import Grant
from connector.adapters.sandbox.process import free_port
from connector.adapters.testing import Rig
from connector.model.delivery import Delivery

SECRET = "client-secret-of-the-app"
HOOK = "hook-secret-in-the-path"
_TOKENS = tuple(f"00D!token-{number}-secret" for number in range(1, 9))


def grant(secret: str = SECRET) -> Grant:
    return Grant("client_credentials", "consumer-key", secret=secret)


def adapter_of(server: SalesforceServer, **more: object) -> SalesforceAdapter:
    options = {"organization_id": ORG_ID, "currency": "EUR"}
    return SalesforceAdapter(
        "test", origin=ORIGIN, grant=grant(), options=options, webhook_secrets=[HOOK], loopback=server.url
    )


class SalesforceRig(Rig):
    """A loopback organisation with our project deployed."""

    secrets = (SECRET, HOOK, *_TOKENS)
    signed = False

    def __init__(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(SalesforceServer(Org()))
        self._stack = stack
        self.org = self.server.org
        self.owner = self.org.add_user("Anna Kern")
        self.inactive_owner = self.org.add_user("Bert Lang", active=False)
        self.org.user = self.org.add_user("Hearback Integration")
        self.metadata = self.server.soap = Metadata(self.org)
        self.people = self.server.people = People(self.org, self.metadata)
        self.adapter = adapter_of(self.server)
        # A connection in use has its token.
        next(self.adapter.owners())

    def requests(self) -> int:
        return len(self.server.seen)

    def lose_next_answer(self) -> None:
        self.server.lose_next()

    def limit_next(self, delay: timedelta) -> None:
        body = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
        self.server.next(Answer(403, body, {"Retry-After": str(int(delay.total_seconds()))}))

    def refused(self) -> Adapter:
        server = self._stack.enter_context(SalesforceServer())
        server.oauth_error = ("invalid_client", "invalid client credentials")
        self.server.seen = server.seen
        return adapter_of(server)

    def unreachable(self) -> Adapter:
        return SalesforceAdapter("test", origin=ORIGIN, grant=grant(), loopback=f"http://127.0.0.1:{free_port()}")

    def repeating(self) -> Adapter:
        server = self._stack.enter_context(SalesforceServer())
        rows = [{"Id": f"005{n:012d}AAA", "Name": "A", "Email": "a@example.com", "IsActive": True} for n in range(2000)]
        body = {"totalSize": 2000, "done": True, "records": rows}

        def same(call: Call) -> Answer | None:
            if "/query" in call.path:
                server.faults.append(same)
                return Answer(200, body)
            return None

        server.faults.append(same)
        return adapter_of(server)

    def settle(self) -> None:
        pass

    def webhook(
        self,
        leads: Sequence[str],
        *,
        sent_at: datetime,  # noqa: ARG002 - nothing says when it was sent
        received_at: datetime,
        forged: bool = False,
        known: bool = True,
    ) -> Delivery:
        return outbound(
            leads,
            received_at=received_at,
            type_="Lead" if known else "Case",
            secret="a stranger's secret" if forged else HOOK,
        )


def outbound(
    ids: Sequence[str],
    *,
    received_at: datetime,
    type_: str = "Lead",
    secret: str = HOOK,
    organization: str = ORG_ID,
    head: str = "",
) -> Delivery:
    """Return an Outbound Message about records."""
    notifications = "".join(
        f'<Notification><Id>04l{number:012d}AAA</Id><sObject xsi:type="sf:{type_}" '
        f'xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>{id_}</sf:Id><sf:OwnerId>005000000000009AAA</sf:OwnerId>'
        "</sObject></Notification>"
        for number, id_ in enumerate(ids)
    )
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{organization}</OrganizationId><ActionId>04k000000000001AAA</ActionId>"
        f'<SessionId xsi:nil="true"/>{notifications}</notifications></soapenv:Body></soapenv:Envelope>'
    )
    return Delivery(
        id=uuid4(),
        source="crm:test",
        received_at=received_at,
        content_type="text/xml",
        body=body.encode(),
        headers={},
        query={},
        presented=secret,
    )
